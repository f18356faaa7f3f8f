/// A good generator with a seed, for tests: SplitMix64 (G. Steele, D. Lea, C. Flood 2014).
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// The next number's high `bits` bits; none of them drawn for 0.
    mutating func next(bits: Int) -> UInt64 { bits == 0 ? 0 : next() >> UInt64(64 - bits) }

    mutating func words(_ count: Int, bits: Int) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: count)
        for index in words.indices { words[index] = next(bits: bits) }
        return words
    }
}
