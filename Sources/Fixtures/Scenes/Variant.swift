import Addressing
import Lab

/// The transport and address family that a fixture is performed for.
struct Variant: Hashable {
    var transport: TransportProtocol
    var family: AddressFamily

    /// `udp-ipv6`.
    var id: String { "\(transport.rawValue)-\(family.rawValue)" }

    static let all = TransportProtocol.allCases.flatMap { transport in
        AddressFamily.allCases.map { Variant(transport: transport, family: $0) }
    }

    static let udp = all.filter { $0.transport == .udp }

    /// What every fixture of this family needs.
    var features: [Feature] { family == .ipv6 ? [.ipv6] : [] }
}

/// Prefixes set aside for documentation (RFC 5737, RFC 3849), so that the fixtures read alike in both families.
///
/// An IPv6 prefix here has as many addresses as its IPv4 counterpart.
struct AddressPlan {
    let family: AddressFamily

    /// 192.0.2.0/24, or 2001:db8:2::/120.
    var service: Prefix { prefix("192.0.2.0/24", "2001:db8:2::/120") }
    /// 203.0.113.0/24, or 2001:db8:113::/120.
    var second: Prefix { prefix("203.0.113.0/24", "2001:db8:113::/120") }
    /// 198.18.0.0/24, or 2001:db8:18::/120: local to the server, and in no binding.
    var unbound: Prefix { prefix("198.18.0.0/24", "2001:db8:18::/120") }
    /// 10.0.0.1/32, or fd00::1/128: an address that was meant for internal use.
    var `internal`: Prefix { prefix("10.0.0.1/32", "fd00::1/128") }
    /// 10.16.0.0/20, or 2001:db8:16::/116: 4096 addresses.
    var large: Prefix { prefix("10.16.0.0/20", "2001:db8:16::/116") }
    /// 0.0.0.0/0, or ::/0.
    var everything: Prefix { prefix("0.0.0.0/0", "::/0") }

    var clientTransit: String { family == .ipv4 ? "198.51.100.1/24" : "2001:db8:51::1/64" }
    var serverTransit: String { family == .ipv4 ? "198.51.100.2/24" : "2001:db8:51::2/64" }
    var clientAddress: IPAddress { address("198.51.100.1", "2001:db8:51::1") }
    var serverAddress: IPAddress { address("198.51.100.2", "2001:db8:51::2") }
    var loopback: IPAddress { .loopback(family) }
    var wildcard: IPAddress { .wildcard(family) }

    private func prefix(_ ipv4: String, _ ipv6: String) -> Prefix { literal(family == .ipv4 ? ipv4 : ipv6) }

    private func address(_ ipv4: String, _ ipv6: String) -> IPAddress { prefix(ipv4, ipv6).address }
}

/// A prefix that is written in this program.
func literal(_ text: String) -> Prefix {
    guard let prefix = try? Prefix(text: text) else { preconditionFailure("'\(text)' in the catalogue is no prefix") }
    return prefix
}

extension Prefix {
    /// The address at `offset`, counted from the first, or from the end if negative: -1 is the last.
    func host(_ offset: Int) -> IPAddress {
        let bits = offset < 0 ? last.bits - UInt128(-offset - 1) : address.bits + UInt128(offset)
        return IPAddress(family: family, bits: bits)
    }

    /// The `index`-th of the prefixes that are `bits` longer.
    func part(_ index: Int, bits: Int) -> Prefix {
        let length = length + bits
        let start = address.bits + UInt128(index) << UInt128(family.width - length)
        guard let prefix = try? Prefix(IPAddress(family: family, bits: start), length: length) else {
            preconditionFailure("\(self) has no part of length \(length)")
        }
        return prefix
    }
}

extension PortRange {
    /// A range that is written in this program.
    static func from(_ first: UInt16, to last: UInt16) -> PortRange {
        guard let range = try? PortRange(first, through: last) else { preconditionFailure("\(first)-\(last)") }
        return range
    }
}
