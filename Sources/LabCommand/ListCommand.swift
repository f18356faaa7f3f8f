import ArgumentParser
import Fixtures
import Foundation
import Lab
import Report

struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the built-in fixtures.")

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, differences }

    @Argument(help: "Names or globs in quotes, such as 'ranges/*'.")
    var selection: [String] = []

    @Option(name: .customLong("tag"), help: "Only fixtures with this tag. Repeatable: any of them.")
    var tags: [String] = []

    @Option(
        help:
            "text; json: one object per line; differences: where they expect other things of other kernels, in Markdown."
    )
    var format: Format = .text

    func run() async throws {
        // Nothing is performed here, so the slow ones are no burden.
        let fixtures = try Selection(selection, tags: Set(tags), includesSlow: true).fixtures(from: Catalogue.all)
        switch format {
        case .text:
            try StandardOutput.write(Self.grouped(fixtures).joined(separator: "\n") + "\n")
        case .differences: try StandardOutput.write(DifferencesDocument(fixtures, series: KernelChoice.catalogue().versions).markdown())
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            let lines = try fixtures.map { String(decoding: try encoder.encode(Line($0)), as: UTF8.self) + "\n" }
            try StandardOutput.write(lines.joined())
        }
    }

    /// Families, behaviours and their variants; a fixture's full name is `family/name:variant`.
    private static func grouped(_ fixtures: [Fixture]) -> [String] {
        var lines: [String] = []
        var names: [String] = []
        let variants = Dictionary(grouping: fixtures, by: \.name)
        for fixture in fixtures where !names.contains(fixture.name) {
            if names.last.map({ $0.prefix { $0 != "/" } != fixture.family }) ?? true {
                lines.append((lines.isEmpty ? "" : "\n") + fixture.family + "/")
            }
            names.append(fixture.name)
            let alike = variants[fixture.name] ?? []
            lines.append("  " + fixture.name.dropFirst(fixture.family.count + 1))
            lines.append("      \(fixture.summary)")
            for reason in fixture.because { lines.append("      because: \(reason)") }
            let named = alike.compactMap { fixture in
                fixture.variant.map { $0 + (fixture.tags.contains("slow") ? " (slow)" : "") }
            }
            if !named.isEmpty { lines.append("      variants: \(named.joined(separator: ", "))") }
        }
        return lines
    }

    /// A fixture without its steps: those are what `lab show` is for.
    private struct Line: Encodable {
        var schema = JSONReport.schema
        var fixture: String
        var variant: String?
        var summary: String
        var because: [String]
        var tags: [String]
        var requires: [Feature]
        var sabotages: [String]

        init(_ fixture: Fixture) {
            self.fixture = fixture.name
            variant = fixture.variant
            summary = fixture.summary
            because = fixture.because
            tags = fixture.tags
            requires = fixture.requires
            sabotages = fixture.sabotages.map(\.name)
        }
    }
}
