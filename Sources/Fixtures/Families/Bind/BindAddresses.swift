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
            mappedNeedsDualStack(transport), v6OnlyByDefault(transport), mustBeLocal(transport), connected(transport),
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

    /// The sysctl is what a socket that says nothing has; one that says otherwise is not bound by it.
    private static func v6OnlyByDefault(_ transport: TransportProtocol) -> Fixture {
        func sysctl(_ value: String, label: String?) -> Step {
            Step(.sysctl(SystemControl(namespace: "host", key: "net.ipv6.bindv6only", value: value)), label: label)
        }
        let probes: [IPAddress] = [.wildcard(.ipv4), .loopback(.ipv4), .mapped(0x7F00_0001), .loopback(.ipv6)]
        func sequence(_ options: [SocketOption]) -> BindSequence {
            BindSequence(
                in: "host", transport, port: 7000, [BindAttempt(.wildcard(.ipv6), options: options)],
                // A mapped address needs a socket that is for both.
                probes: probes.map { BindAttempt($0, options: $0 == .mapped(0x7F00_0001) ? [.dualStack] : []) })
        }
        let byDefault = Step(
            .binds(sequence([])), expect: [Expectation(.facts(BindRules().facts(of: sequence([.v6Only]))))])
        return Fixture(
            name: "bind/ipv6-only-by-default", variant: transport.rawValue,
            summary: "With bindv6only, :: holds no IPv4 address unless the socket says that it is for both.",
            because: ["ipv6(7), IPV6_V6ONLY", "Documentation/networking/ip-sysctl.rst, bindv6only"],
            requires: [.ipv6],
            steps: [
                Step(.namespace("host")), sysctl("1", label: "default"), byDefault,
                BindFamily.step(sequence([.dualStack])), sysctl("0", label: nil), BindFamily.step(sequence([])),
                BindFamily.step(sequence([.v6Only])),
            ],
            sabotages: [Sabotage("dual-stack-by-default", omit: ["default"])])
    }

    /// An address is the host's own, or the socket or the namespace says that it need not be.
    private static func mustBeLocal(_ transport: TransportProtocol) -> Fixture {
        func sequence(_ options: [SocketOption]) -> BindSequence {
            BindSequence(
                in: "host", transport, port: 7000, [],
                probes: ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8:2::1"].map {
                    BindAttempt(address($0), options: options)
                })
        }
        func step(_ options: [SocketOption], _ answers: [String]) -> Step {
            let sequence = sequence(options)
            var facts: [String: String] = [:]
            for (index, answer) in answers.enumerated() { facts[sequence.fact(ofProbe: index)] = answer }
            return Step(.binds(sequence), expect: [Expectation(.facts(facts))])
        }
        let absent = "bind EADDRNOTAVAIL"
        func sysctls(_ value: String, label: String? = nil) -> [Step] {
            ["ipv4", "ipv6"].map { family in
                Step(
                    .sysctl(SystemControl(namespace: "host", key: "net.\(family).ip_nonlocal_bind", value: value)),
                    label: label.map { "\($0)-\(family)" })
            }
        }
        return Fixture(
            name: "bind/address-must-be-local", variant: transport.rawValue,
            summary:
                "An address that is not the host's own cannot be bound without IP_FREEBIND, IP_TRANSPARENT or ip_nonlocal_bind; a local route makes an IPv4 prefix the host's own, and an IPv6 one not.",
            because: [
                "bind(2), EADDRNOTAVAIL", "ip(7), IP_FREEBIND, IP_TRANSPARENT, ip_nonlocal_bind",
                "paper §3.3: AnyIP, and what binding to a prefix takes",
            ],
            requires: [.ipv6],
            steps: [
                Step(.namespace("host")), step([], [absent, absent, absent]), step([.freeBind], ["ok", "ok", "ok"]),
                step([.transparent], ["ok", "ok", "ok"]),
            ] + sysctls("1", label: "nonlocal") + [step([], ["ok", "ok", "ok"])] + sysctls("0") + [
                step([], [absent, absent, absent]),
                Step(.localPrefix(LocalPrefix(namespace: "host", prefix: literal("192.0.2.0/24"))), label: "local"),
                Step(.localPrefix(LocalPrefix(namespace: "host", prefix: literal("2001:db8:2::/120")))),
                step([], ["ok", "ok", absent]),
            ],
            sabotages: [
                Sabotage("prefix-not-local", omit: ["local"]),
                Sabotage("nonlocal-bind-off", omit: ["nonlocal-ipv4", "nonlocal-ipv6"]),
            ])
    }

    /// A connected socket holds the address it sends from, and gives the others back.
    private static func connected(_ transport: TransportProtocol) -> Fixture {
        let peers: [(bound: IPAddress, peer: IPAddress)] = [
            (.wildcard(.ipv4), .loopback(.ipv4)), (.wildcard(.ipv6), .loopback(.ipv6)),
            (.wildcard(.ipv6), .mapped(0x7F00_0001)), (.mapped(0), .mapped(0x7F00_0001)),
        ]
        let sequences = peers.enumerated().map { index, pair in
            let (bound, peer) = pair
            let listener = BindAttempt(peer, port: 6000, listen: .atOnce)
            return BindSequence(
                // What is left of a connection may keep its port for a while.
                in: "host", transport, port: 7000 + UInt16(index),
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
                transport == .tcp ? "commit 28044fc1d495" : "commit 719f835853a9",
            ], sequences)
    }
}
