import Addressing
import Lab

/// Whose socket it is, and what keeps sockets apart whatever their addresses: user, device, protocol, namespace.
enum BindOwners {
    static let fixtures: [Fixture] =
        BindFamily.Kind.allCases.flatMap { [oneUser($0), devices($0), unboundMeetsDevice($0)] }
        + TransportProtocol.allCases.map(apart)

    private static func oneUser(_ kind: BindFamily.Kind) -> Fixture {
        func attempt(_ address: IPAddress, _ options: [SocketOption], _ user: UInt32) -> BindAttempt {
            BindAttempt(address, options: options, listen: kind.listen, user: user)
        }
        let addresses: [(IPAddress, IPAddress)] = [
            (.loopback(.ipv4), .loopback(.ipv4)), (.wildcard(.ipv4), .loopback(.ipv4)),
            (.loopback(.ipv4), .wildcard(.ipv4)), (.loopback(.ipv6), .loopback(.ipv6)),
            (.wildcard(.ipv6), .loopback(.ipv6)), (.wildcard(.ipv6), .loopback(.ipv4)),
            (.loopback(.ipv4), .wildcard(.ipv6)), (.loopback(.ipv4), .mapped(0x7F00_0001)),
        ]
        let agreements: [[SocketOption]] = [[.reusePort], [.reuseAddress], [.reuseAddress, .reusePort]]
        var sequences = addresses.flatMap { first, second in
            agreements.map { options in
                BindSequence(
                    in: "host", kind.transport, port: 7000, [attempt(first, options, 1000)],
                    probes: [0, 1000, 1001].map { attempt(second, options, $0) })
            }
        }
        // Two groups, each of one user, on one port; nobody may have the wildcard over both.
        sequences.append(
            BindSequence(
                in: "host", kind.transport, port: 7000,
                [
                    attempt(.loopback(.ipv4), [.reusePort], 1000), attempt(.v4(0x7F00_0002), [.reusePort], 1001),
                    attempt(.loopback(.ipv4), [.reusePort], 1000), attempt(.loopback(.ipv4), [.reusePort], 1001),
                    attempt(.v4(0x7F00_0002), [.reusePort], 1000),
                ],
                probes: [IPAddress.wildcard(.ipv4), .wildcard(.ipv6)].flatMap { address in
                    [UInt32(1000), 1001].map { attempt(address, [.reusePort], $0) }
                }))
        let fixture = BindFamily.fixture(
            "reuseport-takes-one-user", variant: kind.rawValue,
            "SO_REUSEPORT shares a port only among sockets of one user; SO_REUSEADDR asks for no user.",
            because: [BindRule.reusePortTakesOneUser.statement, "commits da5e36308d9f, 72289b96c943"], sequences)
        return fixture
    }

    /// Two devices in one namespace. A pair of devices is the one kind that the lab makes; a kernel may have none.
    private static func devices(_ kind: BindFamily.Kind) -> Fixture {
        let addresses: [(IPAddress, IPAddress)] = [
            (.wildcard(.ipv4), .wildcard(.ipv4)), (.loopback(.ipv4), .loopback(.ipv4)),
            (.wildcard(.ipv4), .loopback(.ipv4)), (.loopback(.ipv4), .wildcard(.ipv4)),
            (.wildcard(.ipv6), .wildcard(.ipv6)), (.wildcard(.ipv6), .loopback(.ipv4)),
            (.loopback(.ipv4), .wildcard(.ipv6)),
        ]
        let sequences = addresses.flatMap { first, second in
            ["lo", "uplink", nil].map { (device: String?) in
                BindSequence(
                    in: "host", kind.transport, port: 7000,
                    [BindAttempt(first, listen: kind.listen, device: device)],
                    probes: ["lo", "uplink", nil].map { BindAttempt(second, listen: kind.listen, device: $0) })
            }
        }
        var fixture = BindFamily.fixture(
            "devices-are-apart", variant: kind.rawValue,
            "Sockets bound to different devices do not conflict; one bound to none conflicts with those of each.",
            because: [BindRule.devicesAreApart.statement], sequences)
        fixture.requires.append(.devicePair)
        fixture.steps.insert(
            contentsOf: [
                Step(.namespace("peer")),
                Step(
                    .devicePair(
                        DevicePair(
                            .init(namespace: "host", device: "uplink", addresses: ["198.51.100.2/24"]),
                            .init(namespace: "peer", device: "uplink", addresses: ["198.51.100.1/24"])))),
            ], at: 1)
        return fixture
    }

    /// What of this can be asked with `lo` alone.
    private static func unboundMeetsDevice(_ kind: BindFamily.Kind) -> Fixture {
        let sequences = [["lo", nil], [nil, "lo"], ["lo", "lo"]].flatMap { (pair: [String?]) in
            [IPAddress.wildcard(.ipv4), .loopback(.ipv4), .wildcard(.ipv6), .loopback(.ipv6)].map { address in
                BindSequence(
                    in: "host", kind.transport, port: 7000,
                    [BindAttempt(address, listen: kind.listen, device: pair[0])],
                    probes: [
                        address, .wildcard(.ipv4), .wildcard(.ipv6), .loopback(.ipv4), .v4(0x7F00_0002),
                        .loopback(.ipv6),
                    ].map { BindAttempt($0, listen: kind.listen, device: pair[1]) })
            }
        }
        return BindFamily.fixture(
            "device-takes-nothing-from-the-unbound", variant: kind.rawValue,
            "A socket bound to a device conflicts with one that is not, and with one bound to the same device.",
            because: [BindRule.devicesAreApart.statement], sequences)
    }

    /// The port of the other protocol, and of another namespace, is another port.
    private static func apart(_ transport: TransportProtocol) -> Fixture {
        let other: TransportProtocol = transport == .tcp ? .udp : .tcp
        let held: [IPAddress] = [.wildcard(.ipv4), .wildcard(.ipv6)]
        let steps = held.enumerated().flatMap { index, address in
            let port = UInt16(7000 + index)
            func socket(_ name: String, _ namespace: String, _ transport: TransportProtocol) -> Step {
                Step(
                    .socket(
                        SocketDescription("\(name)-\(port)", in: namespace, transport, bind: Endpoint(address, port))),
                    label: index == 0 ? name : nil)
            }
            let probes: [IPAddress] = [.wildcard(.ipv4), .loopback(.ipv4), .wildcard(.ipv6), .mapped(0x7F00_0001)]
            let sequence = BindSequence(
                in: "host", transport, port: port, [],
                probes: BindFamily.Kind.of(transport).flatMap { kind in
                    probes.map { BindAttempt($0, listen: kind.listen) }
                })
            return [socket("other-protocol", "host", other), socket("other-namespace", "elsewhere", transport)]
                + [BindFamily.step(sequence)]
        }
        return Fixture(
            name: "bind/protocols-and-namespaces-are-apart", variant: transport.rawValue,
            summary: "A port that is held for the other protocol, or in another network namespace, is free.",
            because: ["ip(7)", "network_namespaces(7)"], requires: [.ipv6],
            steps: [Step(.namespace("host")), Step(.namespace("elsewhere"))] + steps,
            sabotages: [
                Sabotage(
                    "same-protocol-and-namespace",
                    replace: [
                        "other-protocol": [
                            Step(
                                .socket(
                                    SocketDescription(
                                        "same", in: "host", transport, bind: Endpoint(.loopback(.ipv4), 7000))))
                        ]
                    ])
            ])
    }
}
