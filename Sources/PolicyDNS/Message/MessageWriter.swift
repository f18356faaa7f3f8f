/// Writes a message from front to back, up to a limit. What does not fit sets ``overflowed`` and is left out.
struct MessageWriter {
    private let buffer: UnsafeMutableRawBufferPointer
    /// Always within 0…`limit`.
    private(set) var count = 0
    /// Never more than the buffer holds.
    let limit: Int
    private(set) var overflowed = false

    /// Writes to the front of `buffer`, which must outlive this value, at most `limit` bytes.
    init(_ buffer: UnsafeMutableRawBufferPointer, limit: Int) {
        self.buffer = buffer
        self.limit = max(0, min(limit, buffer.count))
    }

    /// Where `size` bytes can be written; nil if they do not fit.
    @inline(__always)
    private mutating func take(_ size: Int) -> Int? {
        guard !overflowed, size >= 0, size <= limit - count else {
            overflowed = true
            return nil
        }
        defer { count += size }
        return count
    }

    @inline(__always)
    mutating func byte(_ value: UInt8) {
        if let place = take(1) { buffer[place] = value }
    }

    @inline(__always)
    mutating func uint16(_ value: UInt16) {
        if let place = take(2) { buffer.storeBytes(of: value.bigEndian, toByteOffset: place, as: UInt16.self) }
    }

    @inline(__always)
    mutating func uint32(_ value: UInt32) {
        if let place = take(4) { buffer.storeBytes(of: value.bigEndian, toByteOffset: place, as: UInt32.self) }
    }

    mutating func uint64(_ value: UInt64) {
        if let place = take(8) { buffer.storeBytes(of: value.bigEndian, toByteOffset: place, as: UInt64.self) }
    }

    mutating func uint128(_ value: UInt128) {
        uint64(UInt64(truncatingIfNeeded: value >> 64))
        uint64(UInt64(truncatingIfNeeded: value))
    }

    @inline(__always)
    mutating func bytes(_ source: UnsafeRawBufferPointer) {
        guard let place = take(source.count), let base = source.baseAddress, let target = buffer.baseAddress else {
            return
        }
        // Both ends were checked: the source is a buffer, and `take` made room for all of it.
        (target + place).copyMemory(from: base, byteCount: source.count)
    }

    /// Writes over an earlier byte.
    @inline(__always)
    mutating func setByte(_ value: UInt8, at place: Int) {
        precondition(place >= 0 && place < count)
        buffer[place] = value
    }

    /// Writes over two earlier bytes.
    @inline(__always)
    mutating func setUInt16(_ value: UInt16, at place: Int) {
        precondition(place >= 0 && place <= count - 2)
        buffer.storeBytes(of: value.bigEndian, toByteOffset: place, as: UInt16.self)
    }

    /// Forgets what was written after the first `count` bytes, and that anything did not fit.
    mutating func rewind(to count: Int) {
        precondition(count >= 0 && count <= self.count)
        self.count = count
        overflowed = false
    }
}
