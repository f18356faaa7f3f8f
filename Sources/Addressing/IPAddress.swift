import Glibc

/// An IPv4 or IPv6 address, without a zone.
public enum IPAddress: Hashable, Sendable, Comparable {
    /// The 32 bits of an IPv4 address in host order: `0xC000_0201` is 192.0.2.1.
    case v4(UInt32)
    /// The 128 bits of an IPv6 address in host order.
    case v6(UInt128)

    /// Which version of IP it is of.
    public var family: AddressFamily {
        switch self {
        case .v4: .ipv4
        case .v6: .ipv6
        }
    }

    /// The bits, right-aligned for IPv4.
    public var bits: UInt128 {
        switch self {
        case .v4(let bits): UInt128(bits)
        case .v6(let bits): bits
        }
    }

    /// Makes an address of `family` from the low bits of `bits`.
    public init(family: AddressFamily, bits: UInt128) {
        switch family {
        case .ipv4: self = .v4(UInt32(truncatingIfNeeded: bits))
        case .ipv6: self = .v6(bits)
        }
    }

    /// 0.0.0.0 or ::.
    public static func wildcard(_ family: AddressFamily) -> IPAddress { IPAddress(family: family, bits: 0) }

    /// 127.0.0.1 or ::1.
    public static func loopback(_ family: AddressFamily) -> IPAddress {
        switch family {
        case .ipv4: .v4(0x7F00_0001)
        case .ipv6: .v6(1)
        }
    }

    /// The address as sixteen bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
    public var mappedBytes: [UInt8] {
        let value: UInt128 =
            switch self {
            case .v4(let bits): 0xFFFF_0000_0000 | UInt128(bits)
            case .v6(let bits): bits
            }
        return (0..<16).map { UInt8(truncatingIfNeeded: value >> UInt128(8 * (15 - $0))) }
    }

    /// By value, and IPv4 before IPv6.
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        left.family == right.family ? left.bits < right.bits : left.family == .ipv4
    }
}

/// Which version of IP: the `AF_INET` or `AF_INET6` of a socket.
public enum AddressFamily: String, Hashable, Sendable, Codable, CaseIterable {
    /// `AF_INET`.
    case ipv4
    /// `AF_INET6`.
    case ipv6

    /// The number of bits in an address: 32 or 128.
    public var width: Int { self == .ipv4 ? 32 : 128 }
}

/// The transport whose sockets are looked up.
public enum TransportProtocol: String, Hashable, Sendable, Codable, CaseIterable {
    /// `IPPROTO_TCP`.
    case tcp
    /// `IPPROTO_UDP`.
    case udp
}

extension IPAddress: LosslessStringConvertible {
    /// Parses dotted decimal or RFC 4291 text; nil for anything else, zones included.
    public init?(_ text: String) {
        var v4 = in_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            self = .v4(UInt32(bigEndian: v4.s_addr))
            return
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        self = .v6(withUnsafeBytes(of: v6) { $0.reduce(UInt128(0)) { $0 << 8 | UInt128($1) } })
    }

    /// Dotted decimal, or the canonical text of RFC 5952.
    public var description: String {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        switch self {
        case .v4(let bits):
            var address = in_addr(s_addr: bits.bigEndian)
            inet_ntop(AF_INET, &address, &buffer, socklen_t(buffer.count))
        case .v6(let bits):
            var network = bits.bigEndian
            inet_ntop(AF_INET6, &network, &buffer, socklen_t(buffer.count))
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
