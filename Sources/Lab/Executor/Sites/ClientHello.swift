/// The first message of a TLS client, as far as the choice of a site goes (RFC 8446 §4.1.2, RFC 6066 §3).
enum ClientHello {
    /// What was found at the front of what a client sent.
    enum Reading: Equatable {
        /// More has to come.
        case incomplete
        case malformed
        /// The server name, nil for a hello without one, and the bytes that the hello took.
        case hello(serverName: String?, length: Int)
    }

    static let handshakeRecord: UInt8 = 22
    private static let clientHello: UInt8 = 1
    private static let serverNameExtension = 0
    /// RFC 8446 §5.1: the longest fragment of a record in the clear.
    private static let longestFragment = 1 << 14

    /// A ClientHello of TLS 1.3 with `serverName`: one that a server can answer, if only to ask for a key share.
    static func bytes(serverName: String, random: [UInt8]) -> [UInt8] {
        let name = Array(serverName.utf8)
        let extensions =
            // server_name: a list of one host_name (0).
            extensionBytes(serverNameExtension, vector16([0] + vector16(name)))
            // supported_groups: x25519.
            + extensionBytes(10, vector16([0x00, 0x1D]))
            // signature_algorithms: ecdsa_secp256r1_sha256.
            + extensionBytes(13, vector16([0x04, 0x03]))
            // supported_versions: TLS 1.3.
            + extensionBytes(43, vector8([0x03, 0x04]))
            // key_share: none yet (§4.2.8).
            + extensionBytes(51, vector16([]))
        let body =
            [0x03, 0x03] + random + vector8([])
            // TLS_AES_128_GCM_SHA256, and no compression.
            + vector16([0x13, 0x01]) + vector8([0]) + vector16(extensions)
        return [handshakeRecord, 0x03, 0x01] + vector16([clientHello] + number(body.count, bytes: 3) + body)
    }

    /// Reads a ClientHello, which may have been cut into several records.
    static func read(_ bytes: [UInt8]) -> Reading {
        var message: [UInt8] = []
        var position = 0
        while true {
            var record = Cursor(bytes[position...])
            guard let type = record.number(1) else { return .incomplete }
            guard type == Int(handshakeRecord) else { return .malformed }
            guard let version = record.number(2), let length = record.number(2) else { return .incomplete }
            guard version >> 8 == 3, (1...longestFragment).contains(length) else { return .malformed }
            guard let fragment = record.take(length) else { return .incomplete }
            message += fragment
            position += 5 + length

            var handshake = Cursor(message[...])
            if let type = handshake.number(1), type != Int(clientHello) { return .malformed }
            guard let size = handshake.number(3) else { continue }
            guard let body = handshake.take(size) else { continue }
            // One more message before the server's turn is not a client's to send.
            guard handshake.isAtEnd else { return .malformed }
            guard let name = serverName(in: body) else { return .malformed }
            return .hello(serverName: name.isEmpty ? nil : name, length: position)
        }
    }

    /// The host_name in the body of a ClientHello: empty if there is none, nil if the body is malformed.
    private static func serverName(in body: ArraySlice<UInt8>) -> String? {
        var hello = Cursor(body)
        guard hello.number(2) != nil, hello.take(32) != nil, hello.vector(1) != nil, hello.vector(2) != nil,
            hello.vector(1) != nil
        else { return nil }
        // A hello of TLS 1.2 may have no extensions at all.
        if hello.isAtEnd { return "" }
        guard let extensions = hello.vector(2), hello.isAtEnd else { return nil }
        var list = Cursor(extensions)
        var found = ""
        while !list.isAtEnd {
            guard let type = list.number(2), let data = list.vector(2) else { return nil }
            guard type == serverNameExtension else { continue }
            var names = Cursor(data)
            guard found.isEmpty, let entries = names.vector(2), names.isAtEnd else { return nil }
            var entry = Cursor(entries)
            guard entry.number(1) == 0, let name = entry.vector(2), entry.isAtEnd, !name.isEmpty,
                name.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
            else { return nil }
            found = String(decoding: name, as: UTF8.self)
        }
        return found
    }

    private static func extensionBytes(_ type: Int, _ data: [UInt8]) -> [UInt8] {
        number(type, bytes: 2) + vector16(data)
    }

    private static func vector8(_ bytes: [UInt8]) -> [UInt8] { number(bytes.count, bytes: 1) + bytes }

    private static func vector16(_ bytes: [UInt8]) -> [UInt8] { number(bytes.count, bytes: 2) + bytes }

    private static func number(_ value: Int, bytes: Int) -> [UInt8] {
        (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    /// Takes numbers, vectors and bytes from the front, and nothing past the end.
    private struct Cursor {
        private var rest: ArraySlice<UInt8>

        init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

        var isAtEnd: Bool { rest.isEmpty }

        mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard count <= rest.count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }

        mutating func number(_ bytes: Int) -> Int? { take(bytes)?.reduce(0) { $0 << 8 | Int($1) } }

        /// A vector whose length takes so many bytes.
        mutating func vector(_ lengthBytes: Int) -> ArraySlice<UInt8>? { number(lengthBytes).flatMap { take($0) } }
    }
}
