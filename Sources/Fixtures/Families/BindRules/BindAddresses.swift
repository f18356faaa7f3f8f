import Addressing
import Lab

/// Which addresses a socket holds: the cases that kernels once got wrong, each under the name of the behaviour.
///
/// The table has most of them, too; these say which one broke.
enum BindAddresses {
    static let fixtures: [Fixture] = TransportProtocol.allCases.flatMap { transport in
        [
            fixture(
                "dual-stack-wildcard-holds-ipv4", transport,
                "A dual-stack socket on :: stands against every IPv4 address, in either order.",
                because: "commit d9ba99342855, which fixed 5456262d2baa",
                [
                    ("::", [], ["127.0.0.1", "0.0.0.0", "127.0.0.2"]), ("127.0.0.1", [], ["::"]),
                    ("0.0.0.0", [], ["::"]),
                ]),
            fixture(
                "mapped-wildcard-holds-ipv4", transport,
                "A socket on ::ffff:0.0.0.0 holds every IPv4 address in either form, and no IPv6 address.",
                because: "commit aa99e5f87bd5",
                [
                    ("::ffff:0.0.0.0", [], ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "::1", "::"]),
                    ("127.0.0.1", [], ["::ffff:0.0.0.0"]), ("0.0.0.0", [], ["::ffff:0.0.0.0"]),
                    ("::1", [], ["::ffff:0.0.0.0"]),
                ]),
            fixture(
                "mapped-address-is-its-ipv4-address", transport,
                "::ffff:127.0.0.1 and 127.0.0.1 are one address, and neither is another or an IPv6 address.",
                because: "commit c48ef9c4aed3",
                [
                    ("::ffff:127.0.0.1", [], ["127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::"]),
                    ("127.0.0.1", [], ["::ffff:127.0.0.1", "::ffff:127.0.0.2", "::1"]),
                    ("::1", [], ["::ffff:127.0.0.1", "127.0.0.1"]),
                ]),
            fixture(
                "ipv6-only-wildcard-hides-no-ipv4-wildcard", transport,
                "With 0.0.0.0 and an IPv6-only :: both bound, IPv4 and mapped addresses are still in use.",
                because: "commit d91ef1e1b55f",
                [
                    ("0.0.0.0", ["::"], ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::1"]),
                    ("::ffff:0.0.0.0", ["::"], ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "::1"]),
                    ("127.0.0.1", ["::"], ["127.0.0.1", "::ffff:127.0.0.1", "127.0.0.2", "::1"]),
                ]),
            fixture(
                "ipv6-only-wildcard-leaves-ipv4", transport,
                "An IPv6-only :: leaves IPv4 addresses free in either form, and holds every IPv6 address.",
                because: "commit ea111449501e, which fixed 5e07e672412b",
                [
                    (
                        "", ["::"],
                        ["::ffff:127.0.0.1", "::ffff:0.0.0.0", "127.0.0.1", "0.0.0.0", "::1", "::"]
                    )
                ]),
            // 127.0.0.6 is what the kernel writes where a socket on an IPv6 address has to have an IPv4 one.
            fixture(
                "ipv6-address-leaves-ipv4", transport,
                "A socket on an IPv6 address holds no IPv4 address, although it was not asked to be IPv6-only.",
                because: "RFC 3493 §3.7; commit fe38d2a1c8be",
                [
                    (
                        "::1", [],
                        ["127.0.0.1", "127.0.0.6", "0.0.0.0", "::ffff:127.0.0.6", "::ffff:0.0.0.0", "::", "::1"]
                    ),
                    ("127.0.0.6", [], ["::1"]), ("0.0.0.0", [], ["::1"]),
                ]),
            mappedNeedsDualStack(transport), connected(transport),
        ]
    }

    private static func address(_ text: String) -> IPAddress {
        guard let address = IPAddress(text) else { preconditionFailure("'\(text)' in the catalogue is no address") }
        return address
    }

    /// - Parameter cases: an address, further ones that are bound IPv6-only, and the probes; plain sockets all.
    private static func fixture(
        _ name: String, _ transport: TransportProtocol, _ summary: String, because: String,
        _ cases: [(first: String, v6Only: [String], probes: [String])]
    ) -> Fixture {
        let kinds = BindFamily.Kind.of(transport)
        let sequences = kinds.flatMap { kind in
            cases.map { item in
                BindSequence(
                    in: "host", transport, port: 7000,
                    (item.first.isEmpty ? [] : [BindAttempt(address(item.first), listen: kind.listen)])
                        + item.v6Only.map { BindAttempt(address($0), options: [.v6Only], listen: kind.listen) },
                    probes: item.probes.map { BindAttempt(address($0), listen: kind.listen) })
            }
        }
        return BindFamily.fixture(
            name, variant: transport.rawValue, summary, because: [because, "ipv6(7)"], sequences)
    }

    private static func mappedNeedsDualStack(_ transport: TransportProtocol) -> Fixture {
        let mapped = [
            BindAttempt(.mapped(0x7F00_0001), options: [.v6Only]), BindAttempt(.mapped(0), options: [.v6Only]),
        ]
        return BindFamily.fixture(
            "mapped-address-needs-dual-stack", variant: transport.rawValue,
            "An IPv6-only socket cannot be bound to a mapped address, and the attempt takes nothing.",
            because: [BindRule.mappedNeedsDualStack.statement],
            [
                BindSequence(
                    in: "host", transport, port: 7000, [BindAttempt(.wildcard(.ipv6), options: [.v6Only])] + mapped,
                    probes: [
                        BindAttempt(.wildcard(.ipv4)), BindAttempt(.mapped(0x7F00_0001)), BindAttempt(.loopback(.ipv6)),
                    ])
            ])
    }

    /// A connected socket holds the address it sends from, and gives the others back.
    private static func connected(_ transport: TransportProtocol) -> Fixture {
        let peers: [(bound: IPAddress, peer: IPAddress)] = [
            (.wildcard(.ipv4), .loopback(.ipv4)), (.wildcard(.ipv6), .loopback(.ipv6)),
            (.wildcard(.ipv6), .mapped(0x7F00_0001)), (.mapped(0), .mapped(0x7F00_0001)),
        ]
        let sequences = peers.map { bound, peer in
            let listener = BindAttempt(peer, port: 6000, listen: .atOnce)
            return BindSequence(
                in: "host", transport, port: 7000,
                (transport == .tcp ? [listener] : [])
                    + [BindAttempt(bound, connect: Endpoint(peer, 6000))],
                probes: ["127.0.0.2", "127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:127.0.0.2"].map {
                    BindAttempt(address($0))
                })
        }
        return BindFamily.fixture(
            "connecting-leaves-one-address", variant: transport.rawValue,
            "A socket on a wildcard that is connected holds the address it sends from, and frees the others.",
            because: [
                BindRule.connectingChoosesOneAddress.statement, BindRule.dualStackConnectionShadowsIPv4.statement,
                transport == .tcp ? "commits 28044fc1d495, 77934dc6db0d" : "commit 719f835853a9",
            ], sequences)
    }
}
