import Addressing
import Glibc
import Lab

/// Which local port, and which address, the kernel gives or takes, where kernels differ in that.
enum HistoryOfPorts {
    static let fixtures: [Fixture] =
        Variant.all.filter { $0.transport == .tcp }.flatMap { [freedPort($0), disconnectedClient($0), parity($0)] }
        + Variant.all.map(rangeOfConnection) + Variant.all.filter { $0.family == .ipv4 }.map(lowestAddress) + [knobs]

    private static let bucketUpdated = Change(
        "commit d57f4b874946: when a socket lets go of a port, what the others allow is worked out again",
        KernelVersion(6, 18), KernelVersion(6, 17, 8))

    private static let rangeOption = Change(
        "commit 91d0b78c5177: IP_LOCAL_PORT_RANGE", KernelVersion(6, 3), KernelVersion(6, 1, 32))

    private static let eitherParity = Change(
        "commit 207184853dbd: with a range of the socket's own, connect() takes ports of both parities alike",
        KernelVersion(6, 8))

    private static let lowestIsUnicast = Change(
        "commit 94c821c74bf5: the lowest address of a subnet is no broadcast address", KernelVersion(5, 14))

    private static func fixture(
        _ name: String, _ variant: Variant, _ summary: String, because: [String], _ steps: [Step],
        sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: "history/\(name)", variant: variant.id, summary: summary, because: because,
            requires: variant.features, steps: [Step(.namespace("host"))] + steps, sabotages: sabotages)
    }

    /// The namespace's ports, also of IPv6.
    private static func range(_ first: UInt16, _ last: UInt16, label: String? = "range") -> Step {
        Step(
            .sysctl(
                SystemControl(namespace: "host", key: "net.ipv4.ip_local_port_range", value: "\(first) \(last)")),
            label: label)
    }

    private static func open(
        _ name: String, _ variant: Variant, _ address: IPAddress, _ port: UInt16, options: [SocketOption] = [],
        listen: Bool = true
    ) -> Step {
        Step(
            .socket(
                SocketDescription(
                    name, in: "host", variant.transport, bind: Endpoint(address, port),
                    options: [.freeBind] + options, listen: listen)),
            label: "open-\(name)")
    }

    private static func connect(
        _ name: String, _ variant: Variant, _ address: IPAddress, _ expectations: [Expectation]
    ) -> Step {
        Step(
            .connect(Connection(name, from: "host", variant.transport, to: Endpoint(address, 80))),
            expect: expectations)
    }

    private static let taken = Outcome.fails(ErrorNumber(rawValue: EADDRNOTAVAIL), call: "connect")

    /// Two servers, and one port for all clients.
    private static func onePort(_ variant: Variant) -> (
        steps: [Step], first: IPAddress, second: IPAddress, other: IPAddress
    ) {
        let prefix = AddressPlan(family: variant.family).service
        let (first, second) = (prefix.host(1), prefix.host(2))
        return (
            [
                Step(.localPrefix(LocalPrefix(namespace: "host", prefix: prefix))), range(40000, 40000),
                open("first", variant, first, 80), open("second", variant, second, 80),
            ], first, second, prefix.host(3)
        )
    }

    private static func freedPort(_ variant: Variant) -> Fixture {
        let (servers, first, second, other) = onePort(variant)
        return fixture(
            "freed-port-is-shared-again", variant,
            "Clients of different servers share a port until somebody binds it; once that socket is closed, they do again, where the port once was lost to new clients for as long as an old one had it.",
            because: [bucketUpdated.commit],
            servers + [
                connect("client", variant, first, [Expectation(.reaches("first"))]),
                open("passing", variant, other, 40000, options: [.reuseAddress], listen: false),
                connect("neighbour", variant, second, [Expectation(taken)]),
                Step(.close("passing"), label: "close-passing"),
                connect(
                    "neighbour", variant, second,
                    bucketUpdated.expectations(before: taken, after: .reaches("second"))),
            ],
            sabotages: [
                Sabotage("nobody-binds-the-port", omit: ["open-passing", "close-passing"]),
                Sabotage("range-not-set", omit: ["range"]),
            ])
    }

    /// What a client gave up may be bound, and then blocks clients: as upstream tests with the change above.
    private static func disconnectedClient(_ variant: Variant) -> Fixture {
        let (servers, first, second, other) = onePort(variant)
        return fixture(
            "disconnected-clients-port", variant,
            "A port that a client had until it was disconnected can be bound, and is then not given to another client.",
            because: [
                "commit 8a8241cdaa34: selftests/net/tcp_port_share.c, port_block_after_disconnect",
                bucketUpdated.commit,
            ],
            servers + [
                connect("client", variant, first, [Expectation(.reaches("first"))]),
                Step(.call(SocketCall(.disconnect, on: "client", .client)), label: "disconnect"),
                open("listener", variant, other, 40000, options: [.reuseAddress]),
                connect("neighbour", variant, second, [Expectation(taken)]),
                Step(.close("listener"), label: "close-listener"),
            ],
            sabotages: [
                Sabotage("nobody-binds-the-port", omit: ["open-listener", "close-listener"]),
                Sabotage("range-not-set", omit: ["range"]),
            ])
    }

    private static func choose(
        _ variant: Variant, _ count: Int, of ports: PortRange? = nil, _ expectations: [Expectation]
    ) -> Step {
        Step(
            .choosePorts(
                PortChoice(
                    in: "host", variant.transport, to: Endpoint(.loopback(variant.family), 80), count: count,
                    localPorts: ports)),
            expect: expectations)
    }

    private static let noOption = Outcome.facts(["chosen": "0", "refused": "setsockopt ENOPROTOOPT"])

    private static func rangeOfConnection(_ variant: Variant) -> Fixture {
        let usedUp = variant.transport == .tcp ? "connect EADDRNOTAVAIL" : "connect EAGAIN"
        func all(_ first: UInt16, _ last: UInt16) -> Outcome {
            .facts([
                "chosen": "\(last - first + 1)", "from": "\(first)", "through": "\(last)", "refused": usedUp,
            ])
        }
        func part(_ first: UInt16, _ last: UInt16, gives given: Outcome) -> Step {
            choose(
                variant, 17, of: .from(first, to: last), rangeOption.expectations(before: noOption, after: given))
        }
        return fixture(
            "range-of-a-connecting-socket", variant,
            "A socket that connects gets a port of its own range within the namespace's, all of them and no other; a range that is outside counts for nothing.",
            because: [rangeOption.commit, "ip(7), IP_LOCAL_PORT_RANGE"],
            [
                range(40000, 40015), open("server", variant, .loopback(variant.family), 80),
                choose(variant, 17, [Expectation(all(40000, 40015))]),
                part(40004, 40007, gives: all(40004, 40007)),
                part(40015, 40015, gives: all(40015, 40015)),
                part(40010, 50000, gives: all(40010, 40015)),
                part(50000, 50001, gives: all(40000, 40015)),
            ],
            sabotages: [Sabotage("range-not-set", omit: ["range"])])
    }

    private static func parity(_ variant: Variant) -> Fixture {
        func chosen(_ parity: String) -> Outcome {
            .facts(["chosen": "24", "parity": parity, "refused": "nothing"])
        }
        func usedUp(_ count: Int, through last: UInt16) -> Outcome {
            .facts(["chosen": "\(count)", "through": "\(last)", "refused": "connect EADDRNOTAVAIL"])
        }
        func own(byParity: Outcome, any: Outcome) -> [Expectation] {
            [
                Expectation(noOption, until: rangeOption.versions, because: rangeOption.commit),
                Expectation(
                    byParity, since: rangeOption.versions, until: eitherParity.versions,
                    because: rangeOption.commit + "; until " + eitherParity.commit),
                Expectation(any, since: eitherParity.versions, because: eitherParity.commit),
            ]
        }
        return fixture(
            "parity-of-a-connecting-sockets-port", variant,
            "connect() first takes ports of the parity of the range's first, and never the last of an odd number; within a range of the socket's own it once did so too, and takes any now.",
            because: ["commit 07f4c90062f8: even ports for connect(), odd ones for bind()", eitherParity.commit],
            [
                range(40000, 40063), open("server", variant, .loopback(variant.family), 80),
                choose(variant, 24, [Expectation(chosen("even"))]),
                // By chance alone, 24 of 64 ports are all even once in 300 million runs.
                choose(variant, 24, of: .from(40000, to: 40063), own(byParity: chosen("even"), any: chosen("both"))),
                choose(
                    variant, 4, of: .from(40004, to: 40006),
                    own(byParity: usedUp(2, through: 40005), any: usedUp(3, through: 40006))),
                range(40000, 40002, label: nil), choose(variant, 4, [Expectation(usedUp(2, through: 40001))]),
            ],
            sabotages: [Sabotage("range-of-the-other-parity", replace: ["range": [range(40001, 40064)]])])
    }

    private static func lowestAddress(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: .ipv4)
        let broadcast: Outcome =
            variant.transport == .tcp
            ? .fails(.networkUnreachable, call: "connect")
            : .fails(ErrorNumber(rawValue: EACCES), call: "sendto")
        func probe(_ address: IPAddress, _ expectations: [Expectation]) -> Step {
            Step(.probe(Probe(from: "host", variant.transport, to: Endpoint(address, 80))), expect: expectations)
        }
        let reaches = Outcome.reaches("wildcard")
        let changed = lowestIsUnicast.expectations(before: broadcast, after: reaches)
        return fixture(
            "lowest-address-of-a-subnet", variant,
            "The lowest address of a subnet can be asked like any other, where it once was a second broadcast address; of a prefix that is local by its route, every address can.",
            because: [lowestIsUnicast.commit],
            [
                Step(
                    .addAddress(AddressAssignment(namespace: "host", address: "\(plan.second.host(1))/24")),
                    label: "address"),
                Step(.localPrefix(LocalPrefix(namespace: "host", prefix: plan.service))),
                open("wildcard", variant, plan.wildcard, 80),
                probe(plan.second.host(0), changed), probe(plan.second.host(1), [Expectation(reaches)]),
                probe(plan.second.host(7), [Expectation(reaches)]),
                probe(plan.second.host(-1), [Expectation(broadcast)]),
                probe(literal("127.0.0.0/32").address, changed),
                probe(literal("127.255.255.255/32").address, [Expectation(broadcast)]),
                probe(plan.service.host(0), [Expectation(reaches)]),
                probe(plan.service.host(-1), [Expectation(reaches)]),
            ],
            sabotages: [
                Sabotage("address-not-added", omit: ["address"]),
                Sabotage("socket-not-opened", omit: ["open-wildcard"]),
            ])
    }

    /// The namespace's settings for ports and tables of sockets, as far as they came later than 5.10.
    private static let knobs: Fixture = {
        struct Knob {
            var key: String
            var value: String
            var change: Change
        }
        let all = [
            Knob(
                key: "tcp_child_ehash_entries", value: "64",
                change: Change(
                    "commit d1e5e6408b30: a table of TCP connections for each namespace", KernelVersion(6, 1))),
            Knob(
                key: "udp_child_hash_entries", value: "128",
                change: Change("commit 9804985bf27f: a table of UDP sockets for each namespace", KernelVersion(6, 2))),
            Knob(
                key: "tcp_tw_reuse_delay", value: "500",
                change: Change("commit ca6a6f93867a: when a port in TIME_WAIT may be reused", KernelVersion(6, 14))),
            Knob(
                key: "ip_local_port_step_width", value: "8",
                change: Change("commit 7da62262ec96: how far connect() goes from port to port", KernelVersion(7, 1))),
        ]
        let absent = Outcome.fails(ErrorNumber(rawValue: ENOENT), call: "open")
        func read(_ key: String, in namespace: String, _ expectations: [Expectation]) -> Step {
            Step(.exec(Command(in: namespace, "cat /proc/sys/net/ipv4/\(key)")), expect: expectations)
        }
        // A namespace is given tables of the size that its parent says.
        func table(_ key: String, of knob: Knob) -> Step {
            read(
                key, in: "child",
                knob.change.expectations(before: .exits(1, output: nil), after: .exits(0, output: knob.value)))
        }
        return Fixture(
            name: "history/knobs-of-ports-and-tables",
            summary:
                "A namespace has settings of its own for the tables of its children's sockets and for the choice of ports.",
            because: all.map(\.change.commit) + ["Documentation/networking/ip-sysctl.rst"],
            steps: [
                Step(.namespace("host")), range(40000, 40063),
                read("ip_local_port_range", in: "host", [Expectation(.exits(0, output: "40000\t40063"))]),
            ]
                + all.map { knob in
                    Step(
                        .sysctl(SystemControl(namespace: "host", key: "net.ipv4.\(knob.key)", value: knob.value)),
                        expect: knob.change.expectations(before: absent, after: .succeeds))
                }
                + all.map { knob in
                    read(
                        knob.key, in: "host",
                        knob.change.expectations(before: .exits(1, output: nil), after: .exits(0, output: knob.value)))
                }
                + [
                    Step(.childNamespace(ChildNamespace("child", from: "host"))),
                    table("tcp_ehash_entries", of: all[0]), table("udp_hash_entries", of: all[1]),
                ],
            sabotages: [Sabotage("range-not-set", omit: ["range"])])
    }()
}
