import Glibc

/// Tests of values against the uniform distribution on 0…1.
public enum EmpiricalDistribution {
    /// Kolmogorov's and Smirnov's largest distance between the values and the uniform distribution, either side.
    ///
    /// Two-sided in p as well: values closer to the diagonal than chance allows are also a defect. The distribution is
    /// that of the given number of values, for 1 and more.
    public static func kolmogorovSmirnov(
        _ uniforms: [Double], test: StatisticalTest = .kolmogorovSmirnov, subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        let sorted = try sort(uniforms, test, needed: 1)
        let n = Double(sorted.count)
        var distance = 0.0
        var index = 0
        while index < sorted.count {
            distance = max(distance, Double(index + 1) / n - sorted[index], sorted[index] - Double(index) / n)
            index += 1
        }
        let tails = KolmogorovDistribution.tails(distance, count: sorted.count)
        return TestResult(test, subject, statistic: distance, lower: tails.lower, upper: tails.upper)
    }

    /// Anderson's and Darling's A², which gives the ends of the range more weight. At least 100 values: the tails are
    /// those of many. A value of exactly 0 or 1 makes the statistic infinite.
    public static func andersonDarling(
        _ uniforms: [Double], subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        let sorted = try sort(uniforms, .andersonDarling, needed: 100)
        let n = sorted.count
        var sum = 0.0
        var index = 0
        while index < n {
            sum += Double(2 * index + 1) * (log(sorted[index]) + log1p(-sorted[n - 1 - index]))
            index += 1
        }
        let statistic = -Double(n) - sum / Double(n)
        let tails = AndersonDarlingDistribution.tails(statistic)
        return TestResult(.andersonDarling, subject, statistic: statistic, lower: tails.lower, upper: tails.upper)
    }

    private static func sort(
        _ uniforms: [Double], _ test: StatisticalTest, needed: Int
    ) throws(StatisticsError) -> [Double] {
        guard uniforms.count >= needed else { throw .tooFew(test, given: uniforms.count, needed: needed) }
        for (index, value) in uniforms.enumerated() where !(value >= 0 && value <= 1) {
            throw .notAUniform(index: index, value: value)
        }
        // What is sorted is not sorted again: the battery makes two tests of one sequence.
        var index = 1
        while index < uniforms.count, uniforms[index - 1] <= uniforms[index] { index += 1 }
        return index >= uniforms.count ? uniforms : uniforms.sorted()
    }
}
