/// The wire form of one message: magic, length, checksums, payload.
///
/// The header has a checksum of its own, so that a damaged length is known at once: waiting for the bytes
/// that it promises would look like a guest that hangs.
public enum Frame {
    /// Starts every frame; ASCII's record separator keeps it from turning up in JSON.
    static let magic: [UInt8] = [0x1E, 0x4C, 0x61, 0x62]
    static let headerCount = 16
    /// No message comes near this; a longer frame is a damaged one.
    public static let limit = 16 << 20

    /// - Throws: ``FrameError/tooLong(bytes:limit:)``
    public static func encode(_ payload: [UInt8]) throws(FrameError) -> [UInt8] {
        guard payload.count <= limit else { throw .tooLong(bytes: payload.count, limit: limit) }
        var header = magic
        header.append(bigEndian: UInt32(payload.count))
        header.append(bigEndian: CRC32.checksum(header))
        header.append(bigEndian: CRC32.checksum(payload))
        return header + payload
    }
}

/// What is wrong with the bytes of a channel. After each, reading goes on at the next frame.
public enum FrameError: Error, Hashable, Sendable, CustomStringConvertible {
    case garbage(bytes: Int)
    case damagedHeader
    case damagedPayload(bytes: Int)
    case tooLong(bytes: Int, limit: Int)
    /// The bytes are as they were sent, and are no message that this side knows.
    case notAMessage(reason: String)

    public var description: String {
        switch self {
        case .garbage(let bytes): "\(bytes) bytes on the guest channel belong to no frame: something else writes to it"
        case .damagedHeader: "a frame's header was damaged on the guest channel"
        case .damagedPayload(let bytes): "a frame of \(bytes) bytes was damaged on the guest channel"
        case .tooLong(let bytes, let limit): "a frame of \(bytes) bytes exceeds the guest channel's limit of \(limit)"
        case .notAMessage(let reason):
            "the other end of the guest channel speaks another dialect: \(reason); rebuild the guest"
        }
    }
}

/// Finds the frames in a stream of bytes that arrives in pieces of any size.
public struct FrameReader: Sendable {
    private var buffer: [UInt8] = []

    public init() {}

    public mutating func append(_ bytes: some Sequence<UInt8>) { buffer.append(contentsOf: bytes) }

    /// The next payload; nil until more bytes arrive.
    public mutating func next() throws(FrameError) -> [UInt8]? {
        let garbage = bytesBeforeMagic()
        if garbage > 0 {
            buffer.removeFirst(garbage)
            throw .garbage(bytes: garbage)
        }
        guard buffer.count >= Frame.headerCount else { return nil }
        guard CRC32.checksum(buffer[0..<8]) == buffer.bigEndian(at: 8) else {
            buffer.removeFirst(Frame.magic.count)
            throw .damagedHeader
        }
        let count = Int(buffer.bigEndian(at: 4))
        guard count <= Frame.limit else {
            buffer.removeFirst(Frame.headerCount)
            throw .tooLong(bytes: count, limit: Frame.limit)
        }
        let end = Frame.headerCount + count
        guard buffer.count >= end else { return nil }
        let payload = Array(buffer[Frame.headerCount..<end])
        let checksum = buffer.bigEndian(at: 12)
        buffer.removeFirst(end)
        guard CRC32.checksum(payload) == checksum else { throw .damagedPayload(bytes: count) }
        return payload
    }

    /// How many bytes precede the first place where a frame starts, or may start once more bytes arrive.
    private func bytesBeforeMagic() -> Int {
        var start = 0
        while start < buffer.count {
            if zip(buffer[start...], Frame.magic).allSatisfy(==) { return start }
            start += 1
        }
        return buffer.count
    }
}

/// The CRC-32 of IEEE 802.3, as zlib and gzip compute it.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }

    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        ~bytes.reduce(~0) { crc, byte in table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ (crc >> 8) }
    }
}

extension [UInt8] {
    fileprivate mutating func append(bigEndian value: UInt32) {
        append(contentsOf: [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) })
    }

    fileprivate func bigEndian(at offset: Int) -> UInt32 {
        self[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}
