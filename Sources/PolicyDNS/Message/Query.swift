import Addressing

/// A query, as a client asks it.
public struct Query: Hashable, Sendable {
    public var id: UInt16 = 0
    public var name: DomainName
    public var type: UInt16
    public var recordClass = RecordClass.internet
    public var recursionDesired = false
    /// The EDNS part; nil for none.
    public var edns: EDNS?

    /// What an OPT record carries (RFC 6891 §6.1).
    public struct EDNS: Hashable, Sendable {
        /// The largest UDP message that the sender takes, in bytes.
        public var payload: UInt16 = 1232
        public var version: UInt8 = 0
        /// All 16 flags; DO is 0x8000.
        public var flags: UInt16 = 0
        public var options: [Option] = []

        public init() {}
    }

    /// An EDNS option.
    public struct Option: Hashable, Sendable {
        public var code: UInt16
        public var data: [UInt8]

        public init(code: UInt16, data: [UInt8]) {
            self.code = code
            self.data = data
        }

        /// A client cookie, with the server's if one is known (RFC 7873).
        public static func cookie(client: UInt64, server: [UInt8] = []) -> Option {
            Option(code: OptionCode.cookie, data: client.networkBytes + server)
        }

        /// The network that is asked for (RFC 7871).
        public static func clientSubnet(_ prefix: Prefix) -> Option {
            let width = prefix.family.width
            let bits = prefix.address.bits << UInt128(128 - width)
            let address = (0..<((prefix.length + 7) / 8)).map {
                UInt8(truncatingIfNeeded: bits >> UInt128(120 - 8 * $0))
            }
            return Option(
                code: OptionCode.clientSubnet,
                data: [0, prefix.family == .ipv4 ? 1 : 2, UInt8(prefix.length), 0] + address)
        }
    }

    public init(_ name: DomainName, type: UInt16) {
        self.name = name
        self.type = type
    }

    /// The query as it is sent over UDP; over TCP its length in two bytes comes first.
    public var bytes: [UInt8] {
        var bytes = id.networkBytes + [recursionDesired ? Header.recursionDesired : 0, 0]
        bytes += [0, 1, 0, 0, 0, 0, 0, edns == nil ? 0 : 1]
        bytes += name.wire + type.networkBytes + recordClass.networkBytes
        if let edns {
            let options = edns.options.flatMap { option in
                option.code.networkBytes + UInt16(clamping: option.data.count).networkBytes + option.data
            }
            bytes += [0] + RecordType.opt.networkBytes + edns.payload.networkBytes + [0, edns.version]
            bytes += edns.flags.networkBytes + UInt16(clamping: options.count).networkBytes + options
        }
        return bytes
    }
}

extension FixedWidthInteger {
    /// The bytes, the most significant one first.
    var networkBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}
