import Glibc
import Testing

@testable import Statistics

@Suite("Planted defects are caught")
struct PowerTests {
    @Test("a defect is refused by the tests that are there for it, and nothing else is accused", arguments: Defect.all)
    func caught(defect: Defect) throws {
        let verdict = try AddressBattery.examine(defect.source)
        let missed = defect.caughtBy.subtracting(verdict.findings.failedTests)
        #expect(missed.isEmpty, "\(verdict.findings)")
        let mistaken = verdict.accused.subtracting(defect.accuses)
        #expect(mistaken.isEmpty, "\(verdict.findings)")
        PowerTable.write(verdict)
    }

    @Test("every test has a defect that it must catch", arguments: StatisticalTest.allCases)
    func designated(test: StatisticalTest) {
        #expect(Defect.all.contains { $0.caughtBy.contains(test) })
    }
}

/// The rows of the power table, defect by test: what each test made of each defect.
///
/// `LAB_POWER_TABLE=FILE swift test --filter Planted` appends a row per defect to FILE, in Markdown; an empty FILE gets
/// the head first.
enum PowerTable {
    static func write(_ verdict: AddressBattery.Verdict) {
        guard let path = getenv("LAB_POWER_TABLE"), let file = fopen(path, "a") else { return }
        defer { fclose(file) }
        // One write, so that tests which run at once do not mix their rows.
        let text = (ftell(file) == 0 ? head : "") + row(verdict)
        fputs(text, file)
    }

    private static var head: String {
        let names = StatisticalTest.allCases.map(\.rawValue)
        return "| defect | " + names.joined(separator: " | ") + " |\n"
            + "|" + [String](repeating: "---|", count: names.count + 1).joined() + "\n"
    }

    /// The power of ten of the smallest p-value, bold if the test refuses at the rate of the findings.
    static func row(_ verdict: AddressBattery.Verdict) -> String {
        let (smallest, failed) = (verdict.findings.smallest, verdict.findings.failedTests)
        let cells = StatisticalTest.allCases.map { test in
            guard let p = smallest[test] else { return "" }
            let exponent = p < 1e-300 ? "<-300" : "\(Int(log10(p).rounded(.down)))"
            return failed.contains(test) ? "**\(exponent)**" : exponent
        }
        return "| \(verdict.source) | " + cells.joined(separator: " | ") + " |\n"
    }
}
