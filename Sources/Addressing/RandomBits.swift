/// A source of uniform random bits.
///
/// Unlike `RandomNumberGenerator` it may be noncopyable, so that no two users can hold one state by accident,
/// and it gives 32 bits at a time, which is all that an IPv4 address can need.
public protocol RandomBits: ~Copyable {
    mutating func next32() -> UInt32
}

extension RandomBits where Self: ~Copyable {
    /// The low `count` bits at random, 0–128, the others zero. Nothing is drawn for 0.
    @inlinable
    public mutating func bits(_ count: Int) -> UInt128 {
        if count == 0 { return 0 }
        if count <= 32 { return UInt128(next32() & (UInt32.max >> UInt32(32 - count))) }
        var value = UInt128(next32())
        var drawn = 32
        while drawn < count {
            value |= UInt128(next32()) << UInt128(drawn)
            drawn += 32
        }
        return value & (UInt128.max >> UInt128(128 - count))
    }
}

/// A sequence of bits that a number determines: SplitMix64. For tests, and to turn a hash into an address; never for secrets.
public struct DeterminedBits: RandomBits, Sendable {
    @usableFromInline var state: UInt64

    @inlinable
    public init(from seed: UInt64) { state = seed }

    @inlinable
    public mutating func next32() -> UInt32 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return UInt32(truncatingIfNeeded: (mixed ^ (mixed >> 31)) >> 32)
    }
}
