/// Tests of the bits of a word, all with exact binomial tails.
public enum Bits {
    /// For each bit, how often it is 1.
    public static func monobit(_ samples: Samples, subject: String = "") throws(StatisticsError) -> [TestResult] {
        try monobit(BitColumns(samples), subject)
    }

    /// For each two bits of a word, how often they differ.
    ///
    /// A 2×2 table of two fair bits has three degrees of freedom: one for each bit, which ``monobit(_:subject:)``
    /// tests, and this one. So a stuck bit does not also accuse all its pairs.
    public static func pairs(_ samples: Samples, subject: String = "") throws(StatisticsError) -> [TestResult] {
        try pairs(BitColumns(samples), subject)
    }

    /// For each bit and each lag k, how often the bit differs between draws i and i + k.
    ///
    /// The pairs overlap, and the count is binomial all the same: differences of independent fair bits at one lag are
    /// themselves independent and fair.
    public static func lags(
        _ samples: Samples, lags: [Int] = [1, 2, 3, 4], subject: String = ""
    ) throws(StatisticsError) -> [TestResult] {
        try self.lags(BitColumns(samples), lags, subject)
    }

    /// For each bit of `first` and each of `second`, how often they differ in the same observation.
    public static func cross(
        _ first: Samples, _ second: Samples, subject: String = ""
    ) throws(StatisticsError) -> [TestResult] {
        guard first.count == second.count else { throw .unequalLengths(first.count, second.count) }
        try check(.crossBits, first.count)
        let (columns, others) = (BitColumns(first).columns, BitColumns(second).columns)
        var results: [TestResult] = []
        var tails = TailsOfFairBits(trials: first.count)
        for bit in columns.indices {
            for other in others.indices {
                let differing = BitColumns.differences(columns[bit], others[other])
                results.append(tails.result(.crossBits, "\(subject) bits \(bit) × \(other)", differing))
            }
        }
        return results
    }

    /// For each bit and each lag −`most` … `most`, how often it differs between draw i of `first` and draw i + lag of
    /// `second`: two workers with equal seeds, one of which began a few draws later, agree in all bits at one lag.
    public static func crossLags(
        _ first: Samples, _ second: Samples, most: Int, subject: String = ""
    ) throws(StatisticsError) -> [TestResult] {
        guard first.count == second.count else { throw .unequalLengths(first.count, second.count) }
        guard first.bits == second.bits else { throw .unequalLengths(first.bits, second.bits) }
        guard most >= 0 else { throw .lagOutOfRange(most) }
        try check(.crossBits, first.count - most)
        let (columns, others) = (BitColumns(first).columns, BitColumns(second).columns)
        var results: [TestResult] = []
        for lag in -most...most {
            var tails = TailsOfFairBits(trials: first.count - abs(lag))
            for bit in columns.indices {
                let differing =
                    lag >= 0
                    ? BitColumns.differences(columns[bit], others[bit], lag: lag, count: first.count)
                    : BitColumns.differences(others[bit], columns[bit], lag: -lag, count: first.count)
                results.append(tails.result(.crossBits, "\(subject) bit \(bit) lag \(lag)", differing))
            }
        }
        return results
    }

    static func monobit(_ columns: BitColumns, _ subject: String) throws(StatisticsError) -> [TestResult] {
        try check(.monobit, columns.count)
        var tails = TailsOfFairBits(trials: columns.count)
        return columns.columns.indices.map { tails.result(.monobit, "\(subject) bit \($0)", columns.ones($0)) }
    }

    static func pairs(_ columns: BitColumns, _ subject: String) throws(StatisticsError) -> [TestResult] {
        try check(.bitPairs, columns.count)
        var results: [TestResult] = []
        var tails = TailsOfFairBits(trials: columns.count)
        for bit in columns.columns.indices {
            for other in 0..<bit {
                let differing = BitColumns.differences(columns.columns[bit], columns.columns[other])
                results.append(tails.result(.bitPairs, "\(subject) bits \(other), \(bit)", differing))
            }
        }
        return results
    }

    static func lags(
        _ columns: BitColumns, _ lags: [Int], _ subject: String
    ) throws(StatisticsError) -> [TestResult] {
        var results: [TestResult] = []
        for lag in lags {
            guard lag > 0 else { throw .lagOutOfRange(lag) }
            try check(.bitLags, columns.count - lag)
            var tails = TailsOfFairBits(trials: columns.count - lag)
            for (bit, column) in columns.columns.enumerated() {
                let differing = BitColumns.differences(column, column, lag: lag, count: columns.count)
                results.append(tails.result(.bitLags, "\(subject) bit \(bit) lag \(lag)", differing))
            }
        }
        return results
    }

    private static func check(_ test: StatisticalTest, _ count: Int) throws(StatisticsError) {
        if count < 1 { throw .tooFew(test, given: max(0, count), needed: 1) }
    }
}

/// The tails of a fair coin, kept by count: thousands of bit pairs share a few hundred counts.
private struct TailsOfFairBits {
    let trials: Int
    private var known: [Int: Tails] = [:]

    init(trials: Int) { self.trials = trials }

    mutating func result(_ test: StatisticalTest, _ subject: String, _ count: Int) -> TestResult {
        let tails = known[count] ?? BinomialDistribution.tails(count, trials: trials, probability: 0.5)
        known[count] = tails
        return TestResult(test, subject, statistic: Double(count), lower: tails.lower, upper: tails.upper)
    }
}
