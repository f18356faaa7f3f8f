/// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash of short inputs, whose outputs tell nothing of the key.
struct SipHash {
    /// The key, as two little-endian words.
    struct Key: Hashable, Sendable {
        var first: UInt64
        var second: UInt64

        /// A key that nobody can guess.
        static func random() -> Key {
            var system = SystemRandomNumberGenerator()
            return Key(first: system.next(), second: system.next())
        }
    }

    private var v0, v1, v2, v3: UInt64

    init(key: Key) {
        v0 = key.first ^ 0x736f_6d65_7073_6575
        v1 = key.second ^ 0x646f_7261_6e64_6f6d
        v2 = key.first ^ 0x6c79_6765_6e65_7261
        v3 = key.second ^ 0x7465_6462_7974_6573
    }

    @inline(__always)
    private mutating func round() {
        v0 &+= v1
        v1 = v1 &<< 13 | v1 &>> 51
        v1 ^= v0
        v0 = v0 &<< 32 | v0 &>> 32
        v2 &+= v3
        v3 = v3 &<< 16 | v3 &>> 48
        v3 ^= v2
        v0 &+= v3
        v3 = v3 &<< 21 | v3 &>> 43
        v3 ^= v0
        v2 &+= v1
        v1 = v1 &<< 17 | v1 &>> 47
        v1 ^= v2
        v2 = v2 &<< 32 | v2 &>> 32
    }

    /// Takes in eight bytes of input, as a little-endian word.
    @inline(__always)
    mutating func absorb(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    /// Takes in the last bytes, fewer than eight: `tail` holds them in little-endian order. `length` is that of all
    /// input.
    @inline(__always)
    mutating func finish(tail: UInt64 = 0, length: Int) -> UInt64 {
        absorb(UInt64(truncatingIfNeeded: length) &<< 56 | tail)
        v2 ^= 0xff
        for _ in 0..<4 { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }

    static func hash(_ bytes: UnsafeRawBufferPointer, key: Key) -> UInt64 {
        var state = SipHash(key: key)
        var position = 0
        while bytes.count - position >= 8 {
            state.absorb(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)))
            position += 8
        }
        var tail: UInt64 = 0
        for place in position..<bytes.count { tail |= UInt64(bytes[place]) &<< UInt64(8 * (place - position)) }
        return state.finish(tail: tail, length: bytes.count)
    }
}
