/// A test of the wait between two visits.
public enum Gaps {
    /// χ² of the numbers of other digits between two occurrences of `digit` (Knuth, 3.3.2 D), which is geometric.
    ///
    /// Gaps that the ends of the sample cut off are left out; what that adds to the mean of χ² is of the order of one
    /// gap in all.
    public static func between(
        _ digits: [Int], equalTo digit: Int, cells: Int, subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        try Samples.check(digits, cells: cells)
        var gaps: [Int] = []
        var last: Int?
        var index = 0
        while index < digits.count {
            if digits[index] == digit {
                if let last { gaps.append(index - last - 1) }
                last = index
            }
            index += 1
        }
        let expected = digits.count / max(1, cells)
        guard expected >= 100, cells >= 2 else {
            throw .tooFew(.gaps, given: digits.count, needed: 100 * max(2, cells))
        }
        // A digit that is hardly ever drawn is a finding, not a lack of samples.
        guard gaps.count >= expected / 4 else {
            let visits = gaps.count + (last == nil ? 0 : 1)
            let tails = BinomialDistribution.tails(visits, trials: digits.count, probability: 1 / Double(cells))
            return TestResult(.gaps, subject, statistic: Double(visits), lower: tails.lower, upper: tails.upper)
        }
        let other = 1 - 1 / Double(cells)
        var atLeast = [1.0]
        while atLeast[atLeast.count - 1] * other * Double(gaps.count) >= 10 {
            atLeast.append(atLeast[atLeast.count - 1] * other)
        }
        return try Runs.geometricCells(.gaps, gaps, atLeast, subject)
    }
}
