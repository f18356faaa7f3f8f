import Testing

@testable import Statistics

@Suite("Good generators pass")
struct GoodGeneratorTests {
    @Test(
        "a good generator passes at every width, with any seed",
        arguments: [(8, 64), (12, 48), (0, 0), (1, 4), (16, 32), (24, 10), (32, 64)], [1, 2] as [UInt64])
    func passes(bits: (v4: Int, v6: Int), seed: UInt64) throws {
        let source = AddressSource("good", v4Bits: bits.v4, v6Bits: bits.v6) { number in
            var generator = SplitMix64(seed: seed << 32 | UInt64(number))
            return { _ in (v4: generator.next(bits: bits.v4), v6: generator.next(bits: bits.v6)) }
        }
        let verdict = try AddressBattery.examine(source, seed: seed)
        #expect(verdict.findings.passes, "\(verdict.findings)")
        if bits == (8, 64) {
            // The rate is stated for this many tests: a change of the battery is seen here.
            #expect(verdict.findings.count == 3626)
            #expect(Set(verdict.findings.results.map(\.test)) == Set(StatisticalTest.allCases))
        }
    }
}
