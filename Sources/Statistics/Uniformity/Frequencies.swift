import Glibc

/// Tests of how often each value occurs.
public enum Frequencies {
    /// Pearson's χ² of `counts` against `probabilities`, or against equal ones.
    ///
    /// An observation where the probability is 0 makes the statistic infinite and p 0.
    ///
    /// The χ² distribution is a limit. At an upper tail of 1e-9 the exact one is this many times larger (by
    /// convolution of the multinomial): 1.15 for 256 cells of mean 64, 1.35 for 256 of 16, 1.7 for 16 of 64, 5.7 for
    /// 16 of 16; at 1e-3 at most 1.1.
    ///
    /// - Throws: ``StatisticsError/tooFew(_:given:needed:)`` below two cells or five observations per cell.
    public static func chiSquared(
        counts: [Int], probabilities: [Double]? = nil, subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        let cells = try expectations(.chiSquared, counts, probabilities)
        var statistic = 0.0
        var index = 0
        while index < counts.count {
            let difference = Double(counts[index]) - cells.expected[index]
            if cells.expected[index] > 0 {
                statistic += difference * difference / cells.expected[index]
            } else if counts[index] > 0 {
                statistic = .infinity
            }
            index += 1
        }
        let tails = ChiSquaredDistribution.tails(
            ofCounts: statistic, degreesOfFreedom: cells.possible - 1, step: cells.step)
        return TestResult(.chiSquared, subject, statistic: statistic, lower: tails.lower, upper: tails.upper)
    }

    /// The likelihood-ratio statistic G of `counts` against `probabilities`, or against equal ones, with Williams'
    /// correction (D. A. Williams 1976), without which its mean is too large by (cells + 1) / 6n.
    ///
    /// - Throws: as ``chiSquared(counts:probabilities:subject:)``.
    public static func likelihoodRatio(
        counts: [Int], probabilities: [Double]? = nil, subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        let cells = try expectations(.likelihoodRatio, counts, probabilities)
        var sum = 0.0
        var inverse = 0.0
        var index = 0
        while index < counts.count {
            let (observed, expected) = (Double(counts[index]), cells.expected[index])
            if expected > 0 {
                // The deviances sum to the same as observed · ln(observed / expected), without its cancellation.
                sum += observed > 0 ? Gamma.deviance(observed, expected) : expected
                inverse += cells.total / expected
            } else if observed > 0 {
                sum = .infinity
            }
            index += 1
        }
        let correction = 1 + (inverse - 1) / (6 * cells.total * Double(cells.possible - 1))
        let statistic = 2 * sum / correction
        let tails = ChiSquaredDistribution.tails(
            ofCounts: statistic, degreesOfFreedom: cells.possible - 1, step: cells.step)
        return TestResult(.likelihoodRatio, subject, statistic: statistic, lower: tails.lower, upper: tails.upper)
    }

    /// The largest of `counts`, each value being equally likely.
    ///
    /// The tails are bounds, so p is never too small: P(max ≥ c) ≤ cells · P(N ≥ c), the union bound, and
    /// P(max ≤ c) ≤ P(N ≤ c)^cells, because multinomial counts are negatively associated (K. Joag-Dev & F. Proschan
    /// 1983). N is one cell's binomial count.
    public static func maximumLoad(counts: [Int], subject: String = "") throws(StatisticsError) -> TestResult {
        let cells = try expectations(.maximumLoad, counts, nil)
        let load = counts.max() ?? 0
        let one = BinomialDistribution.tails(load, trials: Int(cells.total), probability: 1 / Double(counts.count))
        // ln(1 − x) of the complement keeps a lower tail near 1 exact.
        let below = exp(Double(counts.count) * logOfLower(one, load, cells.total, counts.count))
        return TestResult(
            .maximumLoad, subject, statistic: Double(load), lower: below, upper: Double(counts.count) * one.upper)
    }

    /// The smallest of `counts`, each value being equally likely. The tails are bounds as those of
    /// ``maximumLoad(counts:subject:)``: P(min ≤ c) ≤ cells · P(N ≤ c) and P(min ≥ c) ≤ P(N ≥ c)^cells.
    public static func minimumLoad(counts: [Int], subject: String = "") throws(StatisticsError) -> TestResult {
        let cells = try expectations(.minimumLoad, counts, nil)
        let load = counts.min() ?? 0
        let one = BinomialDistribution.tails(load, trials: Int(cells.total), probability: 1 / Double(counts.count))
        return TestResult(
            .minimumLoad, subject, statistic: Double(load),
            lower: Double(counts.count) * one.lower, upper: pow(one.upper, Double(counts.count)))
    }

    private static func logOfLower(_ one: Tails, _ load: Int, _ total: Double, _ cells: Int) -> Double {
        let point = BinomialDistribution.probability(load, trials: Int(total), probability: 1 / Double(cells))
        return one.lower > 0.5 ? log1p(-max(0, one.upper - point)) : log(one.lower)
    }

    private struct Cells {
        let expected: [Double]
        let total: Double
        /// How many have a probability above 0.
        let possible: Int

        /// How much the statistic grows from its least value when one observation moves: 1/e + 1/e for the two cells.
        var step: Double { 2 / (expected.filter { $0 > 0 }.min() ?? 1) }
    }

    private static func expectations(
        _ test: StatisticalTest, _ counts: [Int], _ probabilities: [Double]?
    ) throws(StatisticsError) -> Cells {
        var total = 0
        for (index, count) in counts.enumerated() {
            if count < 0 { throw .negativeCount(index: index, count: count) }
            total += count
        }
        var possible = counts.count
        var expected = [Double](repeating: Double(total) / Double(max(1, counts.count)), count: counts.count)
        if let probabilities {
            guard probabilities.count == counts.count else {
                throw .unequalLengths(counts.count, probabilities.count)
            }
            let sum = probabilities.reduce(0, +)
            guard probabilities.allSatisfy({ $0 >= 0 }), abs(sum - 1) < 1e-9 else { throw .notProbabilities }
            expected = probabilities.map { $0 * Double(total) }
            possible = probabilities.count { $0 > 0 }
        }
        guard possible >= 2 else { throw .tooFew(test, given: possible, needed: 2) }
        guard total >= 5 * possible else { throw .tooFew(test, given: total, needed: 5 * possible) }
        return Cells(expected: expected, total: Double(total), possible: possible)
    }
}
