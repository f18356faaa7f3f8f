import Testing

@testable import Statistics

@Suite("What no test can be made of")
struct StatisticsInputTests {
    @Test("a sample wider than stated is refused, and named")
    func width() throws {
        #expect(throws: StatisticsError.sampleTooWide(index: 1, sample: 256, bits: 8)) {
            try Samples([1, 256], bits: 8)
        }
        #expect(throws: StatisticsError.sampleTooWide(index: 0, sample: 1, bits: 0)) { try Samples([1], bits: 0) }
        #expect(throws: StatisticsError.widthOutOfRange(width: 65, allowed: 0...64)) { try Samples([], bits: 65) }
        #expect(throws: StatisticsError.widthOutOfRange(width: 9, allowed: 1...8)) {
            try Samples([1], bits: 8).digits(9, .low)
        }
        #expect(throws: StatisticsError.widthOutOfRange(width: 1, allowed: 1...1)) {
            try Samples([0], bits: 0).digits(1, .low)
        }
        #expect(try Samples([.max], bits: 64).count == 1)
    }

    @Test("too few samples are refused, and how many are needed is said")
    func few() throws {
        let one = try Samples([1], bits: 8)
        #expect(throws: StatisticsError.tooFew(.chiSquared, given: 9, needed: 10)) {
            try Frequencies.chiSquared(counts: [4, 5])
        }
        #expect(throws: StatisticsError.tooFew(.chiSquared, given: 1, needed: 2)) {
            try Frequencies.chiSquared(counts: [100])
        }
        #expect(throws: StatisticsError.tooFew(.monobit, given: 0, needed: 1)) {
            try Bits.monobit(Samples([], bits: 8))
        }
        #expect(throws: StatisticsError.tooFew(.bitLags, given: 0, needed: 1)) { try Bits.lags(one, lags: [1]) }
        #expect(throws: StatisticsError.tooFew(.bitLags, given: 0, needed: 1)) { try Bits.lags(one, lags: [5]) }
        #expect(throws: StatisticsError.tooFew(.crossBits, given: 0, needed: 1)) {
            try Bits.crossLags(one, one, most: 1)
        }
        #expect(throws: StatisticsError.tooFew(.runs, given: 1, needed: 2)) { try Runs.aboveAndBelow(one) }
        #expect(throws: StatisticsError.self) { try Runs.ascending(one) }
        #expect(throws: StatisticsError.tooFew(.gaps, given: 3, needed: 200)) {
            try Gaps.between([0, 1, 0], equalTo: 0, cells: 2)
        }
        #expect(throws: StatisticsError.tooFew(.serial, given: 4, needed: 42)) {
            try Serial.pairs([0, 1, 0, 1], cells: 2, lag: 1)
        }
        #expect(throws: StatisticsError.tooFew(.collisions, given: 1, needed: 2)) { try Repetitions.collisions(one) }
        #expect(throws: StatisticsError.tooFew(.birthdaySpacings, given: 1, needed: 3)) {
            try Repetitions.birthdaySpacings(one, birthdays: 3)
        }
        #expect(throws: StatisticsError.tooFew(.couponCollector, given: 1, needed: 2)) {
            try Repetitions.couponCollector([0], cells: 2)
        }
        #expect(throws: StatisticsError.tooFew(.andersonDarling, given: 1, needed: 100)) {
            try EmpiricalDistribution.andersonDarling([0.5])
        }
        #expect(throws: StatisticsError.tooFew(.kolmogorovSmirnov, given: 0, needed: 1)) {
            try EmpiricalDistribution.kolmogorovSmirnov([])
        }
        #expect(throws: StatisticsError.tooFew(.contingency, given: 4, needed: 20)) {
            try ContingencyTable.independence(table: [1, 1, 1, 1], columns: 2)
        }
        #expect(throws: StatisticsError.tooFew(.twoLevel, given: 2, needed: 256)) {
            try TwoLevel.chiSquared([0, 1], cells: 8, blocks: 2)
        }
        #expect(throws: StatisticsError.tooFew(.twoLevel, given: 4, needed: 8)) {
            try TwoLevel.chiSquared([Int](repeating: 0, count: 256), cells: 4, blocks: 2)
        }
    }

    @Test("values outside their range are refused, not counted elsewhere")
    func outside() {
        #expect(throws: StatisticsError.negativeCount(index: 1, count: -1)) {
            try Frequencies.chiSquared(counts: [10, -1])
        }
        #expect(throws: StatisticsError.digitOutOfRange(index: 1, digit: 2, cells: 2)) {
            try Serial.pairs([0, 2], cells: 2, lag: 1)
        }
        #expect(throws: StatisticsError.digitOutOfRange(index: 0, digit: -1, cells: 2)) {
            try ContingencyTable.independence([-1], of: 2, [0], of: 2)
        }
        #expect(throws: StatisticsError.digitOutOfRange(index: 2, digit: 3, cells: 3)) {
            try Repetitions.couponCollector([0, 1, 3], cells: 3)
        }
        #expect(throws: StatisticsError.digitOutOfRange(index: 0, digit: 8, cells: 8)) {
            try TwoLevel.chiSquared([Int](repeating: 8, count: 128), cells: 8, blocks: 1)
        }
        #expect(throws: StatisticsError.notAUniform(index: 0, value: 1.5)) {
            try EmpiricalDistribution.kolmogorovSmirnov([1.5])
        }
        #expect(throws: StatisticsError.self) { try EmpiricalDistribution.kolmogorovSmirnov([.nan]) }
        #expect(throws: StatisticsError.notProbabilities) {
            try Frequencies.chiSquared(counts: [10, 10], probabilities: [0.5, 0.6])
        }
        #expect(throws: StatisticsError.notProbabilities) {
            try Frequencies.chiSquared(counts: [10, 10], probabilities: [.nan, 0.6])
        }
        #expect(throws: StatisticsError.lagOutOfRange(0)) { try Serial.pairs([0, 1], cells: 2, lag: 0) }
        #expect(throws: StatisticsError.lagOutOfRange(-1)) { try Bits.lags(Samples([0, 1], bits: 1), lags: [-1]) }
    }

    @Test("sequences that belong together must be equally long")
    func lengths() throws {
        let (two, three) = (try Samples([0, 1], bits: 1), try Samples([0, 1, 0], bits: 1))
        #expect(throws: StatisticsError.unequalLengths(2, 3)) { try Bits.cross(two, three) }
        #expect(throws: StatisticsError.unequalLengths(2, 1)) {
            try ContingencyTable.independence([0, 1], of: 2, [0], of: 2)
        }
        #expect(throws: StatisticsError.unequalLengths(3, 2)) {
            try Battery.independence(ofNames: [1, 2, 3], two, subject: "")
        }
    }

    @Test("a battery leaves out what there are too few draws for", arguments: [0, 1, 63, 64, 100, 300, 1000, 2500])
    func shortBattery(count: Int) throws {
        var generator = SplitMix64(seed: UInt64(count))
        for bits in [0, 1, 2, 3, 7, 12, 33, 64] {
            let samples = try Samples(generator.words(count, bits: bits), bits: bits)
            let other = try Samples(generator.words(count, bits: 5), bits: 5)
            var results = try Battery.sequence(samples, subject: "short", using: &generator)
            results += try Battery.independence(samples, other, subject: "short")
            results += try Battery.workers(samples, samples, subject: "short")
            results += try Battery.independence(ofNames: Array(0..<count), samples, subject: "short")
            #expect(results.isEmpty == (bits == 0 || count < 64))
        }
    }

    @Test("every error says what is wrong in a sentence")
    func descriptions() {
        #expect(
            StatisticsError.sampleTooWide(index: 1, sample: 256, bits: 8).description
                == "sample 1 is 256, which does not fit 8 bits: state the true width, or mask the sample")
        #expect(
            StatisticsError.tooFew(.gaps, given: 3, needed: 200).description
                == "gaps needs at least 200 values, not 3: draw more, or leave the test out")
    }
}
