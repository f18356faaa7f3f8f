import Foundation
import Lab
import Testing
import VirtualMachine

@testable import Fixtures
@testable import Report

@Suite("Differences between kernels")
struct DifferencesTests {
    private static let versions = VersionSet(KernelVersion(6, 18), KernelVersion(6, 17, 8))

    private func fixture(_ variant: String, _ expectations: [Lab.Expectation], to port: UInt16 = 80) throws -> Fixture {
        Fixture(
            name: "port/shared", variant: variant, summary: "A port is shared.", because: ["commit d57f4b874946"],
            steps: [
                Step(.namespace("host")),
                Step(.sysctl(SystemControl(namespace: "host", key: "a.\(port)", value: "1|2")), expect: expectations),
            ])
    }

    private func flip(_ before: Outcome, _ after: Outcome) -> [Lab.Expectation] {
        let because = "commit d57f4b874946: told | retold"
        return [
            Lab.Expectation(before, until: DifferencesTests.versions, because: because),
            Lab.Expectation(after, since: DifferencesTests.versions, because: because),
        ]
    }

    @Test("docs/differences.md is what the catalogue says: `make differences` prints it anew")
    func documentIsFresh() throws {
        let stored = try String(contentsOfFile: "\(PackageRoot.find())/docs/differences.md", encoding: .utf8)
        let series = try KernelCatalogue.load(from: "\(PackageRoot.find())/vm/kernels.yaml").versions
        // Not #expect(a == b): nobody wants to read both when they differ.
        let isFresh = stored == DifferencesDocument(Catalogue.all, series: series).markdown()
        #expect(isFresh, "docs/differences.md is stale: run `make differences`")
    }

    private func document(_ fixtures: [Fixture]) -> String {
        DifferencesDocument(
            fixtures, series: [KernelVersion(6, 12), KernelVersion(6, 17), KernelVersion(6, 18), KernelVersion(7, 0)]
        ).markdown()
    }

    @Test("a difference is shown with its step, what holds before and since, and why")
    func row() throws {
        let text = document([try fixture("tcp", flip(.refused, .succeeds))])
        #expect(
            text.contains("| commit d57f4b874946: told \\| retold | 6.18 | – | 6.17.8 | yes | yes | `port/shared` |"))
        #expect(
            text.contains(
                "| 2. set a.80=1\\|2 in host | before 6.18, 6.17.8 | refused, and no socket receives anything | d57f4b874946 |"
            ))
        #expect(text.contains("|  | since 6.18, 6.17.8 | succeeds | d57f4b874946 |"))
    }

    @Test("variants that differ alike are shown once, others by themselves")
    func variants() throws {
        let text = document([
            try fixture("tcp-ipv4", flip(.refused, .succeeds)),
            try fixture("tcp-ipv6", flip(.refused, .succeeds), to: 81),
            try fixture("udp-ipv4", flip(.silent, .succeeds)),
            try fixture("udp-ipv6", [Lab.Expectation(.succeeds)]),
        ])
        #expect(text.contains("`tcp-ipv4`, `tcp-ipv6`:\n"))
        #expect(text.contains("\n`udp-ipv4`:\n"))
        #expect(!text.contains("udp-ipv6"))
        #expect(text.components(separatedBy: "### port/shared").count == 2)
    }

    @Test("of many facts, those are shown that differ")
    func facts() throws {
        let text = document([
            try fixture("tcp", flip(.facts(["a": "1", "b": "ok"]), .facts(["a": "1", "b": "EADDRINUSE"])))
        ])
        #expect(text.contains("| b: ok |"))
        #expect(text.contains("| b: EADDRINUSE |"))
        #expect(!text.contains("a: 1"))
    }

    @Test("changes are in the order of mainline")
    func order() throws {
        let old = VersionSet(KernelVersion(5, 14))
        let text = document([
            try fixture("tcp", flip(.refused, .succeeds)),
            try fixture(
                "udp",
                [
                    Lab.Expectation(.refused, until: old, because: "commit 94c821c74bf5"),
                    Lab.Expectation(.succeeds, since: old, because: "commit 94c821c74bf5"),
                ]),
        ])
        let early = try #require(text.range(of: "| commit 94c821c74bf5 | 5.14 | yes |"))
        let late = try #require(text.range(of: "| commit d57f4b874946"))
        #expect(early.lowerBound < late.lowerBound)
    }

    @Test(
        "whatever holds for some kernels only says which commit made it so, or that this was measured",
        arguments: Catalogue.all.map(\.id))
    func reasons(id: String) throws {
        let fixture = try #require(Catalogue.all.first { $0.id == id })
        for step in fixture.steps {
            for expectation in step.expect where expectation.since != nil || expectation.until != nil {
                let because = try #require(expectation.because, "\(step.action.summary)")
                #expect(
                    because.contains(#/\b[0-9a-f]{12}\b|CVE-\d{4}-\d+|measured/#),
                    "neither a commit, a CVE nor a measurement: \(because)")
            }
        }
    }

    /// Where every boundary lies, and the releases that the lab runs on.
    private static func versions(of step: Step) -> [KernelVersion] {
        let boundaries = step.expect.flatMap { ($0.since?.first ?? []) + ($0.until?.first ?? []) }
        let before = boundaries.map {
            $0.patch > 0
                ? KernelVersion($0.major, $0.minor, $0.patch - 1)
                : KernelVersion($0.major, $0.minor - 1, 99)
        }
        let releases = ["5.10.262", "6.1.192", "6.12.117", "6.16.12", "6.17.13", "6.18.15", "6.19.14", "7.0.13"]
        return boundaries + before + releases.compactMap { KernelVersion($0) }
    }

    @Test("one expectation applies at every boundary and before it", arguments: Catalogue.all.map(\.id))
    func boundaries(id: String) throws {
        let fixture = try #require(Catalogue.all.first { $0.id == id })
        for step in fixture.steps where step.expect.count > 1 {
            for version in Self.versions(of: step) { _ = try step.expectation(for: version) }
        }
    }
}
