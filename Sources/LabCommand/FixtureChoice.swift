import ArgumentParser
import Fixtures
import Foundation
import Lab

/// The options that choose fixtures.
struct FixtureOptions: ParsableArguments {
    @Option(name: .customLong("tag"), help: "Only fixtures with this tag. Repeatable: any of them.")
    var tags: [String] = []

    @Option(name: .customLong("skip-tag"), help: "No fixtures with this tag. Repeatable.")
    var skippedTags: [String] = []

    @Flag(help: "Also fixtures tagged slow, which otherwise must be named.")
    var slow = false

    /// What `selectors` and the options take of `all`.
    func select(_ selectors: [String], from all: [Fixture]) throws(SelectionError) -> [Fixture] {
        try Selection(selectors, tags: Set(tags), skippedTags: Set(skippedTags), includesSlow: slow)
            .fixtures(from: all)
    }
}

/// The fixtures of a run: built-in ones, and those of files.
struct FixtureChoice: Sendable {
    var fixtures: [Fixture] = []
    /// The files of those that are not built in, by fixture id.
    var files: [String: String] = [:]

    init(_ arguments: [String], options: FixtureOptions) throws {
        let paths = arguments.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }
        let selectors = arguments.filter { !paths.contains($0) }
        if !selectors.isEmpty || paths.isEmpty {
            fixtures = try options.select(selectors, from: Catalogue.all)
        }
        for path in paths {
            let fixture = try FixtureFile.read(path)
            // Two under one name could not be told apart in any report.
            if fixtures.contains(where: { $0.id == fixture.id }) {
                throw Misuse(
                    "\(path): '\(fixture.id)' is already selected; give one of the two another name or variant")
            }
            fixtures.append(fixture)
            files[fixture.id] = path
        }
    }

    /// The trials of a run: the fixtures as they are, or each under each of its sabotages.
    func trials(underSabotage: Bool) throws -> [Trial] {
        guard underSabotage else { return fixtures.map { Trial($0) } }
        let unprotected = fixtures.filter(\.sabotages.isEmpty).map(\.id)
        guard unprotected.isEmpty else {
            throw Misuse(
                "no sabotage is declared for \(unprotected.joined(separator: ", ")): nothing shows it can fail")
        }
        return try fixtures.flatMap { fixture in try fixture.sabotages.map { try Trial(fixture, under: $0) } }
    }
}
