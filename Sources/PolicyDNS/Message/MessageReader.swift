/// Reads a message from front to back. Nothing is read past its end, whatever the message says of itself.
struct MessageReader {
    private let message: UnsafeRawBufferPointer
    /// Always within 0…count: only ``advance(by:)`` and ``init(_:at:)`` set it.
    private(set) var position: Int

    /// Reads `message`, which must outlive this value, from byte `position` on.
    init(_ message: UnsafeRawBufferPointer, at position: Int = 0) {
        precondition(position >= 0 && position <= message.count)
        self.message = message
        self.position = position
    }

    var remaining: Int { message.count - position }

    /// Where the next `count` bytes begin, past which the reader then stands; nil if there are fewer.
    @inline(__always)
    private mutating func advance(by count: Int) -> Int? {
        guard count >= 0, count <= message.count - position else { return nil }
        defer { position += count }
        return position
    }

    @inline(__always)
    mutating func byte() -> UInt8? {
        advance(by: 1).map { message[$0] }
    }

    @inline(__always)
    mutating func uint16() -> UInt16? {
        advance(by: 2).map { UInt16(bigEndian: message.loadUnaligned(fromByteOffset: $0, as: UInt16.self)) }
    }

    @inline(__always)
    mutating func uint32() -> UInt32? {
        advance(by: 4).map { UInt32(bigEndian: message.loadUnaligned(fromByteOffset: $0, as: UInt32.self)) }
    }

    mutating func uint64() -> UInt64? {
        advance(by: 8).map { UInt64(bigEndian: message.loadUnaligned(fromByteOffset: $0, as: UInt64.self)) }
    }

    /// The next `count` bytes, in place.
    @inline(__always)
    mutating func bytes(_ count: Int) -> UnsafeRawBufferPointer? {
        advance(by: count).map { UnsafeRawBufferPointer(rebasing: message[$0..<($0 + count)]) }
    }

    @inline(__always)
    mutating func skip(_ count: Int) -> Bool { advance(by: count) != nil }

    /// Skips a name that may end in a compression pointer (RFC 1035 §4.1.4), which is not followed.
    mutating func skipName(compressed: Bool = true) -> Bool {
        while let size = byte() {
            switch size {
            case 0: return true
            case 1...63: guard skip(Int(size)) else { return false }
            case 0xC0...: return compressed && skip(1)
            default: return false
            }
        }
        return false
    }

    /// Reads a name and follows its compression pointers.
    ///
    /// Each pointer must lead to before the place where the last one led to, so that no loop is possible.
    mutating func name() -> DomainName? {
        var wire: [UInt8] = []
        var reader = self
        var afterName: Int?
        var lowest = position
        while let size = reader.byte() {
            switch size {
            case 0:
                wire.append(0)
                position = afterName ?? reader.position
                return DomainName(lowerCasedWire: wire)
            case 1...63:
                guard wire.count + Int(size) + 2 <= DomainName.maximumLength, let label = reader.bytes(Int(size))
                else { return nil }
                wire.append(size)
                wire.append(contentsOf: label.lazy.map(DomainName.lowerCased))
            case 0xC0...:
                guard let low = reader.byte() else { return nil }
                let target = Int(size & 0x3F) << 8 | Int(low)
                guard target < lowest else { return nil }
                afterName = afterName ?? reader.position
                lowest = target
                reader = MessageReader(message, at: target)
            default: return nil
            }
        }
        return nil
    }
}
