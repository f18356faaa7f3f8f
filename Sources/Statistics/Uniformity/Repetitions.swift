import Glibc

/// Tests of when values, or distances between them, come again.
public enum Repetitions {
    /// How many of the words were drawn before (D. E. Knuth, TAOCP vol. 2, 3.3.2 I), with exact tails.
    ///
    /// Give about 4·2^(bits/2) words: some collisions are needed to see too few of them. Time and memory grow with
    /// the collisions expected. A cycle shorter than the sample makes too many, a counter none.
    public static func collisions(_ samples: Samples, subject: String = "") throws(StatisticsError) -> TestResult {
        guard samples.count >= 2 else { throw .tooFew(.collisions, given: samples.count, needed: 2) }
        let sorted = samples.words.sorted()
        var collisions = 0
        var index = 1
        while index < sorted.count {
            if sorted[index] == sorted[index - 1] { collisions += 1 }
            index += 1
        }
        let tails = Occupancy.collisions(collisions, balls: sorted.count, cells: scalbn(1.0, samples.bits))
        return TestResult(
            .collisions, subject, statistic: Double(collisions), lower: tails.lower, upper: tails.upper)
    }

    /// How many words of `second` are also in `first`, with exact tails: binomial, given `first`.
    ///
    /// Two workers with equal seeds share what they draw, even if one began much later.
    public static func shared(
        _ first: Samples, _ second: Samples, subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        guard first.bits == second.bits else { throw .unequalLengths(first.bits, second.bits) }
        guard !first.words.isEmpty, !second.words.isEmpty else {
            throw .tooFew(.collisions, given: min(first.count, second.count), needed: 1)
        }
        let drawn = Set(first.words)
        var shared = 0
        for word in second.words where drawn.contains(word) { shared += 1 }
        let tails = BinomialDistribution.tails(
            shared, trials: second.count, probability: min(1, Double(drawn.count) / scalbn(1.0, first.bits)))
        return TestResult(.collisions, subject, statistic: Double(shared), lower: tails.lower, upper: tails.upper)
    }

    /// G. Marsaglia's birthday spacings: the words are taken `birthdays` at a time as days of a year of 2^bits days,
    /// and spacings between neighbours in a sorted group that occur again in it are counted.
    ///
    /// The sum over `groups` is Poisson with mean groups · birthdays³ / 2^(bits + 2), nearly: choose a mean m below
    /// 2^(bits / 4) / 4 (P. L'Ecuyer & R. Simard 2001).
    public static func birthdaySpacings(
        _ samples: Samples, birthdays: Int, subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        guard birthdays >= 3 else { throw .tooFew(.birthdaySpacings, given: birthdays, needed: 3) }
        let groups = samples.count / birthdays
        guard groups > 0 else { throw .tooFew(.birthdaySpacings, given: samples.count, needed: birthdays) }
        var repeated = 0
        for group in 0..<groups {
            let days = samples.words[group * birthdays..<(group + 1) * birthdays].sorted()
            var spacings = [UInt64](repeating: 0, count: birthdays)
            var index = 1
            while index < birthdays {
                spacings[index] = days[index] - days[index - 1]
                index += 1
            }
            // The year is a circle; the first spacing goes round its end.
            let mask: UInt64 = samples.bits == 64 ? .max : (UInt64(1) << UInt64(samples.bits)) - 1
            spacings[0] = (days[0] &- days[birthdays - 1]) & mask
            spacings.sort()
            index = 1
            while index < birthdays {
                if spacings[index] == spacings[index - 1] { repeated += 1 }
                index += 1
            }
        }
        let n = Double(birthdays)
        let mean = Double(groups) * n * n * n / scalbn(4.0, samples.bits)
        let tails = PoissonDistribution.tails(repeated, mean: mean)
        return TestResult(
            .birthdaySpacings, subject, statistic: Double(repeated), lower: tails.lower, upper: tails.upper)
    }

    /// The number of draws until each of `cells` values was seen, with exact tails. If some never was, the statistic
    /// is one more than the draws, and p that of "later".
    public static func couponCollector(
        _ digits: [Int], cells: Int, subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        guard cells >= 2 else { throw .tooFew(.couponCollector, given: cells, needed: 2) }
        guard digits.count >= cells else { throw .tooFew(.couponCollector, given: digits.count, needed: cells) }
        try Samples.check(digits, cells: cells)
        var seen = [Bool](repeating: false, count: cells)
        var missing = cells
        var drawn = 0
        while drawn < digits.count, missing > 0 {
            let digit = digits[drawn]
            if !seen[digit] {
                seen[digit] = true
                missing -= 1
            }
            drawn += 1
        }
        let complete = missing == 0
        let tails = Occupancy.coupons(balls: drawn, complete: complete, cells: cells)
        return TestResult(
            .couponCollector, subject, statistic: Double(complete ? drawn : drawn + 1),
            lower: tails.lower, upper: tails.upper)
    }
}
