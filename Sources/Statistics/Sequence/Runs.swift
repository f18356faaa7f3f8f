/// Tests of how long a sequence stays on one side, or goes one way.
public enum Runs {
    /// The number of runs of equal marks, with exact tails, given how many marks there are of each kind (Wald &
    /// Wolfowitz): a biased sequence in random order passes, which the other tests catch.
    public static func aboveAndBelow(_ above: [Bool], subject: String = "") throws(StatisticsError) -> TestResult {
        guard above.count >= 2 else { throw .tooFew(.runs, given: above.count, needed: 2) }
        var runs = 1
        var high = above[0] ? 1 : 0
        var index = 1
        while index < above.count {
            if above[index] != above[index - 1] { runs += 1 }
            if above[index] { high += 1 }
            index += 1
        }
        let tails = RunsDistribution.tails(runs, above: high, below: above.count - high)
        return TestResult(.runs, subject, statistic: Double(runs), lower: tails.lower, upper: tails.upper)
    }

    /// The number of runs above and below the middle of the range.
    public static func aboveAndBelow(_ samples: Samples, subject: String = "") throws(StatisticsError) -> TestResult {
        guard samples.bits > 0 else { throw .widthOutOfRange(width: 0, allowed: 1...64) }
        let middle = UInt64(1) << UInt64(samples.bits - 1)
        return try aboveAndBelow(samples.words.map { $0 >= middle }, subject: subject)
    }

    /// χ² of the lengths of strictly ascending runs.
    ///
    /// The word that ends a run is left out, which makes the runs independent (Knuth, 3.3.2 exercise 14): a length of
    /// r or more has the probability C(2^bits, r) / 2^(bits r), whatever came before.
    public static func ascending(_ samples: Samples, subject: String = "") throws(StatisticsError) -> TestResult {
        guard samples.bits > 0 else { throw .widthOutOfRange(width: 0, allowed: 1...64) }
        let words = samples.words
        guard words.count >= 200 else { throw .tooFew(.ascendingRuns, given: words.count, needed: 200) }
        var lengths: [Int] = []
        var longest = 0
        var start = 0
        while start < words.count {
            var end = start + 1
            while end < words.count, words[end] > words[end - 1] { end += 1 }
            longest = max(longest, end - start)
            // A run which the end of the sample cut off has no known length.
            if end < words.count { lengths.append(end - start) }
            start = end + 1
        }
        // A counter makes one run of all. The longest of n runs reaches r with a probability of at most n / r!.
        if lengths.count < 30 {
            var upper = Double(words.count)
            for r in 1...longest { upper /= Double(r) }
            return TestResult(.ascendingRuns, subject, statistic: Double(longest), lower: 1, upper: upper)
        }
        // Cells 1, 2, … up to the last that is expected ten times, which takes all longer runs.
        let range = Double(sign: .plus, exponent: samples.bits, significand: 1)
        var atLeast = [1.0]
        while true {
            let r = Double(atLeast.count)
            let next = atLeast[atLeast.count - 1] * (range - r) / (range * (r + 1))
            if next * Double(lengths.count) < 10 { break }
            atLeast.append(next)
        }
        return try geometricCells(.ascendingRuns, lengths.map { $0 - 1 }, atLeast, subject)
    }

    /// χ² of `values` where a value of i or more has the probability `atLeast[i]`; the last cell takes the rest.
    static func geometricCells(
        _ test: StatisticalTest, _ values: [Int], _ atLeast: [Double], _ subject: String
    ) throws(StatisticsError) -> TestResult {
        guard atLeast.count >= 2 else { throw .tooFew(test, given: values.count, needed: 100) }
        var counts = [Int](repeating: 0, count: atLeast.count)
        for value in values { counts[min(value, counts.count - 1)] += 1 }
        let probabilities = atLeast.indices.map { $0 + 1 < atLeast.count ? atLeast[$0] - atLeast[$0 + 1] : atLeast[$0] }
        let result = try Frequencies.chiSquared(counts: counts, probabilities: probabilities)
        return TestResult(test, subject, statistic: result.statistic, lower: result.lower, upper: result.upper)
    }
}
