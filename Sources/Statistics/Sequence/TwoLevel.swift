/// A test of tests.
public enum TwoLevel {
    /// KS of the χ² p-values of `blocks` consecutive blocks of `digits`: small defects which no block shows, and
    /// blocks that are all too even, are seen in the distribution.
    ///
    /// At least 8 cells, and 16 digits per cell and block: with fewer, the steps of χ² would show (measured over 4,000
    /// repetitions: the distribution of p is off by 0.05 with 8 cells and 128 blocks, by 0.2 with 4 cells, and with 2
    /// cells good generators always fail). For the same reason not many more than 128 blocks.
    public static func chiSquared(
        _ digits: [Int], cells: Int, blocks: Int, subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        guard cells >= 8 else { throw .tooFew(.twoLevel, given: cells, needed: 8) }
        let size = digits.count / max(1, blocks)
        guard blocks >= 1, size >= 16 * cells else {
            throw .tooFew(.twoLevel, given: digits.count, needed: 16 * cells * max(1, blocks))
        }
        var tails: [Double] = []
        for block in 0..<blocks {
            let counts = try Samples.counts(Array(digits[block * size..<(block + 1) * size]), cells: cells)
            tails.append(try Frequencies.chiSquared(counts: counts).upper)
        }
        return try uniform(tails, subject: subject)
    }

    /// KS of p-values (one tail each, not doubled) against the uniform distribution.
    public static func uniform(_ pValues: [Double], subject: String = "") throws(StatisticsError) -> TestResult {
        try EmpiricalDistribution.kolmogorovSmirnov(pValues, test: .twoLevel, subject: subject)
    }
}
