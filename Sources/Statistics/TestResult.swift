/// What one test found.
///
/// Both tails are kept, each with its full relative precision: a generator which is too even is as
/// defective as one which is not even enough, and only the lower tail tells.
public struct TestResult: Hashable, Sendable {
    public let test: StatisticalTest
    /// What of the samples was tested: `bit 3`, `low 8 bits`, `name × v4 low 4 bits`.
    public let subject: String
    public let statistic: Double
    /// The probability, for a good generator, of a statistic at most as large: 0…1.
    public let lower: Double
    /// The probability, for a good generator, of a statistic at least as large: 0…1.
    public let upper: Double

    public init(_ test: StatisticalTest, _ subject: String, statistic: Double, lower: Double, upper: Double) {
        self.test = test
        self.subject = subject
        self.statistic = statistic
        self.lower = min(1, max(0, lower))
        self.upper = min(1, max(0, upper))
    }

    /// The two-sided p-value: twice the smaller tail, at most 1.
    ///
    /// Exact for a continuous statistic; conservative for a discrete one, since both tails include the
    /// observed value.
    public var pValue: Double { min(1, 2 * min(lower, upper)) }

    /// The same result, said of a subject with `prefix` before it.
    public func of(_ prefix: String) -> TestResult {
        TestResult(
            test, subject.isEmpty ? prefix : "\(prefix) \(subject)", statistic: statistic, lower: lower, upper: upper)
    }

    /// The probability transform of the statistic, which is uniform on 0…1 for a good generator even where the
    /// statistic is discrete: a point of the observed value's step, chosen by `fraction` (uniform on 0…1).
    ///
    /// Used to test the tests: a p-value which is computed wrongly is not uniform.
    public func probabilityTransform(fraction: Double) -> Double {
        let step = max(0, lower + upper - 1)
        return min(1, max(0, lower - step * fraction))
    }
}

extension TestResult: CustomStringConvertible {
    public var description: String {
        "\(test) of \(subject): statistic \(statistic), p \(pValue) (\(lower < upper ? "low" : "high"))"
    }
}
