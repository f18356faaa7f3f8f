import Addressing
import Lab

/// Which port the kernel gives to a socket that leaves the choice to it.
enum BindPorts {
    static let fixtures: [Fixture] =
        TransportProtocol.allCases.flatMap { [avoidsConflicts($0), sharesOrNot($0), narrowed($0)] }
        + [autobindReuse] + [crowded]

    private static func step(_ sequence: BindSequence, _ facts: [String: String]) -> Step {
        Step(.binds(sequence), expect: [Expectation(.facts(facts))])
    }

    private static func range(_ first: UInt16, _ last: UInt16) -> Step {
        Step(
            .sysctl(
                SystemControl(namespace: "host", key: "net.ipv4.ip_local_port_range", value: "\(first) \(last)")),
            label: "range")
    }

    private static func facts(_ sequence: BindSequence, sockets: [String], probes: [String]) -> [String: String] {
        var facts: [String: String] = [:]
        for (index, answer) in sockets.enumerated() { facts[sequence.fact(ofSocket: index)] = answer }
        for (index, answer) in probes.enumerated() { facts[sequence.fact(ofProbe: index)] = answer }
        return facts
    }

    private static let taken = "bind EADDRINUSE"

    /// Eight ports, some of them taken: the rest can be had, each once, and nothing else.
    private static func avoidsConflicts(_ transport: TransportProtocol) -> Fixture {
        let cases: [(address: IPAddress, free: Int)] = [
            // 20001 and 20005 are taken for every IPv4 address, 20003 for one.
            (.loopback(.ipv4), 5), (.v4(0x7F00_0002), 6), (.wildcard(.ipv4), 5), (.loopback(.ipv6), 6), (.mapped(0), 5),
            (.wildcard(.ipv6), 4),
        ]
        let steps = cases.map { address, free in
            let holders = [
                BindAttempt(.wildcard(.ipv4), port: 20001), BindAttempt(.loopback(.ipv4), port: 20003),
                BindAttempt(.wildcard(.ipv6), port: 20005), BindAttempt(.loopback(.ipv6), port: 20006),
            ]
            let sequence = BindSequence(
                in: "host", transport, port: 0,
                holders + Array(repeating: BindAttempt(address), count: free + 1),
                // A port outside the range is none that was given.
                probes: [19999, 20008].map { BindAttempt(.wildcard(.ipv6), port: $0) })
            return step(
                sequence,
                facts(
                    sequence, sockets: Array(repeating: "ok", count: holders.count + free) + [taken],
                    probes: ["ok", "ok"]))
        }
        let reserved = BindSequence(
            in: "host", transport, port: 0, Array(repeating: BindAttempt(.loopback(.ipv4)), count: 7),
            probes: [BindAttempt(.loopback(.ipv4), port: 20002), BindAttempt(.loopback(.ipv4), port: 20004)])
        return Fixture(
            name: "bind/port-zero-avoids-conflicts", variant: transport.rawValue,
            summary:
                "Asked for any port, the kernel gives each free one of its range once, none that conflicts or is reserved, and then EADDRINUSE.",
            because: ["bind(2), EADDRINUSE", "ip(7), ip_local_port_range, ip_local_reserved_ports"], requires: [.ipv6],
            steps: [Step(.namespace("host")), range(20000, 20007)] + steps + [
                Step(
                    .sysctl(
                        SystemControl(namespace: "host", key: "net.ipv4.ip_local_reserved_ports", value: "20002,20004")),
                    label: "reserve"),
                step(
                    reserved,
                    facts(reserved, sockets: Array(repeating: "ok", count: 6) + [taken], probes: ["ok", "ok"])),
            ],
            sabotages: [
                Sabotage("range-not-set", omit: ["range"]), Sabotage("none-reserved", omit: ["reserve"]),
            ])
    }

    /// With two ports, the third socket shows whether one was given twice.
    private static func sharesOrNot(_ transport: TransportProtocol) -> Fixture {
        let last = transport == .tcp ? taken : "ok"
        let steps = [[SocketOption.reuseAddress], [.reusePort], [.reuseAddress, .reusePort]].flatMap { options in
            [IPAddress.loopback(.ipv4), .loopback(.ipv6)].map { address in
                let sequence = BindSequence(
                    in: "host", transport, port: 0, Array(repeating: BindAttempt(address, options: options), count: 3))
                return step(sequence, facts(sequence, sockets: ["ok", "ok", last], probes: []))
            }
        }
        return Fixture(
            name: "bind/port-zero-and-sharing", variant: transport.rawValue,
            summary: transport == .tcp
                ? "Asked for any port, TCP gives none that another socket has, also where both would share it."
                : "Asked for any port, UDP may give one that another socket has, where both would share it.",
            because: transport == .tcp ? ["commits aacd9289af8b, ea8add2b1903"] : ["socket(7)", "commit 72289b96c943"],
            requires: [.ipv6], steps: [Step(.namespace("host")), range(20000, 20001)] + steps,
            sabotages: [
                transport == .tcp
                    ? Sabotage("range-not-set", omit: ["range"])
                    : Sabotage(
                        "ports-held-by-another",
                        replace: [
                            "range": [
                                range(20000, 20000),
                                Step(
                                    .socket(
                                        SocketDescription(
                                            "holder", in: "host", transport,
                                            bind: Endpoint(.wildcard(.ipv4), 20000)))),
                            ]
                        ])
            ])
    }

    private static let autobindReuse: Fixture = {
        let sequences = [IPAddress.loopback(.ipv4), .loopback(.ipv6)].flatMap { address in
            [
                (
                    BindSequence(
                        in: "host", .tcp, port: 0,
                        Array(repeating: BindAttempt(address, options: [.reuseAddress]), count: 3)), "ok"
                ),
                // Not with a listener, and not without the option.
                (
                    BindSequence(
                        in: "host", .tcp, port: 0,
                        Array(repeating: BindAttempt(address, options: [.reuseAddress], listen: .atOnce), count: 3)),
                    taken
                ),
                (BindSequence(in: "host", .tcp, port: 0, Array(repeating: BindAttempt(address), count: 3)), taken),
            ]
        }
        return Fixture(
            name: "bind/port-zero-with-autobind-reuse",
            summary:
                "With ip_autobind_reuse, TCP gives a port twice to sockets that have SO_REUSEADDR and do not listen, once the others are used up.",
            because: ["commit 4b01a9674231", "Documentation/networking/ip-sysctl.rst, ip_autobind_reuse"],
            requires: [.ipv6],
            steps: [
                Step(.namespace("host")), range(20000, 20001),
                Step(
                    .sysctl(SystemControl(namespace: "host", key: "net.ipv4.ip_autobind_reuse", value: "1")),
                    label: "reuse"),
            ]
                + sequences.map { sequence, last in
                    step(sequence, facts(sequence, sockets: ["ok", "ok", last], probes: []))
                },
            sabotages: [Sabotage("reuse-not-set", omit: ["reuse"]), Sabotage("range-not-set", omit: ["range"])])
    }()

    /// IP_LOCAL_PORT_RANGE: the socket's own part of the range.
    private static func narrowed(_ transport: TransportProtocol) -> Fixture {
        // Backported to 6.1 in June 2023.
        let part = VersionSet(KernelVersion(6, 3), KernelVersion(6, 1, 32))
        let steps = [IPAddress.loopback(.ipv4), .wildcard(.ipv4), .loopback(.ipv6), .mapped(0)].map { address in
            func attempt(_ first: UInt16, _ last: UInt16) -> BindAttempt {
                BindAttempt(address, localPorts: .from(first, to: last))
            }
            let sequence = BindSequence(
                in: "host", transport, port: 0,
                [
                    attempt(20003, 20003), attempt(20003, 20003),
                    // An end outside the namespace's range counts for nothing, and so does one that is 0.
                    attempt(20007, 30000), attempt(100, 20000), attempt(0, 20000),
                    attempt(20004, 20005), attempt(20004, 20005), attempt(20004, 20005),
                ])
            var found = facts(
                sequence, sockets: ["ok", taken, "ok", "ok", taken, "ok", "ok", taken], probes: [])
            for (index, port) in [(0, 20003), (2, 20007), (3, 20000)] {
                found["port of \(sequence.fact(ofSocket: index))"] = "\(port)"
            }
            let refused = facts(sequence, sockets: Array(repeating: "setsockopt ENOPROTOOPT", count: 8), probes: [])
            return Step(
                .binds(sequence),
                expect: [
                    Expectation(.facts(found), since: part, because: "commit 91d0b78c5177: IP_LOCAL_PORT_RANGE"),
                    Expectation(.facts(refused), until: part, because: "commit 91d0b78c5177: IP_LOCAL_PORT_RANGE"),
                ])
        }
        return Fixture(
            name: "bind/port-range-of-the-socket", variant: transport.rawValue,
            summary: "IP_LOCAL_PORT_RANGE narrows the range from which a socket's port is chosen, and cannot widen it.",
            because: ["ip(7), IP_LOCAL_PORT_RANGE", "commit 91d0b78c5177"], requires: [.ipv6],
            steps: [Step(.namespace("host")), range(20000, 20007)] + steps,
            sabotages: [
                Sabotage(
                    "ports-held-by-another",
                    replace: [
                        "range": [
                            range(20000, 20007),
                            Step(
                                .socket(
                                    SocketDescription(
                                        "holder", in: "host", transport, bind: Endpoint(.wildcard(.ipv6), 20003)))),
                        ]
                    ])
            ])
    }

    /// More than ten sockets on a port, from where on UDP looks them up by address.
    private static let crowded: Fixture = {
        let fixed = VersionSet(
            KernelVersion(7, 0), KernelVersion(6, 19, 11), KernelVersion(6, 18, 21), KernelVersion(6, 12, 80),
            KernelVersion(6, 6, 131), KernelVersion(6, 1, 168))
        let crowd = (1...12).map { BindAttempt(.v4(0x7F00_0100 | UInt32($0))) }
        let plain = BindSequence(
            in: "host", .udp, port: 7000, crowd,
            probes: [
                BindAttempt(.wildcard(.ipv4)), BindAttempt(.wildcard(.ipv6)), BindAttempt(.mapped(0)),
                BindAttempt(.wildcard(.ipv6), options: [.v6Only]), BindAttempt(.v4(0x7F00_0101)),
                BindAttempt(.v4(0x7F00_0201)), BindAttempt(.mapped(0x7F00_0101)), BindAttempt(.mapped(0x7F00_0201)),
                BindAttempt(.loopback(.ipv6)),
            ])
        let right = BindRules().facts(of: plain)
        // Before, a wildcard met the others only where their addresses' hashes happened to share its slot: for one of 12
        // among 256 slots, with a seed of the namespace's own, once in 22 runs. So either is right there.
        var either = right
        for index in 0...2 { either[plain.fact(ofProbe: index)] = nil }
        // Those who share it, and a wildcard among them, must all be found again.
        let shared = [[SocketOption.reuseAddress], [.reusePort]].flatMap { options in
            [IPAddress.wildcard(.ipv4), .wildcard(.ipv6), .mapped(0)].map { wildcard in
                var sequence = plain
                sequence.sockets = (crowd + [BindAttempt(wildcard)]).map {
                    var member = $0
                    member.options = options
                    return member
                }
                sequence.probes = [IPAddress.v4(0x7F00_0101), .v4(0x7F00_0201), .mapped(0x7F00_0201), .loopback(.ipv6)]
                    .flatMap { [BindAttempt($0), BindAttempt($0, options: options)] }
                return BindFamily.step(sequence)
            }
        }
        // One user's group, and another user who asks for a part of it.
        var users = plain
        users.sockets = (crowd + [BindAttempt(.loopback(.ipv6))]).map {
            BindAttempt($0.address, options: [.reusePort], user: 1000)
        }
        users.probes = [IPAddress.v4(0x7F00_0101), .mapped(0x7F00_0101), .loopback(.ipv6), .v4(0x7F00_0201)].flatMap {
            address in [UInt32(1000), 1001].map { BindAttempt(address, options: [.reusePort], user: $0) }
        }
        // And one that is bound to a device.
        var device = plain
        device.sockets = crowd.map { BindAttempt($0.address, device: "lo") }
        device.probes = [nil, "lo"].flatMap { device in
            [IPAddress.v4(0x7F00_0101), .v4(0x7F00_0201)].map { BindAttempt($0, device: device) }
        }
        let because = "CVE-2026-31503: udp: Fix wildcard bind conflict check when using hash2"
        return Fixture(
            name: "bind/crowded-port", variant: "udp",
            summary: "Where more than ten UDP sockets have a port, binds conflict as among few.",
            because: [because, "commit 30fff9231fad"], requires: [.ipv6],
            steps: [
                Step(.namespace("host")),
                Step(
                    .binds(plain), label: "crowd",
                    expect: [
                        Expectation(.facts(right), since: fixed, because: because),
                        Expectation(.facts(either), until: fixed, because: because),
                    ]),
            ] + shared + [BindFamily.step(users), BindFamily.step(device)],
            sabotages: [
                Sabotage(
                    "crowd-elsewhere",
                    replace: [
                        "crowd": [
                            Step(
                                .binds(
                                    BindSequence(
                                        in: "host", .udp, port: 7000,
                                        plain.sockets.map {
                                            BindAttempt($0.address, port: 7001)
                                        }, probes: plain.probes)),
                                expect: [Expectation(.facts(["probe 127.0.1.1": taken]))])
                        ]
                    ])
            ])
    }()
}
