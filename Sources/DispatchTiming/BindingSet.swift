import Addressing
import SocketLookup

/// Bindings of one size, and addresses that are bound by them and that are not.
struct BindingSet {
    /// The port that packets go to.
    static let port: UInt16 = 53
    static let label = "own"

    let bindings: [Binding]
    /// For each kind of packet.
    let bound: [Kind: [IPAddress]]
    let unbound: [Kind: [IPAddress]]

    /// Prefixes of both families and ports of both protocols in equal parts, and half of the bindings for one port and
    /// half for all: what a provider has that serves single addresses, and whole prefixes.
    ///
    /// - Parameters:
    ///   - count: A single binding is for `kind`, more are for all kinds.
    ///   - destinations: How many addresses there are to be of each kind.
    init(count: Int, kind single: Kind, destinations: Int) throws {
        var random = SplitMix(state: UInt64(count))
        var taken: Set<Prefix> = []
        var bindings: [Binding] = []
        bindings.reserveCapacity(count)
        while bindings.count < count {
            let kind = count == 1 ? single : Kind.all[bindings.count % Kind.all.count]
            let lengths = kind.family == .ipv4 ? [20, 24, 28, 32] : [48, 56, 64, 128]
            let length = lengths[bindings.count / Kind.all.count % lengths.count]
            let host = UInt128(kind.family.width - length)
            let bits = (BindingSet.randomAddress(kind.family, &random).bits >> host) << host
            let prefix = try Prefix(IPAddress(family: kind.family, bits: bits), length: length)
            guard taken.insert(prefix).inserted else { continue }
            let ports = bindings.count / Kind.all.count / lengths.count % 2 == 0 ? PortRange(BindingSet.port) : .all
            bindings.append(Binding(Match(kind.protocol, prefix, ports), to: BindingSet.label))
        }
        self.bindings = bindings
        var (bound, unbound): ([Kind: [IPAddress]], [Kind: [IPAddress]]) = ([:], [:])
        for kind in Kind.all {
            let own = bindings.filter { $0.match.protocol == kind.protocol && $0.match.prefix.family == kind.family }
            guard !own.isEmpty else { continue }
            bound[kind] = (0..<destinations).compactMap { _ in
                let prefix = own[Int.random(in: 0..<own.count, using: &random)].match.prefix
                let host = UInt128(kind.family.width - prefix.length)
                return prefix.address(at: UInt128.random(in: 0..<1 << host, using: &random))
            }
            let prefixes = Set(own.map(\.match.prefix))
            let lengths = Set(prefixes.map(\.length))
            var free: [IPAddress] = []
            while free.count < destinations {
                let address = BindingSet.randomAddress(kind.family, &random)
                let isBound = try lengths.contains { length in
                    let host = UInt128(kind.family.width - length)
                    let network = IPAddress(family: kind.family, bits: (address.bits >> host) << host)
                    return try prefixes.contains(Prefix(network, length: length))
                }
                if !isBound { free.append(address) }
            }
            unbound[kind] = free
        }
        self.bound = bound
        self.unbound = unbound
    }

    /// In 16.0.0.0–111.255.255.255, or 2001:d00::/24: nothing that the kernel treats in a way of its own.
    private static func randomAddress(_ family: AddressFamily, _ random: inout SplitMix) -> IPAddress {
        if family == .ipv4 { return .v4(UInt32.random(in: 16 << 24..<112 << 24, using: &random)) }
        let base: UInt128 = 0x2001_0d00 << 96
        return IPAddress(family: .ipv6, bits: base | UInt128.random(in: 0..<1 << 104, using: &random))
    }
}

/// A protocol over an IP version.
struct Kind: Hashable, CustomStringConvertible {
    let `protocol`: TransportProtocol
    let family: AddressFamily

    static let all = [
        Kind(protocol: .udp, family: .ipv4), Kind(protocol: .tcp, family: .ipv4), Kind(protocol: .udp, family: .ipv6),
        Kind(protocol: .tcp, family: .ipv6),
    ]

    var description: String { (`protocol` == .udp ? "UDP" : "TCP SYN") + (family == .ipv4 ? " IPv4" : " IPv6") }
}

/// The same numbers in every run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
