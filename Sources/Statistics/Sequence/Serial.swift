/// Tests of each value against one drawn before it.
public enum Serial {
    /// χ² of the pairs (i, i + lag) of `digits` over all `cells`² pairs.
    ///
    /// The pairs are disjoint, so that the counts are multinomial: blocks of lag digits are paired, and each digit is
    /// in one pair.
    public static func pairs(
        _ digits: [Int], cells: Int, lag: Int, subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        guard lag > 0 else { throw .lagOutOfRange(lag) }
        try Samples.check(digits, cells: cells)
        var counts = [Int](repeating: 0, count: cells * cells)
        var block = 0
        while block + 2 * lag <= digits.count {
            var index = block
            while index < block + lag {
                counts[digits[index] * cells + digits[index + lag]] += 1
                index += 1
            }
            block += 2 * lag
        }
        let pairs = block / 2
        guard pairs >= 5 * cells * cells else {
            throw .tooFew(.serial, given: digits.count, needed: 10 * cells * cells + 2 * lag)
        }
        let result = try Frequencies.chiSquared(counts: counts)
        return TestResult(
            .serial, subject, statistic: result.statistic, lower: result.lower, upper: result.upper)
    }
}
