/// An IPv4 or IPv6 prefix: an address whose host bits are zero, and a length of 0–32 or 0–128.
public struct Prefix: Hashable, Sendable {
    /// The first address.
    public let address: IPAddress
    /// How many leading bits all addresses have in common.
    public let length: Int

    /// Makes a prefix.
    ///
    /// - Throws: ``AddressingError/lengthOutOfRange(length:width:)``, or
    ///   ``AddressingError/hostBitsSet(text:canonical:)`` which names the canonical form.
    public init(_ address: IPAddress, length: Int) throws(AddressingError) {
        guard (0...address.family.width).contains(length) else {
            throw .lengthOutOfRange(length: length, width: address.family.width)
        }
        let network = IPAddress(family: address.family, bits: address.bits & Prefix.mask(address.family, length))
        guard network == address else {
            throw .hostBitsSet(text: "\(address)/\(length)", canonical: "\(network)/\(length)")
        }
        self.address = address
        self.length = length
    }

    /// The prefix of one address: /32 or /128.
    public init(_ address: IPAddress) {
        self.address = address
        self.length = address.family.width
    }

    /// The family of its addresses.
    public var family: AddressFamily { address.family }

    /// The last address of the prefix.
    public var last: IPAddress {
        IPAddress(family: family, bits: address.bits | (Prefix.width(family) & ~Prefix.mask(family, length)))
    }

    /// Whether an address is one of the prefix; none of the other family is.
    public func contains(_ candidate: IPAddress) -> Bool {
        candidate.family == family && candidate.bits & Prefix.mask(family, length) == address.bits
    }

    /// Whether every address of `other` is also in this prefix.
    public func contains(_ other: Prefix) -> Bool { other.length >= length && contains(other.address) }

    /// Whether these are IPv4 addresses in IPv6 form, ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), which are on no wire.
    public var isMapped: Bool { family == .ipv6 && length >= 96 && address.bits >> 32 == 0xFFFF }

    /// The address at `offset` from the first; nil past the last.
    public func address(at offset: UInt128) -> IPAddress? {
        let (bits, overflow) = address.bits.addingReportingOverflow(offset)
        let candidate = IPAddress(family: family, bits: bits)
        return overflow || bits > last.bits ? nil : candidate
    }

    private static func width(_ family: AddressFamily) -> UInt128 {
        family == .ipv4 ? UInt128(UInt32.max) : UInt128.max
    }

    private static func mask(_ family: AddressFamily, _ length: Int) -> UInt128 {
        // A shift by the full width gives 0, which is the mask of /0.
        width(family) & (UInt128.max << UInt128(family.width - length))
    }
}

extension Prefix: CustomStringConvertible {
    /// Parses `address/length`, or an address alone as its /32 or /128.
    public init(text: String) throws(AddressingError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(String(parts[0])) else { throw .notAPrefix(text) }
        guard parts.count == 2 else {
            self.init(address)
            return
        }
        guard let length = Int(parts[1]), parts[1].allSatisfy(\.isNumber) else { throw .notAPrefix(text) }
        try self.init(address, length: length)
    }

    /// `192.0.2.0/24` or `2001:db8::/32`.
    public var description: String { "\(address)/\(length)" }
}

/// What is wrong with an address, prefix, endpoint or port range.
public enum AddressingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Text that is no address.
    case notAnAddress(String)
    /// Text that is no prefix.
    case notAPrefix(String)
    /// Text that is no address and port.
    case notAnEndpoint(String)
    /// Text that is no range of ports, or whose first port is above its last.
    case notAPortRange(String)
    /// A prefix longer than an address of its family has bits.
    case lengthOutOfRange(length: Int, width: Int)
    /// An address within a prefix, and not its first; `canonical` is the prefix that it is in.
    case hostBitsSet(text: String, canonical: String)

    /// What is wrong, and what to write.
    public var description: String {
        switch self {
        case .notAnAddress(let text): "'\(text)' is not an IP address: write 192.0.2.1 or 2001:db8::1"
        case .notAPrefix(let text): "'\(text)' is not a prefix: write 192.0.2.0/24 or 2001:db8::/32"
        case .notAnEndpoint(let text): "'\(text)' is not an endpoint: write 192.0.2.1:53 or [2001:db8::1]:53"
        case .notAPortRange(let text): "'\(text)' is not a port range: write 53 or 8000-8010, within 0-65535"
        case .lengthOutOfRange(let length, let width): "a prefix length is 0 to \(width), not \(length)"
        case .hostBitsSet(let text, let canonical): "\(text) has host bits set: write \(canonical)"
        }
    }
}
