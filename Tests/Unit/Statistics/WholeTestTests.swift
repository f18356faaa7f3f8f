import Testing

@testable import Statistics

@Suite("Statistics of known words against SciPy")
struct WholeTestTests {
    /// The words from which make-oracle.py made the whole tests.
    private func samples() throws -> Samples {
        var generator = SplitMix64(seed: 1)
        return try Samples(generator.words(4096, bits: 6), bits: 6)
    }

    private func uniforms() throws -> [Double] {
        var generator = SplitMix64(seed: 2)
        var unused = SplitMix64(seed: 0)
        return try Samples(generator.words(1000, bits: 64), bits: 64).uniforms(using: &unused)
    }

    private func counts() throws -> [Int] { try Samples.counts(samples().digits(6, .low), cells: 64) }

    private func expect(
        _ result: TestResult, is name: String, within tolerance: Double = 1e-10,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let oracle = try #require(Oracle.wholeTests[name])
        #expect(abs(result.statistic / oracle.statistic - 1) < 1e-10, "\(result)", sourceLocation: sourceLocation)
        if !oracle.upper.isNaN {
            #expect(abs(result.upper / oracle.upper - 1) < tolerance, "\(result)", sourceLocation: sourceLocation)
        }
    }

    @Test("χ² of equal and of unequal probabilities")
    func chiSquared() throws {
        try expect(Frequencies.chiSquared(counts: counts()), is: "chiSquared")
        let sum = Double((301..<365).reduce(0, +))
        let probabilities = (301..<365).map { Double($0) / sum }
        try expect(Frequencies.chiSquared(counts: counts(), probabilities: probabilities), is: "weighted")
    }

    @Test("G with Williams' correction")
    func likelihoodRatio() throws {
        try expect(Frequencies.likelihoodRatio(counts: counts()), is: "likelihoodRatio")
    }

    @Test("the busiest and the least used value")
    func loads() throws {
        try expect(Frequencies.maximumLoad(counts: counts()), is: "maximumLoad")
        try expect(Frequencies.minimumLoad(counts: counts()), is: "minimumLoad")
    }

    @Test("a contingency table")
    func contingency() throws {
        let samples = try samples()
        let result = try ContingencyTable.independence(
            samples.digits(3, .high), of: 8, samples.digits(3, .low), of: 8)
        try expect(result, is: "contingency")
    }

    @Test("serial pairs at lag 2")
    func serial() throws {
        try expect(Serial.pairs(samples().digits(3, .low), cells: 8, lag: 2), is: "serial")
    }

    @Test("gaps")
    func gaps() throws {
        try expect(Gaps.between(samples().digits(3, .low), equalTo: 0, cells: 8), is: "gaps")
    }

    @Test("ascending runs")
    func ascendingRuns() throws {
        try expect(Runs.ascending(samples()), is: "ascendingRuns")
    }

    @Test("KS and AD")
    func distances() throws {
        // 1,000 values take the expansion, which is good for five digits.
        try expect(EmpiricalDistribution.kolmogorovSmirnov(uniforms()), is: "kolmogorovSmirnov", within: 1e-5)
        try expect(EmpiricalDistribution.andersonDarling(uniforms()), is: "andersonDarling")
    }
}

@Suite("Statistics counted by hand")
struct HandCountTests {
    @Test("bits, pairs and lags of four words")
    func bits() throws {
        let samples = try Samples([0b01, 0b11, 0b10, 0b01], bits: 2)
        #expect(try Bits.monobit(samples).map(\.statistic) == [3, 2])
        #expect(try Bits.pairs(samples).map(\.statistic) == [3])
        // Bit 0 is 1, 1, 0, 1 and bit 1 is 0, 1, 1, 0.
        #expect(try Bits.lags(samples, lags: [1, 2]).map(\.statistic) == [2, 2, 1, 2])
        #expect(try Bits.cross(samples, samples).map(\.statistic) == [0, 3, 3, 0])
    }

    @Test("bits of 64-bit words are counted as one by one", arguments: [1, 63, 64, 65, 200])
    func columns(count: Int) throws {
        var generator = SplitMix64(seed: 3)
        let (first, second) = (generator.words(count, bits: 64), generator.words(count, bits: 64))
        let columns = BitColumns(try Samples(first, bits: 64))
        let others = BitColumns(try Samples(second, bits: 64))
        for bit in [0, 1, 31, 32, 62, 63] {
            #expect(columns.ones(bit) == first.count { $0 >> UInt64(bit) & 1 == 1 })
            for lag in [0, 1, 3, 64, 70] where lag < count {
                let expected = (0..<count - lag).count { (first[$0] ^ second[$0 + lag]) >> UInt64(bit) & 1 == 1 }
                let counted = BitColumns.differences(
                    columns.columns[bit], others.columns[bit], lag: lag, count: count)
                #expect(counted == expected)
            }
        }
    }

    @Test("runs above and below the middle")
    func runs() throws {
        #expect(try Runs.aboveAndBelow(Samples([0, 1, 7, 6, 2, 5], bits: 3)).statistic == 4)
    }

    @Test("collisions are words less distinct words")
    func collisions() throws {
        #expect(try Repetitions.collisions(Samples([5, 1, 5, 5, 2, 1], bits: 3)).statistic == 3)
    }

    @Test("birthday spacings go round the end of the year, group by group")
    func birthdays() throws {
        // Spacings 2, 2, 12 in a year of 16 days, then 1, 5, 10 and one day left over.
        let samples = try Samples([3, 1, 5, 0, 1, 6, 9], bits: 4)
        #expect(try Repetitions.birthdaySpacings(samples, birthdays: 3).statistic == 1)
        // 15, 1, 3: spacings 2, 2 and 12.
        #expect(try Repetitions.birthdaySpacings(Samples([15, 1, 3], bits: 4), birthdays: 3).statistic == 1)
        // In a year of 2⁶⁴ days, too.
        let long = try Samples([.max, 1, 3], bits: 64)
        #expect(try Repetitions.birthdaySpacings(long, birthdays: 3).statistic == 1)
    }

    @Test("coupons are collected when the last value comes, or later than the last draw")
    func coupons() throws {
        #expect(try Repetitions.couponCollector([0, 0, 1, 2, 1], cells: 3).statistic == 4)
        let never = try Repetitions.couponCollector([0, 0, 1, 1, 1], cells: 3)
        #expect(never.statistic == 6)
        #expect(never.lower == 1)
    }

    @Test("narrow words are joined, the first in front, and the rest dropped")
    func joined() throws {
        let joined = try Samples([0b01, 0b10, 0b11, 0b00, 0b11], bits: 2).joined(toAtLeast: 3)
        #expect(joined == (try Samples([0b0110, 0b1100], bits: 4)))
        #expect(try Samples([1, 2], bits: 33).joined(toAtLeast: 50).bits == 33)
    }

    @Test("digits are taken from either end")
    func digits() throws {
        let samples = try Samples([0b1101, 0b0010], bits: 4)
        #expect(try samples.digits(3, .low) == [0b101, 0b010])
        #expect(try samples.digits(3, .high) == [0b110, 0b001])
        #expect(try samples.part(1, .high).words == [1, 0])
    }

    @Test("fractions keep the word in front and lie inside 0…1", arguments: [0, 1, 8, 53, 64])
    func uniforms(bits: Int) throws {
        var generator = SplitMix64(seed: 4)
        let words = [0, bits == 0 ? 0 : UInt64.max >> UInt64(64 - bits)]
        let uniforms = try Samples(words, bits: bits).uniforms(using: &generator)
        #expect(uniforms.allSatisfy { $0 > 0 && $0 < 1 })
        if (1..<53).contains(bits) {
            let range = Double(UInt64(1) << UInt64(bits))
            #expect(uniforms.map { ($0 * range).rounded(.down) } == words.map { Double($0) })
        }
    }

    @Test("a p-value is twice the smaller tail, at most 1")
    func pValue() {
        #expect(TestResult(.runs, "", statistic: 0, lower: 0.25, upper: 0.8).pValue == 0.5)
        #expect(TestResult(.runs, "", statistic: 0, lower: 0.9, upper: 0.0625).pValue == 0.125)
        #expect(TestResult(.runs, "", statistic: 0, lower: 0.6, upper: 0.7).pValue == 1)
    }

    @Test("what is too even has a small lower tail")
    func tooEven() throws {
        let result = try Frequencies.chiSquared(counts: [Int](repeating: 20, count: 256))
        #expect(result.statistic == 0)
        #expect(result.pValue < 1e-200)
    }

    @Test("few counts may well be equal by chance")
    func equalCounts() throws {
        // Exactly: 64! / (16!⁴ 4⁶⁴) = 0.00164 and C(16384, 8192) / 2¹⁶³⁸⁴ = 0.00623.
        #expect((0.00164...0.05).contains(try Frequencies.chiSquared(counts: [16, 16, 16, 16]).lower))
        #expect((0.00164...0.05).contains(try Frequencies.likelihoodRatio(counts: [16, 16, 16, 16]).lower))
        #expect((0.00623...0.05).contains(try Frequencies.chiSquared(counts: [8192, 8192]).lower))
        // Hypergeometric: C(40, 20)² / C(80, 40) = 0.18.
        #expect(try ContingencyTable.independence(table: [20, 20, 20, 20], columns: 2).lower > 0.17)
    }

    @Test("an observation of what cannot be has a p-value of 0, in χ² and G")
    func impossible() throws {
        #expect(try Frequencies.chiSquared(counts: [50, 50, 1], probabilities: [0.5, 0.5, 0]).pValue == 0)
        #expect(try Frequencies.likelihoodRatio(counts: [50, 50, 1], probabilities: [0.5, 0.5, 0]).pValue == 0)
        #expect(try Frequencies.chiSquared(counts: [50, 50, 0], probabilities: [0.5, 0.5, 0]).upper == 1)
    }
}
