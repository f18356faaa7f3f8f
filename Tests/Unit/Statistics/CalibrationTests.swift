import Glibc
import Testing

@testable import Statistics

/// A p-value that is computed wrongly, by a factor, a degree of freedom or a side, is not uniform when the generator is
/// good.
@Suite("Good generators have uniform p-values")
struct CalibrationTests {
    private static let repetitions = 1000

    /// How each test is repeated: on so many words of so many bits.
    private static func results(of test: StatisticalTest, _ generator: inout SplitMix64) throws -> TestResult {
        func samples(_ count: Int, bits: Int) throws -> Samples {
            try Samples(generator.words(count, bits: bits), bits: bits)
        }
        func counts() throws -> [Int] {
            try Samples.counts(try samples(640, bits: 4).digits(4, .low), cells: 16)
        }
        switch test {
        case .chiSquared: return try Frequencies.chiSquared(counts: counts())
        case .likelihoodRatio: return try Frequencies.likelihoodRatio(counts: counts())
        case .maximumLoad: return try Frequencies.maximumLoad(counts: counts())
        case .minimumLoad: return try Frequencies.minimumLoad(counts: counts())
        case .monobit: return try Bits.monobit(samples(300, bits: 1))[0]
        case .bitPairs: return try Bits.pairs(samples(300, bits: 2))[0]
        case .bitLags: return try Bits.lags(samples(300, bits: 1), lags: [3])[0]
        case .crossBits: return try Bits.cross(samples(300, bits: 1), samples(300, bits: 1))[0]
        case .kolmogorovSmirnov:
            return try EmpiricalDistribution.kolmogorovSmirnov(
                try samples(250, bits: 6).uniforms(using: &generator))
        case .andersonDarling:
            return try EmpiricalDistribution.andersonDarling(try samples(250, bits: 6).uniforms(using: &generator))
        case .collisions: return try Repetitions.collisions(samples(128, bits: 10))
        case .birthdaySpacings: return try Repetitions.birthdaySpacings(samples(406, bits: 24), birthdays: 406)
        case .couponCollector:
            return try Repetitions.couponCollector(try samples(400, bits: 4).digits(4, .low), cells: 16)
        case .serial: return try Serial.pairs(try samples(700, bits: 2).digits(2, .low), cells: 4, lag: 3)
        case .runs: return try Runs.aboveAndBelow(samples(300, bits: 5))
        case .ascendingRuns: return try Runs.ascending(samples(900, bits: 5))
        case .gaps: return try Gaps.between(try samples(900, bits: 2).digits(2, .low), equalTo: 1, cells: 4)
        case .contingency:
            let rows = try samples(640, bits: 2).digits(2, .low)
            // Uneven columns: the margins are not what is tested.
            let columns = try samples(640, bits: 3).digits(3, .low).map { min(3, $0) }
            return try ContingencyTable.independence(rows, of: 4, columns, of: 4)
        case .twoLevel:
            return try TwoLevel.chiSquared(try samples(2560, bits: 3).digits(3, .low), cells: 8, blocks: 20)
        }
    }

    @Test("over 1,000 repetitions of each test, the p-values are uniform by KS", arguments: StatisticalTest.allCases)
    func uniform(test: StatisticalTest) throws {
        var generator = SplitMix64(seed: UInt64(test.rawValue.utf8.reduce(7) { $0 &* 31 &+ Int($1) }))
        var transforms: [Double] = []
        for _ in 0..<CalibrationTests.repetitions {
            let result = try CalibrationTests.results(of: test, &generator)
            let fraction = Double(generator.next() >> 11) * 0x1p-53
            switch CalibrationTests.kind(test) {
            case .exact: transforms.append(result.probabilityTransform(fraction: fraction))
            case .limit: transforms.append(result.upper)
            case .bound: transforms.append(result.pValue)
            }
        }
        if CalibrationTests.kind(test) == .bound {
            // p may be too large, but not too small, nor so large that the test is worth nothing. Of exact p-values,
            // 0.1 would be exceeded with a probability of e^(-2 · 1000 · 0.01) = 2e-9 (Smirnov).
            #expect(CalibrationTests.excessOfSmall(transforms) < 0.1)
            #expect(transforms.count { $0 <= 0.2 } >= CalibrationTests.repetitions / 20)
        } else {
            let result = try TwoLevel.uniform(transforms)
            #expect(result.pValue > AddressBattery.familywiseRate, "\(result)")
        }
    }

    @Test("a p-value of one side taken for two, of a wrong degree of freedom, or of a shifted count is found out")
    func miscomputed() throws {
        var generator = SplitMix64(seed: 11)
        var (oneSided, freedom, shifted) = ([Double](), [Double](), [Double]())
        for _ in 0..<CalibrationTests.repetitions {
            let result = try CalibrationTests.results(of: .chiSquared, &generator)
            oneSided.append(min(result.lower, result.upper))
            freedom.append(ChiSquaredDistribution.tails(result.statistic, degreesOfFreedom: 17).upper)
            let count = Int(try CalibrationTests.results(of: .monobit, &generator).statistic)
            shifted.append(BinomialDistribution.tails(count + 3, trials: 300, probability: 0.5).lower)
        }
        for wrong in [oneSided, freedom, shifted] {
            #expect(try TwoLevel.uniform(wrong).pValue < AddressBattery.familywiseRate)
        }
    }

    private enum Kind {
        /// Both tails are probabilities of the statistic.
        case exact
        /// The upper tail is that of a limit; the lower allows for the steps of the counts.
        case limit
        /// The tails are bounds.
        case bound
    }

    private static func kind(_ test: StatisticalTest) -> Kind {
        switch test {
        case .maximumLoad, .minimumLoad: .bound
        case .chiSquared, .likelihoodRatio, .serial, .ascendingRuns, .gaps, .contingency: .limit
        default: .exact
        }
    }

    /// The largest x for which a share of x more than p of the p-values are at most p.
    private static func excessOfSmall(_ pValues: [Double]) -> Double {
        var excess = 0.0
        for (index, p) in pValues.sorted().enumerated() {
            excess = max(excess, Double(index + 1) / Double(pValues.count) - p)
        }
        return excess
    }
}
