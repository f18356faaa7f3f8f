import Addressing
import Lab

/// A packet, and what a program should be shown of it: derived from the packet alone.
struct PacketView: Hashable {
    var transport: TransportProtocol
    var remote: Endpoint
    var local: Endpoint

    init(_ transport: TransportProtocol, remote: Endpoint, local: Endpoint) {
        self.transport = transport
        self.remote = remote
        self.local = local
    }

    /// Two packets. All bytes of an address differ, and all words, and remote from local, so that none can stand for
    /// another; the second has the high bit set in many, so that a sign would be seen.
    static func packets(_ transport: TransportProtocol, _ family: AddressFamily) -> [PacketView] {
        let pairs =
            family == .ipv4
            ? [("198.51.100.23", "192.0.2.77"), ("203.0.113.250", "198.18.201.7")]
            : [
                ("2001:db8:1122:3344:5566:7788:99aa:bbcc", "2001:db8:f1e2:d3c4:b5a6:9788:796a:5b4c"),
                ("fdef:8123:a456:c789:ebcd:9e10:f254:b698", "fdfe:dcba:9876:d432:90ff:e0dd:c1bb:aa99"),
            ]
        let ports: [(UInt16, UInt16)] = [(40001, 8081), (65244, 61922)]
        return zip(pairs, ports).map { addresses, ports in
            PacketView(
                transport, remote: Endpoint(literal(addresses.0).address, ports.0),
                local: Endpoint(literal(addresses.1).address, ports.1))
        }
    }

    /// The two, and two more at the edges: between loopback addresses, whose bytes are nearly all 0, from a privileged
    /// port to the last one, and from the last but one to the first.
    static func packetsAndEdges(_ transport: TransportProtocol, _ family: AddressFamily) -> [PacketView] {
        let packets = packets(transport, family)
        return packets + [
            PacketView(
                transport, remote: Endpoint(.loopback(family), 53), local: Endpoint(.loopback(family), 65535)),
            PacketView(
                transport, remote: Endpoint(packets[1].remote.address, 65534),
                local: Endpoint(packets[0].local.address, 1)),
        ]
    }

    /// The packet that comes back.
    var answer: PacketView { PacketView(transport, remote: local, local: remote) }

    /// What a test-run is given.
    var fields: ContextFields { ContextFields(transport, remote: remote, local: local) }

    /// Every field but the interface, by loads of each width. The addresses of the other family read 0.
    ///
    /// The upper half of a field that the kernel keeps in 16 bits should read 0 too, as its bytes do. It does not: the
    /// verifier shifts what it has loaded only if less is asked for than the kernel keeps, so that a load of the upper
    /// half gives the lower one again, on every kernel. It was put right for remote_port alone (``expectations(_:)``).
    var facts: [String: String] {
        func address(_ address: IPAddress, _ family: AddressFamily) -> String {
            (address.family == family ? address : .wildcard(family)).description
        }
        let halves = [
            "u16 family + 2": local.address.family == .ipv4 ? "2" : "10",
            "u16 protocol + 2": transport == .tcp ? "6" : "17", "u16 local_port + 2": "\(local.port)",
        ]
        return PacketView.every([
            "family": local.address.family == .ipv4 ? "AF_INET" : "AF_INET6",
            "protocol": transport == .tcp ? "TCP" : "UDP",
            "remote_ip4": address(remote.address, .ipv4), "remote_ip6": address(remote.address, .ipv6),
            "remote_port": "\(remote.port)",
            "local_ip4": address(local.address, .ipv4), "local_ip6": address(local.address, .ipv6),
            "local_port": "\(local.port)",
        ]).merging(halves) { $1 }
    }

    func facts(ingress device: String) -> [String: String] {
        facts.merging(PacketView.every(["ingress_ifindex": device])) { $1 }
    }

    /// Before, remote_port was a field of 32 bits, like the others.
    static let narrowPortSince = VersionSet(KernelVersion(5, 18), KernelVersion(5, 17, 2))
    static let narrowPortBecause =
        "commits 9a69e2b385f4, 058ec4a7d9cf: remote_port has 16 bits, and 0 behind it, for halves of words too"

    /// That a program has noted these facts, and what follows the remote port.
    static func expectations(_ facts: [String: String]) -> [Expectation] {
        guard let port = facts["u16 remote_port"].flatMap({ UInt16($0) }) else { return [Expectation(.facts(facts))] }
        func following(_ value: String) -> Outcome { .facts(facts.merging(["u16 remote_port + 2": value]) { $1 }) }
        return [
            // The halves of the port are in network order, and the number is read in the host's.
            Expectation(following("\(port.byteSwapped)"), until: narrowPortSince, because: narrowPortBecause),
            Expectation(following("0"), since: narrowPortSince, because: narrowPortBecause),
        ]
    }

    /// The same of loads of each width.
    static func every(_ fields: [String: String]) -> [String: String] {
        var facts: [String: String] = [:]
        for width in ["u8", "u16", "u32"] { for (name, value) in fields { facts["\(width) \(name)"] = value } }
        return facts
    }
}
