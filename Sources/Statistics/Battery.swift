import Glibc

/// All tests that a sequence of host parts has enough draws for.
///
/// Sizes follow from the number of draws n and the width alone: 16 or more draws per cell, means of some repetitions
/// for the tests which count them. n = 16,384 is enough for every test; a few hundred leave most of them out.
public enum Battery {
    /// The tests of one sequence: is it uniform, and each draw independent of those before?
    ///
    /// - Parameters:
    ///   - subject: what the samples are, said before the part that each test looks at.
    ///   - generator: draws the fractions which spread a small range (``Samples/uniforms(using:)``).
    public static func sequence(
        _ samples: Samples, subject: String, using generator: inout some RandomNumberGenerator
    ) throws(StatisticsError) -> [TestResult] {
        guard samples.bits > 0, samples.count >= fewest else { return [] }
        let n = samples.count
        var results: [TestResult] = []
        let columns = BitColumns(samples)
        results += try Bits.monobit(columns, subject)
        results += try Bits.pairs(columns, subject)
        results += try Bits.lags(columns, [1, 2, 3, 4], subject)
        results.append(try Runs.aboveAndBelow(samples, subject: subject))
        if n >= 1000 { results.append(try Runs.ascending(samples, subject: subject)) }

        let uniforms = samples.uniforms(using: &generator).sorted()
        results.append(try EmpiricalDistribution.kolmogorovSmirnov(uniforms, subject: subject))
        if n >= 100 { results.append(try EmpiricalDistribution.andersonDarling(uniforms, subject: subject)) }

        for part in parts(samples.bits, widest: min(8, bitsBelow(n / 16))) {
            let digits = try samples.digits(part.width, part.end)
            let cells = 1 << part.width
            let counts = try Samples.counts(digits, cells: cells)
            let name = "\(subject) \(part)"
            results.append(try Frequencies.chiSquared(counts: counts, subject: name))
            results.append(try Frequencies.likelihoodRatio(counts: counts, subject: name))
            results.append(try Frequencies.maximumLoad(counts: counts, subject: name))
            results.append(try Frequencies.minimumLoad(counts: counts, subject: name))
            results.append(try Repetitions.couponCollector(digits, cells: cells, subject: name))
        }
        for part in parts(samples.bits, widest: min(4, bitsBelow(n / 32) / 2)) {
            let digits = try samples.digits(part.width, part.end)
            for lag in [1, 2] {
                results.append(
                    try Serial.pairs(digits, cells: 1 << part.width, lag: lag, subject: "\(subject) \(part) lag \(lag)")
                )
            }
        }
        for part in parts(samples.bits, widest: min(3, bitsBelow(n / 128))) {
            let digits = try samples.digits(part.width, part.end)
            for digit in [0, (1 << part.width) - 1] {
                let name = "\(subject) \(part) equal to \(digit)"
                results.append(try Gaps.between(digits, equalTo: digit, cells: 1 << part.width, subject: name))
            }
        }
        for part in parts(samples.bits, widest: min(3, bitsBelow(n / 16 / twoLevelBlocks))) where part.width == 3 {
            let digits = try samples.digits(part.width, part.end)
            let name = "\(subject) \(part)"
            results.append(
                try TwoLevel.chiSquared(digits, cells: 1 << part.width, blocks: twoLevelBlocks, subject: name))
        }
        results += try repetitions(samples, subject)
        return results
    }

    /// The tests of two words of the same observations, such as A and AAAA: is each independent of the other?
    public static func independence(
        _ first: Samples, _ second: Samples, subject: String
    ) throws(StatisticsError) -> [TestResult] {
        guard first.bits > 0, second.bits > 0, first.count >= fewest else { return [] }
        var results = try Bits.cross(first, second, subject: subject)
        results += try tables(first, second, subject)
        return results
    }

    /// The tests of two workers which should have nothing in common, draw by draw or a few draws apart.
    public static func workers(
        _ first: Samples, _ second: Samples, subject: String
    ) throws(StatisticsError) -> [TestResult] {
        guard first.bits > 0, first.count >= fewest else { return [] }
        var results = try Bits.crossLags(first, second, most: 4, subject: subject)
        results += try tables(first, second, subject)
        // What one worker drew, the other should not draw more often than by chance, however much later.
        let (wide, other) = (first.joined(toAtLeast: 20), second.joined(toAtLeast: 20))
        let width = min(wide.bits, bitsBelow(wide.count * wide.count / 16))
        if width >= 8 {
            results.append(
                try Repetitions.shared(
                    try wide.part(width, .low), try other.part(width, .low), subject: "\(subject) low \(width) bits"))
        }
        return results
    }

    /// The tests of `samples` against the number of the name (or of the resolver, or the policy) each was drawn for.
    public static func independence(
        ofNames names: [Int], _ samples: Samples, subject: String
    ) throws(StatisticsError) -> [TestResult] {
        guard names.count == samples.count else { throw .unequalLengths(names.count, samples.count) }
        guard samples.bits > 0 else { return [] }
        let rows = 16
        var results: [TestResult] = []
        for part in parts(samples.bits, widest: min(4, bitsBelow(names.count / rows / 16))) {
            results.append(
                try ContingencyTable.independence(
                    names.map { (($0 % rows) + rows) % rows }, of: rows,
                    try samples.digits(part.width, part.end), of: 1 << part.width, subject: "\(subject) \(part)"))
        }
        return results
    }

    /// With fewer draws there is nothing to say at any useful rate.
    private static let fewest = 64
    private static let twoLevelBlocks = 128

    private struct Part: CustomStringConvertible {
        let width: Int
        let end: Samples.End
        var description: String { "\(end) \(width) bits" }
    }

    /// The ends of a word, `widest` bits of each; the whole word once where it is no wider.
    private static func parts(_ bits: Int, widest: Int) -> [Part] {
        if widest < 1 { return [] }
        if bits <= widest { return [Part(width: bits, end: .low)] }
        return Samples.End.allCases.map { Part(width: widest, end: $0) }
    }

    /// The largest b with 2^b ≤ n.
    private static func bitsBelow(_ n: Int) -> Int { n < 1 ? 0 : Int.bitWidth - 1 - n.leadingZeroBitCount }

    private static func tables(
        _ first: Samples, _ second: Samples, _ subject: String
    ) throws(StatisticsError) -> [TestResult] {
        let width = min(4, bitsBelow(first.count / 16) / 2)
        var results: [TestResult] = []
        guard width > 0 else { return [] }
        for end in Samples.End.allCases {
            let (rows, columns) = (min(width, first.bits), min(width, second.bits))
            results.append(
                try ContingencyTable.independence(
                    try first.digits(rows, end), of: 1 << rows,
                    try second.digits(columns, end), of: 1 << columns, subject: "\(subject) \(end) bits"))
        }
        return results
    }

    private static func repetitions(_ samples: Samples, _ subject: String) throws(StatisticsError) -> [TestResult] {
        var results = try collisions(samples, subject)
        // Birthdays are counted in words of 32 bits, whose year is long enough for the Poisson limit.
        let wide = samples.joined(toAtLeast: 32)
        let count = Double(wide.count)
        let width = min(32, wide.bits, bitsBelow(Int(count * count * count / 16)))
        guard width >= 20 else { return results }
        let birthdays = min(wide.count, Int(cbrt(16 * scalbn(1.0, width))))
        for end in Samples.End.allCases where end == .low || wide.bits > width {
            let name = "\(subject) \(end) \(width) bits"
            results.append(
                try Repetitions.birthdaySpacings(try wide.part(width, end), birthdays: birthdays, subject: name))
        }
        return results
    }

    private static func collisions(_ samples: Samples, _ subject: String) throws(StatisticsError) -> [TestResult] {
        let wide = samples.joined(toAtLeast: 20)
        // About 16 collisions are expected.
        let width = min(wide.bits, bitsBelow(wide.count * wide.count / 32))
        guard width >= 8 else { return [] }
        var results: [TestResult] = []
        for end in Samples.End.allCases where end == .low || wide.bits > width {
            let name = "\(subject) \(end) \(width) bits"
            results.append(try Repetitions.collisions(try wide.part(width, end), subject: name))
        }
        return results
    }
}
