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
    }

    @Test("every test has a defect that it must catch", arguments: StatisticalTest.allCases)
    func designated(test: StatisticalTest) {
        #expect(Defect.all.contains { $0.caughtBy.contains(test) })
    }

    /// `LAB_POWER_TABLE=FILE swift test --filter PowerTests` writes what each test made of each defect to FILE.
    @Test("the power table is written where LAB_POWER_TABLE says", .enabled(if: PowerTable.path != nil))
    func table() throws {
        let path = try #require(PowerTable.path)
        let good = AddressSource("none (a good generator)") { number in
            var generator = SplitMix64(seed: UInt64(number))
            return { _ in (v4: generator.next(bits: 8), v6: generator.next()) }
        }
        let verdicts = try ([good] + Defect.all.map(\.source)).map { try AddressBattery.examine($0) }
        let file = try #require(fopen(path, "w"), "\(path): errno \(errno)")
        defer { fclose(file) }
        fputs(PowerTable.markdown(verdicts), file)
    }
}

/// Defects by tests, in Markdown. A cell is the power of ten of the smallest p-value of that test, bold where the test
/// refuses the generator by Holm's correction over all tests of the row.
enum PowerTable {
    static var path: String? { getenv("LAB_POWER_TABLE").map { String(cString: $0) } }

    static func markdown(_ verdicts: [AddressBattery.Verdict]) -> String {
        let names = StatisticalTest.allCases.map(\.rawValue)
        return "| defect | " + names.joined(separator: " | ") + " |\n"
            + "|" + [String](repeating: "---|", count: names.count + 1).joined() + "\n"
            + verdicts.map(row).joined()
    }

    private static func row(_ verdict: AddressBattery.Verdict) -> String {
        let (smallest, failed) = (verdict.findings.smallest, verdict.findings.failedTests)
        let cells = StatisticalTest.allCases.map { test in
            guard let p = smallest[test] else { return "" }
            let exponent = p < 1e-300 ? "<-300" : "\(Int(log10(p).rounded(.down)))"
            return failed.contains(test) ? "**\(exponent)**" : exponent
        }
        return "| \(verdict.source) | " + cells.joined(separator: " | ") + " |\n"
    }
}
