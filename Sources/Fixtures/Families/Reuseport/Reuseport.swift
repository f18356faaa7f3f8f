import Addressing
import Glibc
import Lab

/// What sk_lookup selects may be in a reuseport group: then the group decides which of its members gets the packet.
enum Reuseport {
    static let fixtures: [Fixture] =
        GroupVariant.all.flatMap { [programPicks($0), programDrops($0), hashSpreads($0)] }
        + GroupVariant.ordinary.flatMap { [membersComeAndGo($0), filterNumbersMembers($0), exactAndWildcard($0)] }
        + TransportProtocol.allCases.flatMap { [groupsByFamily($0, first: .ipv4), groupsByFamily($0, first: .ipv6)] }

    static let because = [
        "selftests/bpf/sk_lookup.c: a selected socket's reuseport group is consulted",
        "bpf-helpers(7): BPF_SK_LOOKUP_F_NO_REUSEPORT",
    ]

    private static func fixture(
        _ name: String, _ group: GroupVariant, _ summary: String, because: [String] = because, _ steps: [Step],
        sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: "reuseport/\(name)", variant: group.id, summary: summary, because: because,
            requires: [.skLookup] + group.features, steps: group.host + steps, sabotages: sabotages)
    }

    private static func programPicks(_ group: GroupVariant) -> Fixture {
        let seen = [
            "runs": "1", "protocol": group.transport.rawValue, "ethernet": group.family.rawValue,
            "wildcard": group.isWildcard ? "yes" : "no", "destination port": "\(group.destination.port)",
            "1 result": "0",
        ]
        return fixture(
            "program-picks-within-the-group", group,
            "Of the group whose member sk_lookup selects, the group's program picks, once for each flow, or else the hash, as without a program; NO_REUSEPORT takes the selected member itself.",
            [group.member("first"), group.member("second"), group.member("third"), group.bystander]
                + group.lookup(picking: "first") + [
                    group.spread(["first", "second", "third"]),
                    GroupScenery.load("group", [.select("second")]),
                    GroupScenery.register("second", with: "group"), GroupScenery.register("third", with: "group"),
                    GroupScenery.attach("group", to: "third", label: "attach-group"),
                    group.probe(.reaches("second"), source: Endpoint(group.plan.loopback, 40001)),
                    GroupScenery.recorded("group", seen.merging(["source port": "40001"]) { $1 }),
                    GroupScenery.script("group", [.select("third")]),
                    group.probe(.reaches("third")),
                    GroupScenery.recorded("group", seen),
                    // The last selection wins.
                    GroupScenery.script("group", [.select("third"), .select("second")]),
                    group.probe(.reaches("second")),
                    GroupScenery.recorded("group", ["runs": "1", "1 result": "0", "2 result": "0"]),
                    GroupScenery.script("lookup", group.selection([.noReuseport])),
                    group.probe(.reaches("first")), group.probe(.reaches("first")),
                    GroupScenery.recorded("group", ["runs": "0"]),
                    // A program that picks nothing leaves it to the hash.
                    GroupScenery.script("lookup", group.selection()),
                    GroupScenery.script("group", [.verdict(.pass)]),
                    group.spread(["first", "second", "third"], asBefore: true),
                    Step(.detachReuseport("first")), group.spread(["first", "second", "third"], asBefore: true),
                    // Whichever member is selected, the group is the same. (A socket is in one kind of map at a time.)
                    GroupScenery.refused(
                        .register(Registration("lookup", label: "pick", socket: "third")), EBUSY,
                        call: "bpf(BPF_MAP_UPDATE_ELEM)"),
                    Step(.unregister(Registration("group", label: "third", socket: "third"))),
                    Step(.register(Registration("lookup", label: "pick", socket: "third"))),
                    group.spread(["first", "second", "third"], asBefore: true),
                ],
            sabotages: [
                Sabotage("no-program-in-the-group", omit: ["attach-group"]),
                Sabotage("no-sk-lookup", omit: ["attach"]),
            ])
    }

    private static func programDrops(_ group: GroupVariant) -> Fixture {
        fixture(
            "drop-in-the-group-refuses", group,
            "What the program of the selected socket's group drops is refused, although another socket is bound to the very destination.",
            [group.member("first"), group.member("second"), group.bystander]
                + group.lookup(picking: "first") + [
                    GroupScenery.load("group", [.select("second"), .verdict(.drop)]),
                    GroupScenery.register("second", with: "group"),
                    GroupScenery.attach("group", to: "first", label: "attach-group"),
                    group.probe(.refused),
                    GroupScenery.recorded("group", ["runs": "1", "1 result": "0"]),
                    GroupScenery.script("group", [.verdict(.drop)]),
                    group.probe(.refused),
                    GroupScenery.recorded("group", ["runs": "1"]),
                    GroupScenery.script("lookup", group.selection([.noReuseport])),
                    group.probe(.reaches("first")),
                    GroupScenery.script("lookup", [.verdict(.pass)]),
                    group.probe(.reaches("bystander")),
                    GroupScenery.recorded("group", ["runs": "0"]),
                ],
            sabotages: [
                Sabotage("no-program-in-the-group", omit: ["attach-group"]),
                Sabotage("no-sk-lookup", omit: ["attach"]),
            ])
    }

    private static func hashSpreads(_ group: GroupVariant) -> Fixture {
        let names = (1...8).map { "member-\($0)" }
        let other =
            group.isWildcard ? Endpoint(.loopback(.ipv6), 8001) : Endpoint(group.plan.service.host(2), 8001)
        func outsider(_ name: String, _ bind: Endpoint) -> Step {
            Step(
                .socket(
                    SocketDescription(name, in: "host", group.transport, bind: bind, options: [.reusePort, .freeBind])))
        }
        return fixture(
            "hash-spreads-flows", group,
            "Flows to a selected socket are spread over its group of 1, 2, 3 and 8, each member gets some, each flow stays; other groups and lone sockets get none.",
            [
                outsider("other-address", other), group.member("other-port", port: 8002), group.bystander,
                group.member(names[0]),
            ] + group.lookup(picking: names[0]) + [group.spread([names[0]])]
                + [group.member(names[1]), group.spread(Array(names[..<2]))]
                + [group.member(names[2]), group.spread(Array(names[..<3]))]
                + names[3...].map { group.member($0) } + [group.spread(names)]
                + [
                    // An option that was set after bind() makes no group.
                    Step(
                        .socket(
                            SocketDescription(
                                "late", in: "host", group.transport, bind: group.address(port: 8003),
                                options: group.options.filter { $0 != .reusePort }))),
                    Step(.setOption(OptionChange(.reusePort, of: "late"))),
                    Step(.register(Registration("lookup", label: "late", socket: "late"))),
                    GroupScenery.script("lookup", [.onlyLocalPort(group.destination.port), .select("late")]),
                    group.probe(.reaches("late")), group.probe(.reaches("late")),
                    GroupScenery.script("lookup", group.selection([.noReuseport])),
                    Step(
                        .spread(Spread(from: "host", group.transport, to: group.destination, among: [names[0]])),
                        expect: [Expectation(.facts(["answered by": names[0], "moved": "0"]))]),
                ],
            sabotages: [
                Sabotage("one-member-fewer", omit: ["open-member-8"]),
                Sabotage("no-sk-lookup", omit: ["attach"]),
            ])
    }

    private static func membersComeAndGo(_ group: GroupVariant) -> Fixture {
        let tcp = group.transport == .tcp
        func bound(_ name: String) -> Step {
            Step(
                .socket(
                    SocketDescription(
                        name, in: "host", .tcp, bind: group.address(), options: group.options, listen: false)))
        }
        func close(_ name: String) -> Step { Step(.close(name), label: "close-\(name)") }
        return fixture(
            "members-come-and-go", group,
            "Whoever joins gets a share, nobody who left gets or refuses a flow, and once the selected member has left, its map slot is empty and packets are refused.",
            because: because + ["bpf(2): a socket that is closed leaves the socket maps it is in"],
            [group.member("a"), group.member("b"), group.member("c")]
                + (tcp ? [bound("bound")] : [])
                + group.lookup(picking: "a") + [
                    group.spread(["a", "b", "c"]),
                    close("b"), group.spread(["a", "c"]),
                    group.member("d"), group.spread(["a", "c", "d"]),
                    close("c"), group.spread(["a", "d"]),
                    group.member("e"), group.member("f"), close("f"), group.spread(["a", "d", "e"]),
                    close("a"), group.probe(.refused),
                ]
                // (The error that refuses a datagram is looked up, too.)
                + (tcp ? [GroupScenery.recorded("lookup", ["2 result": "empty slot"])] : [])
                + [
                    // Another socket with the same address does not inherit the slot.
                    group.member("g"), group.probe(.refused),
                    group.spread(["d", "e", "g"], to: group.address()),
                    close("d"), close("e"), close("g"), group.probe(.refused, to: group.address()),
                ],
            sabotages: [
                Sabotage("the-leaver-stays", omit: ["close-b"]),
                Sabotage("the-selected-stays", omit: ["close-a"]),
            ])
    }

    private static func filterNumbersMembers(_ group: GroupVariant) -> Fixture {
        func filter(_ member: UInt32, on socket: String) -> Step {
            Step(.attachReuseportFilter(GroupFilter(picking: member, to: socket)))
        }
        return fixture(
            "filter-picks-by-number", group,
            "A classic filter picks members by number in the order they joined; the last takes the number of one that leaves; numbers past the end leave it to the hash.",
            because: ["socket(7): SO_ATTACH_REUSEPORT_CBPF"],
            [group.member("a"), group.member("b"), group.member("c"), group.member("d")]
                + group.lookup(picking: "b") + [
                    filter(0, on: "b"), group.probe(.reaches("a")),
                    filter(1, on: "a"), group.probe(.reaches("b")),
                    Step(.attachReuseportFilter(GroupFilter(picking: 3, to: "c")), label: "filter"),
                    group.probe(.reaches("d")),
                    Step(.close("a")), filter(0, on: "b"), group.probe(.reaches("d")),
                    filter(1, on: "b"), group.probe(.reaches("b")),
                    filter(2, on: "b"), group.probe(.reaches("c")),
                    filter(3, on: "b"), group.spread(["b", "c", "d"]),
                    // The filter holds for one that joins.
                    group.member("e"), group.probe(.reaches("e")),
                    group.probe(.reaches("e"), to: group.address()),
                    Step(.detachReuseport("d")), group.spread(["b", "c", "d", "e"]),
                ],
            sabotages: [Sabotage("no-filter", omit: ["filter"])])
    }

    private static func exactAndWildcard(_ group: GroupVariant) -> Fixture {
        let plan = group.plan
        let (exact, other) = (group.destination, Endpoint(plan.service.host(2), group.destination.port))
        func member(_ name: String, _ address: IPAddress) -> Step {
            Step(
                .socket(
                    SocketDescription(
                        name, in: "host", group.transport, bind: Endpoint(address, exact.port),
                        options: [.reusePort, .freeBind])), label: "open-\(name)")
        }
        func seen(_ wildcard: String) -> [String: String] {
            ["runs": "1", "wildcard": wildcard, "1 result": "0", "destination port": "\(exact.port)"]
        }
        return Fixture(
            name: "reuseport/exact-and-wildcard-groups", variant: group.id,
            summary:
                "Without sk_lookup, a group of the exact address and a wildcard's are asked each for its own packets, and what the first drops is not for the second.",
            because: ["commit 2dbb9b9e6df6: sk_reuseport programs"], requires: group.features,
            steps: group.host
                + ["exact-1", "exact-2"].map { member($0, exact.address) }
                + ["any-1", "any-2"].map { member($0, plan.wildcard) }
                + [
                    group.spread(["exact-1", "exact-2"], to: exact), group.spread(["any-1", "any-2"], to: other),
                    GroupScenery.load("exact", [.select("exact-2")]), GroupScenery.load("any", [.select("any-2")]),
                ]
                + ["exact", "any"].flatMap {
                    [
                        GroupScenery.register("\($0)-2", with: $0),
                        GroupScenery.attach($0, to: "\($0)-1", label: "attach-\($0)"),
                    ]
                }
                + [
                    group.probe(.reaches("exact-2"), to: exact), GroupScenery.recorded("exact", seen("no")),
                    GroupScenery.recorded("any", ["runs": "0"]),
                    group.probe(.reaches("any-2"), to: other), GroupScenery.recorded("any", seen("yes")),
                    GroupScenery.recorded("exact", ["runs": "0"]),
                    GroupScenery.script("exact", [.verdict(.drop)]),
                    group.probe(.refused, to: exact), GroupScenery.recorded("exact", ["runs": "1"]),
                    GroupScenery.recorded("any", ["runs": "0"]),
                    GroupScenery.script("any", [.verdict(.drop)]),
                    group.probe(.refused, to: other), GroupScenery.recorded("any", ["runs": "1"]),
                    Step(.detachReuseport("exact-2")), Step(.detachReuseport("any-2")),
                    group.spread(["exact-1", "exact-2"], to: exact), group.spread(["any-1", "any-2"], to: other),
                ],
            sabotages: [
                Sabotage("no-program-in-the-exact-group", omit: ["attach-exact"]),
                Sabotage("no-program-in-the-wildcard-group", omit: ["attach-any"]),
            ])
    }

    private static func groupsByFamily(_ transport: TransportProtocol, first: AddressFamily) -> Fixture {
        let ipv4 = GroupVariant(transport: transport, family: .ipv4, members: .ordinary)
        let ipv6 = GroupVariant(transport: transport, family: .ipv6, members: .ordinary)
        let kinds: [(name: String, family: AddressFamily, options: [SocketOption])] = [
            ("v4", .ipv4, []), ("dual", .ipv6, [.dualStack]), ("v6", .ipv6, [.v6Only]),
        ]
        // Sockets are found in an order that depends on when they were opened, and on their family.
        func open(_ number: Int) -> [Step] {
            (first == .ipv4 ? kinds : kinds.reversed()).map {
                Step(
                    .socket(
                        SocketDescription(
                            "\($0.name)-\(number)", in: "host", transport, bind: Endpoint(.wildcard($0.family), 8001),
                            options: [.reusePort] + $0.options)), label: "open-\($0.name)-\(number)")
            }
        }
        func pick(_ name: String) -> Step { Step(.register(Registration("lookup", label: "pick", socket: name))) }
        // Without groups: of two that share a port, the newest is found first.
        let alone =
            (first == .ipv4 ? kinds.prefix(2) : [kinds[1], kinds[0]]).map {
                Step(
                    .socket(
                        SocketDescription(
                            "lone-\($0.name)", in: "host", transport, bind: Endpoint(.wildcard($0.family), 8002),
                            options: [.reuseAddress] + $0.options)))
            } + [ipv4.probe(.reaches("lone-v4"), to: Endpoint(ipv4.plan.loopback, 8002))]
        return Fixture(
            name: "reuseport/families-have-their-own-groups", variant: "\(transport.rawValue)-\(first.rawValue)-first",
            summary:
                "IPv4, IPv6 and dual-stack sockets of one port are three groups: the flows to a selected one stay within its own, and IPv4 flows prefer the IPv4 group.",
            because: ["selftests/net/reuseport_dualstack.c"], requires: [.skLookup, .ipv6],
            steps: ipv4.host + [Step(.localPrefix(LocalPrefix(namespace: "host", prefix: ipv6.plan.service)))]
                + open(1) + open(2) + ipv4.lookup(picking: "v4-1") + [
                    ipv4.spread(["v4-1", "v4-2"]),
                    pick("dual-2"), ipv4.spread(["dual-1", "dual-2"]), ipv6.spread(["dual-1", "dual-2"]),
                    pick("v6-1"), ipv6.spread(["v6-1", "v6-2"]),
                    ipv4.spread(["v4-1", "v4-2"], to: Endpoint(ipv4.plan.loopback, 8001)),
                ] + (transport == .udp ? alone : []) + [],
            sabotages: [Sabotage("no-sk-lookup", omit: ["attach"])])
    }
}
