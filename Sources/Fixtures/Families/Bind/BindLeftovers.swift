import Addressing
import Lab

/// What remains of a socket, and what does not: after close(), in TIME_WAIT, as a connection, as a group's member.
enum BindLeftovers {
    static let fixtures: [Fixture] =
        BindFamily.Kind.allCases.flatMap { [closingFrees($0), groupLeaves($0), failureTakesNothing($0)] }
        + Form.all.flatMap { form in
            [
                leftBehind(
                    form, .timeWait, "time-wait-holds-its-address",
                    "An address and port in TIME_WAIT cannot be bound, unless both sockets had SO_REUSEADDR or SO_REUSEPORT.",
                    "commit 936a192f9740"),
                leftBehind(
                    form, .connection, "connection-holds-its-address",
                    "A connection that outlives its listener holds its own address, and shares it as its listener would have when it did not listen.",
                    "socket(7), SO_REUSEADDR"),
            ]
        }

    private struct Form {
        var name: String
        var listener: IPAddress
        var specific: IPAddress
        var others: [IPAddress]

        static let all = [
            Form(
                name: "ipv4", listener: .loopback(.ipv4), specific: .loopback(.ipv4),
                others: [.v4(0x7F00_0002), .wildcard(.ipv4)]),
            Form(
                name: "ipv4-wildcard", listener: .wildcard(.ipv4), specific: .loopback(.ipv4),
                others: [.v4(0x7F00_0002), .wildcard(.ipv4)]),
            Form(
                name: "ipv6", listener: .loopback(.ipv6), specific: .loopback(.ipv6),
                others: [.wildcard(.ipv6), .wildcard(.ipv4), .loopback(.ipv4)]),
            Form(
                name: "dual-stack-wildcard", listener: .wildcard(.ipv6), specific: .loopback(.ipv6),
                others: [.wildcard(.ipv6), .wildcard(.ipv4), .loopback(.ipv4), .mapped(0)]),
            Form(
                name: "mapped", listener: .mapped(0x7F00_0001), specific: .loopback(.ipv4),
                others: [.mapped(0), .wildcard(.ipv6), .loopback(.ipv6), .v4(0x7F00_0002)]),
        ]
    }

    private static let agreements: [[SocketOption]] = [
        [], [.reuseAddress], [.reusePort], [.reuseAddress, .reusePort],
    ]

    private static func leftBehind(
        _ form: Form, _ fate: BindAttempt.Fate, _ name: String, _ summary: String, _ because: String
    ) -> Fixture {
        let sequences = agreements.enumerated().flatMap { index, left in
            agreements.enumerated().map { other, come in
                // Every case has a port of its own: TIME_WAIT lasts longer than the fixture.
                BindSequence(
                    in: "host", .tcp, port: UInt16(7000 + 10 * index + other),
                    [BindAttempt(form.listener, options: left, listen: .atOnce, becomes: fate)],
                    probes: ([form.specific] + form.others).map { BindAttempt($0, options: come) }
                        + [
                            BindAttempt(form.specific, options: come, listen: .atOnce),
                            BindAttempt(form.specific, options: come, user: 1000),
                        ])
            }
        }
        return BindFamily.fixture(
            name, variant: form.name, summary,
            because: [
                because, BindRule.connectionHoldsItsOwnAddress.statement, BindRule.timeWaitHasNoUser.statement,
            ], sequences)
    }

    private static let forms: [IPAddress] = [
        .wildcard(.ipv4), .loopback(.ipv4), .wildcard(.ipv6), .loopback(.ipv6), .mapped(0), .mapped(0x7F00_0001),
    ]

    private static func closingFrees(_ kind: BindFamily.Kind) -> Fixture {
        // Twice on one port: what the first round leaves behind, the second meets.
        let sequences = (forms + forms.reversed()).flatMap { address in
            [[], [SocketOption.reuseAddress], [.reusePort]].map { options in
                BindSequence(
                    in: "host", kind.transport, port: 7000,
                    [BindAttempt(address, options: options, listen: kind.listen, becomes: .closed)],
                    probes: forms.map { BindAttempt($0, listen: kind.listen) })
            }
        }
        let fixture = BindFamily.fixture(
            "closing-frees-the-port", variant: kind.rawValue,
            "A port is free for every address as soon as the socket that held it is closed.",
            because: [BindRule.closingFrees.statement], sequences)
        return fixture.sabotagedByReplacing(sequences) { $0.sockets[0].becomes = .open }
    }

    private static func groupLeaves(_ kind: BindFamily.Kind) -> Fixture {
        func group(_ fates: [BindAttempt.Fate], _ address: IPAddress, _ port: UInt16) -> BindSequence {
            BindSequence(
                in: "host", kind.transport, port: port,
                fates.map { BindAttempt(address, options: [.reusePort], listen: kind.listen, becomes: $0) },
                probes: [[], [.reuseAddress], [.reusePort]].map {
                    BindAttempt(address, options: $0, listen: kind.listen)
                })
        }
        let sequences = [IPAddress.wildcard(.ipv4), .loopback(.ipv4), .wildcard(.ipv6), .loopback(.ipv6)].flatMap {
            [
                group([.closed, .closed, .closed], $0, 7000), group([.closed, .open, .closed], $0, 7001),
                group([.open, .closed, .closed], $0, 7001), group([.closed, .closed, .open], $0, 7001),
            ]
        }
        return BindFamily.fixture(
            "port-is-free-when-the-group-has-left", variant: kind.rawValue,
            "A port that a reuseport group shared is free for others when its last member has closed, and not before.",
            because: ["socket(7), SO_REUSEPORT", "commits c617f398edd4, da5e36308d9f"], sequences
        ).sabotagedByReplacing(sequences) { $0.sockets[0].becomes = .open }
    }

    /// A bind that fails must not leave half of itself in the tables.
    private static func failureTakesNothing(_ kind: BindFamily.Kind) -> Fixture {
        func attempt(_ address: IPAddress) -> BindAttempt { BindAttempt(address, listen: kind.listen) }
        let held: [(IPAddress, [IPAddress], [IPAddress])] = [
            (
                .loopback(.ipv4), [.wildcard(.ipv4), .loopback(.ipv4), .wildcard(.ipv6)],
                [.v4(0x7F00_0002), .loopback(.ipv6)]
            ),
            (.loopback(.ipv6), [.wildcard(.ipv6), .loopback(.ipv6)], [.wildcard(.ipv4), .mapped(0x7F00_0001)]),
        ]
        return BindFamily.fixture(
            "failed-bind-takes-nothing", variant: kind.rawValue,
            "A bind that fails leaves the port as it was: what was free before is free after.",
            because: ["bind(2)"],
            held.map { first, failing, free in
                BindSequence(
                    in: "host", kind.transport, port: 7000, [attempt(first)] + failing.map(attempt),
                    probes: free.map(attempt))
            })
    }
}

extension Fixture {
    /// The fixture with one sabotage more, for a change that the generated ones do not make.
    func sabotagedByReplacing(_ sequences: [BindSequence], _ change: (inout BindSequence) -> Void) -> Fixture {
        for (index, sequence) in sequences.enumerated() {
            var changed = sequence
            change(&changed)
            guard BindRules().facts(of: changed) != BindRules().facts(of: sequence) else { continue }
            var fixture = self
            // The namespace is the first step.
            let label = steps[index + 1].label ?? "case-\(index + 1)"
            fixture.steps[index + 1].label = label
            fixture.sabotages.append(
                Sabotage(
                    "never-closed",
                    replace: [label: [Step(.binds(changed), expect: steps[index + 1].expect)]]))
            return fixture
        }
        preconditionFailure("\(id): no case notices the change")
    }
}
