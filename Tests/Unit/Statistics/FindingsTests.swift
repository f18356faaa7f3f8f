import Testing

@testable import Statistics

@Suite("Many tests judged together")
struct FindingsTests {
    private func results(_ pValues: [Double]) -> [TestResult] {
        pValues.map { TestResult(.monobit, "p \($0)", statistic: 0, lower: $0 / 2, upper: 1) }
    }

    @Test("Holm multiplies the smallest by all, the next by one fewer, and never lets one fall below the one before")
    func adjusted() {
        // The smallest is multiplied by 4; 3 · 0.0151 is less than 4 · 0.0125 before it.
        #expect(Findings.holm([0.5, 0.0125, 0.0151, 0.6]) == [1, 0.05, 0.05, 1])
        #expect(Findings.holm([]).isEmpty)
    }

    @Test("the verdict names the tests that failed, the most surprising first")
    func failures() {
        let findings = Findings(results([0.5, 1e-5, 1e-9, 0.2]), familywiseRate: 1e-4)
        #expect(!findings.passes)
        #expect(findings.failures.map(\.subject) == ["p 1e-09", "p 1e-05"])
        #expect(findings.failedTests == [.monobit])
        #expect(findings.description.contains("4 tests at a familywise rate of 0.0001: 2 fail"))
    }

    @Test("what one test alone would refuse, a thousand may show by chance")
    func chance() {
        let ones = [Double](repeating: 1, count: 999)
        #expect(Findings(results([1e-5] + ones), familywiseRate: 0.05).passes == false)
        #expect(Findings(results([1e-4] + ones), familywiseRate: 0.05).passes)
    }

    @Test("no tests fail none")
    func empty() {
        #expect(Findings([], familywiseRate: 1e-6).passes)
    }
}
