import Fixtures
import Foundation
import Testing
import VirtualMachine

@Suite("The table of the kernel's own subtests")
struct UpstreamTableTests {
    /// The rows of each section's table: the first column, and the fixtures that the second names.
    private static func sections() throws -> [(title: String, rows: [(subject: String, fixtures: [String])])] {
        let text = try String(contentsOfFile: "\(PackageRoot.find())/docs/upstream-selftests.md", encoding: .utf8)
        return text.components(separatedBy: "\n## ").dropFirst().map { section in
            let lines = section.split(separator: "\n").map(String.init)
            let rows = lines.filter { $0.hasPrefix("| ") }.dropFirst().map { line in
                let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
                let fixtures = cells[1].split(separator: "`").map(String.init).filter { $0.contains("/") }
                return (subject: cells[0], fixtures: fixtures)
            }
            return (title: lines[0], rows: rows)
        }
    }

    @Test("every row names fixtures that exist")
    func names() throws {
        let known = Set(Catalogue.all.map(\.id))
        for section in try UpstreamTableTests.sections() {
            #expect(!section.rows.isEmpty)
            for row in section.rows {
                #expect(!row.fixtures.isEmpty, "\(row.subject)")
                #expect(row.fixtures.filter { !known.contains($0) } == [], "\(row.subject)")
            }
        }
    }

    @Test("all 50 subtests are there, each once")
    func complete() throws {
        let subtests = try #require(try UpstreamTableTests.sections().first { $0.title.contains("prog_tests") }).rows
        #expect(subtests.count == 50)
        #expect(Set(subtests.map(\.subject)).count == 50)
        // As many of each kind as the kernel's test has.
        let kinds = [
            "redir": 20, "drop on lookup": 4, "drop on valid ifindex": 4, "drop on reuseport": 4, "multi prog": 9,
        ]
        for (kind, count) in kinds {
            let found = subtests.filter { row in
                row.subject.contains(kind) && (kind == "multi prog" || !row.subject.contains("multi prog"))
            }
            #expect(found.count == count, "\(kind)")
        }
    }
}
