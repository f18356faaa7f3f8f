/// Host parts in the order in which they were drawn: uniform on 0 ..< 2^`bits` and independent, if the generator is
/// good.
///
/// A host part of more than 64 bits is two sequences, its high and its low half.
public struct Samples: Hashable, Sendable {
    public let words: [UInt64]
    /// The width of each word, 0–64.
    public let bits: Int

    /// Takes words of `bits` bits.
    ///
    /// - Throws: ``StatisticsError/widthOutOfRange(width:allowed:)``,
    ///   ``StatisticsError/sampleTooWide(index:sample:bits:)``.
    public init(_ words: [UInt64], bits: Int) throws(StatisticsError) {
        guard (0...64).contains(bits) else { throw .widthOutOfRange(width: bits, allowed: 0...64) }
        let outside: UInt64 = bits == 64 ? 0 : UInt64.max << UInt64(bits)
        var index = 0
        while index < words.count {
            if words[index] & outside != 0 { throw .sampleTooWide(index: index, sample: words[index], bits: bits) }
            index += 1
        }
        self.init(unchecked: words, bits: bits)
    }

    /// `words` must fit `bits`.
    private init(unchecked words: [UInt64], bits: Int) {
        self.words = words
        self.bits = bits
    }

    public var count: Int { words.count }

    /// The end of a word from which its digits are taken.
    public enum End: String, CaseIterable, Sendable {
        case low, high
    }

    /// The low or high `width` bits of each word, as cell numbers 0 ..< 2^`width`.
    ///
    /// - Parameter width: 1–24, and at most ``bits``.
    public func digits(_ width: Int, _ end: End) throws(StatisticsError) -> [Int] {
        let allowed = 1...max(1, min(24, bits))
        guard allowed.contains(width), bits > 0 else { throw .widthOutOfRange(width: width, allowed: allowed) }
        let shift = UInt64(end == .low ? 0 : bits - width)
        let mask = (UInt64(1) << UInt64(width)) - 1
        var digits = [Int](repeating: 0, count: words.count)
        var index = 0
        while index < words.count {
            digits[index] = Int((words[index] >> shift) & mask)
            index += 1
        }
        return digits
    }

    /// The low or high `width` bits of each word, as narrower samples.
    public func part(_ width: Int, _ end: End) throws(StatisticsError) -> Samples {
        guard (0...bits).contains(width) else { throw .widthOutOfRange(width: width, allowed: 0...bits) }
        if width == bits { return self }
        let shift = UInt64(end == .low ? 0 : bits - width)
        let mask = (UInt64(1) << UInt64(width)) - 1
        return Samples(unchecked: words.map { ($0 >> shift) & mask }, bits: width)
    }

    /// Words of at least `width` bits (or the most that fit 64), each of consecutive words side by side, so that
    /// tests of wide words can be made of narrow ones. Words left over at the end are dropped.
    public func joined(toAtLeast width: Int) -> Samples {
        guard bits > 0, bits < width else { return self }
        let group = min((width + bits - 1) / bits, 64 / bits)
        var joined: [UInt64] = []
        joined.reserveCapacity(words.count / group)
        var index = 0
        while index + group <= words.count {
            var word: UInt64 = 0
            var offset = 0
            while offset < group {
                word = word << UInt64(bits) | words[index + offset]
                offset += 1
            }
            joined.append(word)
            index += group
        }
        return Samples(unchecked: joined, bits: group * bits)
    }

    /// Each word as a fraction of the range, (word + U) / 2^``bits`` with U uniform on 0 ..< 1, so that a small range
    /// does not look uneven for its steps alone.
    public func uniforms(using generator: inout some RandomNumberGenerator) -> [Double] {
        // 2^-52 and a half step keep the result inside 0…1 with neither end, where Anderson–Darling has no value.
        let unit = 0x1p-52
        var uniforms = [Double](repeating: 0, count: words.count)
        var index = 0
        while index < words.count {
            var fraction = generator.next()
            if bits > 0 { fraction = (words[index] << UInt64(64 - bits)) | (bits == 64 ? 0 : fraction >> UInt64(bits)) }
            uniforms[index] = (Double(fraction >> 12) + 0.5) * unit
            index += 1
        }
        return uniforms
    }

    /// How often each cell 0 ..< `cells` occurs in `digits`.
    ///
    /// - Throws: ``StatisticsError/digitOutOfRange(index:digit:cells:)``.
    public static func counts(_ digits: [Int], cells: Int) throws(StatisticsError) -> [Int] {
        try check(digits, cells: cells)
        var counts = [Int](repeating: 0, count: cells)
        var index = 0
        while index < digits.count {
            counts[digits[index]] += 1
            index += 1
        }
        return counts
    }

    static func check(_ digits: [Int], cells: Int) throws(StatisticsError) {
        var index = 0
        while index < digits.count {
            if digits[index] < 0 || digits[index] >= cells {
                throw .digitOutOfRange(index: index, digit: digits[index], cells: cells)
            }
            index += 1
        }
    }
}
