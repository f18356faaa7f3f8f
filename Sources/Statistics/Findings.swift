/// The results of many tests, judged together so that all of them cry wolf at a stated rate.
public struct Findings: Sendable {
    public let results: [TestResult]
    /// The probability, for a good generator, that any test fails: at most this.
    public let familywiseRate: Double
    /// Holm's adjusted p-value of each result: it fails if it is at most ``familywiseRate``.
    public let adjusted: [Double]

    /// Judges `results` by S. Holm's step-down procedure (1979), which needs no independence between them.
    public init(_ results: [TestResult], familywiseRate: Double) {
        self.results = results
        self.familywiseRate = familywiseRate
        self.adjusted = Findings.holm(results.map(\.pValue))
    }

    /// The number of tests that the correction is for.
    public var count: Int { results.count }

    /// The results that a good generator would not have had, most surprising first.
    public var failures: [TestResult] {
        results.indices.filter { adjusted[$0] <= familywiseRate }
            .sorted { results[$0].pValue < results[$1].pValue }.map { results[$0] }
    }

    public var failedTests: Set<StatisticalTest> { Set(failures.map(\.test)) }

    public var passes: Bool { !adjusted.contains { $0 <= familywiseRate } }

    /// The smallest p-value of each test that was made.
    public var smallest: [StatisticalTest: Double] {
        var smallest: [StatisticalTest: Double] = [:]
        for result in results { smallest[result.test] = min(result.pValue, smallest[result.test] ?? 1) }
        return smallest
    }

    /// Holm's adjusted p-values, in the order given: the i-th smallest (from 0) times how many are left, m − i, no
    /// smaller than any before it, at most 1.
    public static func holm(_ pValues: [Double]) -> [Double] {
        let order = pValues.indices.sorted { pValues[$0] < pValues[$1] }
        var adjusted = [Double](repeating: 1, count: pValues.count)
        var largest = 0.0
        for (rank, index) in order.enumerated() {
            largest = max(largest, min(1, pValues[index] * Double(pValues.count - rank)))
            adjusted[index] = largest
        }
        return adjusted
    }
}

extension Findings: CustomStringConvertible {
    /// The verdict: how many tests at which rate, and each failure on a line of its own.
    public var description: String {
        let failures = failures
        let head = "\(count) tests at a familywise rate of \(familywiseRate): "
        if failures.isEmpty { return head + "all pass, smallest p \(results.map(\.pValue).min() ?? 1)" }
        // A broken generator fails in most of some thousand bits and pairs.
        let shown = failures.prefix(20).map { "\n  \($0)" }.joined()
        let rest = failures.count > 20 ? "\n  and \(failures.count - 20) more" : ""
        return head + "\(failures.count) fail" + shown + rest
    }
}
