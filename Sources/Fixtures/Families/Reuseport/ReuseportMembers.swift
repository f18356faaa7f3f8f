import Addressing
import Glibc
import Lab

/// Which members of a reuseport group count: those that connect, stop to listen, prefer a processor or a device; and
/// what is left when all are closed.
enum ReuseportMembers {
    /// The versions in which SO_INCOMING_CPU decides within a group: commit b261eda84ec1.
    private static let incomingProcessor = VersionSet(
        KernelVersion(6, 2), KernelVersion(6, 1, 2), KernelVersion(6, 0, 16))

    static let fixtures: [Fixture] = every + overUDP + overTCP

    private static let every: [Fixture] = GroupVariant.ordinary.flatMap { group -> [Fixture] in
        [processorPreferred(group), deviceGroups(group), largeGroup(group), nothingLeaks(group)]
    }

    private static let overUDP: [Fixture] =
        GroupVariant.all.filter { $0.transport == .udp }.map { connectedMembers($0) }
        + GroupVariant.ordinary.filter { $0.transport == .udp }.map { newAddressLeaves($0) }

    private static let overTCP: [Fixture] =
        GroupVariant.ordinary.filter { $0.transport == .tcp }.map { listensAgain($0) } + [refusedSelectionLeaksNothing]

    private static func fixture(
        _ name: String, _ group: GroupVariant, _ summary: String, because: [String], requires: [Feature] = [],
        _ steps: [Step], sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: "reuseport/\(name)", variant: group.id, summary: summary, because: because,
            requires: [.skLookup] + requires + group.features, steps: group.host + steps, sabotages: sabotages)
    }

    private static func connectedMembers(_ group: GroupVariant) -> Fixture {
        // The peer's address is written as the members' family writes it.
        func peer(_ port: UInt16) -> Endpoint {
            switch group.members {
            case .ordinary: Endpoint(group.plan.loopback, port)
            case .mapped, .dualStack: Endpoint(.v6(0xFFFF_7F00_0001), port)
            }
        }
        let source = Endpoint(group.plan.loopback, 40001)
        let direct = Endpoint(group.plan.loopback, 8001)
        // A socket that is bound to a wildcard changes its address, and so leaves its group, when it connects.
        let connect = Step(.call(SocketCall(.connect, on: "c", endpoint: peer(source.port))), label: "connect")
        // A lookup comes to the newest member first or last: one of each is connected.
        let early = Endpoint(group.plan.loopback, 40002)
        return fixture(
            "connected-members-keep-to-their-peer", group,
            "A connected member gets its peer's datagrams and no others, with and without a program; where sk_lookup selects from the group it gets none at all.",
            because: because + ["commit 4a0e87bb1836", "commit acdcecc61285: no selection of connected members"],
            [group.member("early"), group.member("a"), group.member("b"), group.member("c"), group.bystander]
                + group.lookup(picking: "a") + [
                    connect, Step(.call(SocketCall(.connect, on: "early", endpoint: peer(early.port)))),
                    // The ordinary lookup.
                    group.probe(.reaches("c"), to: direct, source: source),
                    group.probe(.reaches("early"), to: direct, source: early), group.spread(["a", "b"], to: direct),
                    // The selected group, also for the connected member's peer, which asks another address.
                    group.spread(["a", "b"]),
                    GroupScenery.load("group", [.select("b")]), GroupScenery.register("b", with: "group"),
                    GroupScenery.attach("group", to: "a", label: "attach-group"),
                    group.probe(.reaches("b")), group.probe(.reaches("b"), source: source),
                    GroupScenery.recorded("group", ["runs": "2", "1 result": "0"]),
                    group.probe(.reaches("c"), to: direct, source: source),
                    group.probe(.reaches("early"), to: direct, source: early),
                    group.probe(.reaches("b"), to: direct),
                    GroupScenery.script("lookup", group.selection([.noReuseport])),
                    group.probe(.reaches("a")), group.probe(.reaches("a"), source: source),
                    GroupScenery.script("lookup", group.selection()),
                    GroupScenery.script("group", [.verdict(.drop)]),
                    group.probe(.refused), group.probe(.reaches("c"), to: direct, source: source),
                    group.probe(.reaches("early"), to: direct, source: early),
                ],
            sabotages: [
                Sabotage("nobody-connects", omit: ["connect"]),
                Sabotage("no-program-in-the-group", omit: ["attach-group"]),
            ])
    }

    private static func newAddressLeaves(_ group: GroupVariant) -> Fixture {
        func member(_ name: String) -> Step {
            Step(
                .socket(
                    SocketDescription(
                        name, in: "host", .udp, bind: Endpoint(group.plan.wildcard, 8001), options: [.reusePort])))
        }
        let peer = Endpoint(group.plan.loopback, 40001)
        return fixture(
            "a-member-with-a-new-address-leaves", group,
            "A member of a wildcard's group that connects, and so is bound to an address, leaves the group and its slot; its peer still reaches it.",
            because: ["udp(7): connect() binds to an address", "commit e32ea7e74727: groups are of one address"],
            [member("a"), member("b"), member("c")]
                + group.lookup(picking: "a") + [
                    GroupScenery.load("group", [.select("c")]), GroupScenery.register("c", with: "group"),
                    GroupScenery.attach("group", to: "a"),
                    group.probe(.reaches("c")),
                    GroupScenery.recorded("group", ["runs": "1", "1 result": "0", "slot c": "c"]),
                    Step(.call(SocketCall(.connect, on: "c", endpoint: peer)), label: "connect"),
                    GroupScenery.recorded("group", ["slot c": "empty"]),
                    group.spread(["a", "b"]), GroupScenery.recorded("group", ["1 result": "ENOENT"]),
                    Step(.attachReuseportFilter(GroupFilter(picking: 2, to: "a"))), group.spread(["a", "b"]),
                    group.probe(.reaches("c"), to: Endpoint(group.plan.loopback, 8001), source: peer),
                    group.spread(["a", "b"], to: Endpoint(group.plan.loopback, 8001)),
                ],
            sabotages: [Sabotage("nobody-connects", omit: ["connect"])])
    }

    private static let because = ["selftests/bpf/sk_lookup.c: a group with connected members is consulted"]

    private static func processorPreferred(_ group: GroupVariant) -> Fixture {
        let preferred = Expectation(
            .facts(["answered by": "b", "moved": "0"]), since: incomingProcessor,
            because: "commit b261eda84ec1")
        let ignored = Expectation(
            .facts(["answered by": "a, b, c", "moved": "0"]), until: incomingProcessor,
            because: "commit b261eda84ec1")
        func flows(_ to: Endpoint) -> Step {
            Step(
                .spread(Spread(from: "host", group.transport, to: to, among: [], atLeast: 32)),
                expect: [preferred, ignored])
        }
        return fixture(
            "this-processors-member", group,
            "Of a group, the member whose SO_INCOMING_CPU is the processor that handles the packet gets it, with and without sk_lookup; where no member's is, the hash decides.",
            because: ["socket(7): SO_INCOMING_CPU", "commit b261eda84ec1 (Linux 6.2, 6.1.2)"],
            [
                group.member("a"), group.member("b"), group.member("c"),
                Step(.setOption(OptionChange(.otherProcessor, of: "a"))),
                Step(.setOption(OptionChange(.otherProcessor, of: "b"))),
            ] + group.lookup(picking: "a") + [
                group.spread(["a", "b", "c"]),
                Step(.setOption(OptionChange(.thisProcessor, of: "b")), label: "prefer"),
                flows(group.destination), flows(group.address()),
                Step(.setOption(OptionChange(.otherProcessor, of: "b"))),
                group.spread(["a", "b", "c"]), group.spread(["a", "b", "c"], to: group.address()),
            ],
            sabotages: [Sabotage("no-sk-lookup", omit: ["attach"])])
    }

    private static func deviceGroups(_ group: GroupVariant) -> Fixture {
        func bound(_ name: String) -> Step {
            Step(
                .socket(
                    SocketDescription(
                        name, in: "host", group.transport, bind: group.address(), options: group.options, device: "lo")
                ), label: "open-\(name)")
        }
        return fixture(
            "a-device-has-its-own-group", group,
            "Sockets bound to a device are a group beside those of the same address that are not; sk_lookup selects from either, and the flows stay within it.",
            because: ["socket(7): SO_BINDTODEVICE"],
            [bound("lo-1"), group.member("any-1"), bound("lo-2"), group.member("any-2")]
                + group.lookup(picking: "any-1") + [
                    group.spread(["any-1", "any-2"]),
                    Step(.register(Registration("lookup", label: "pick", socket: "lo-2"))),
                    group.spread(["lo-1", "lo-2"]),
                    Step(.close("lo-2")),
                    group.probe(.refused), Step(.close("lo-1")),
                    group.spread(["any-1", "any-2"], to: group.address()),
                ],
            sabotages: [Sabotage("no-sk-lookup", omit: ["attach"])])
    }

    private static func largeGroup(_ group: GroupVariant) -> Fixture {
        let port: UInt16 = 8001
        func sockets(_ name: String, _ copies: Int) -> Step {
            Step(
                .sockets(
                    SocketRange(
                        name, in: "host", group.transport, prefix: Prefix(group.plan.wildcard), port: port,
                        options: group.options, copies: copies)))
        }
        func filter(_ member: UInt32) -> Step {
            Step(.attachReuseportFilter(GroupFilter(picking: member, to: "m[1]")))
        }
        let flows = Spread(from: "host", group.transport, to: group.destination, among: [], atLeast: 16)
        return fixture(
            "a-group-grows", group,
            "A group that outgrows the 128 members it has room for keeps its program, its members, their order, and what it knows of addresses and processors.",
            because: ["commit ef456144da8e: the array of a reuseport group grows", "commit b261eda84ec1"],
            [
                sockets("m", 2), Step(.setOption(OptionChange(.thisProcessor, of: "m[2]"))),
                GroupScenery.load("group", [.select("second")]),
                GroupScenery.register("m[2]", with: "group", under: "second"),
                GroupScenery.attach("group", to: "m[1]", label: "attach-group"),
                sockets("n", 129),
            ] + group.lookup(picking: "n[1]") + [
                group.probe(.reaches("m[2]")),
                GroupScenery.recorded("group", ["runs": "1", "1 result": "0", "wildcard": "yes"]),
                GroupScenery.register("n[129]", with: "group", under: "last"),
                GroupScenery.script("group", [.select("last")]), group.probe(.reaches("n[129]")),
                filter(0), group.probe(.reaches("m[1]")), filter(1), group.probe(.reaches("m[2]")),
                filter(127), group.probe(.reaches("n[126]")), filter(128), group.probe(.reaches("n[127]")),
                filter(130), group.probe(.reaches("n[129]")),
                Step(.detachReuseport("m[1]")),
                Step(
                    .spread(flows),
                    expect: [
                        Expectation(
                            .facts(["answered by": "m[2]"]), since: incomingProcessor,
                            because: "commit b261eda84ec1"),
                        Expectation(
                            .facts(["moved": "0"]), until: incomingProcessor,
                            because: "commit b261eda84ec1"),
                    ]),
                Step(.close("n")), Step(.setOption(OptionChange(.otherProcessor, of: "m[2]"))),
                group.spread(["m[1]", "m[2]"], to: Endpoint(group.destination.address, port)),
            ],
            sabotages: [Sabotage("no-program-in-the-group", omit: ["attach-group"])])
    }

    private static func listensAgain(_ group: GroupVariant) -> Fixture {
        func shut(_ name: String) -> Step { Step(.call(SocketCall(.shutdownRead, on: name))) }
        func listen(_ name: String, label: String? = nil) -> Step {
            Step(.call(SocketCall(.listen, on: name)), label: label)
        }
        func round() -> [Step] {
            [
                group.spread(["a", "b", "c"]), shut("a"), group.spread(["b", "c"], to: group.address()),
                listen("a", label: "listen-again"), group.spread(["a", "b", "c"], to: group.address()),
                // All stop; one begins anew, and another joins it.
                shut("c"), shut("a"), shut("b"), group.probe(.refused, to: group.address()),
                listen("b"), group.spread(["b"], to: group.address()),
                listen("a"), group.spread(["a", "b"], to: group.address()),
                listen("c"), group.spread(["a", "b", "c"], to: group.address()),
            ]
        }
        return fixture(
            "a-listener-that-stops-may-return", group,
            "A listener that is shut down gets no more connections, and its share of the group's again once it listens again.",
            because: ["commit 333bb73f620e: listeners that are shut down may return"],
            [group.member("a"), group.member("b"), group.member("c")]
                + group.lookup(picking: "b") + round()
                + [
                    // Some kernels took it from the map of sockets when it stopped.
                    Step(.register(Registration("lookup", label: "pick", socket: "b"))),
                    group.spread(["a", "b", "c"]),
                ],
            sabotages: [Sabotage("nobody-returns", omit: ["listen-again"])])
    }

    private static func nothingLeaks(_ group: GroupVariant) -> Fixture {
        fixture(
            "no-reference-leaks", group,
            "After selections, drops and refusals by sk_lookup and a group's program, all sockets are gone once they are closed.",
            because: ["commit b3af60928ab9: references that selections leaked"],
            [group.member("a"), group.member("b"), group.member("c")]
                + group.lookup(picking: "a") + [
                    Step(
                        .spread(Spread(from: "host", group.transport, to: group.destination, among: [], atLeast: 32)),
                        label: "flows"),
                    GroupScenery.load("group", [.select("b")]), GroupScenery.register("b", with: "group"),
                    GroupScenery.attach("group", to: "a"),
                    Step(.spread(Spread(from: "host", group.transport, to: group.destination, among: [], atLeast: 16))),
                    GroupScenery.script("group", [.select("nothing"), .select("b"), .verdict(.drop)]),
                    group.probe(.refused), group.probe(.refused),
                    GroupScenery.script("lookup", group.selection([.noReuseport])),
                    group.probe(.reaches("a")), group.probe(.reaches("a")),
                    GroupScenery.script(
                        "lookup",
                        [.onlyLocalPort(group.destination.port), .select("pick"), .select("pick"), .verdict(.drop)]),
                    group.probe(.refused),
                    Step(.countSockets(SocketCount(in: "host", until: 3)), expect: [Expectation(.count(.exactly(3)))]),
                    Step(.close("a"), label: "close"), Step(.close("b")), Step(.close("c")),
                    Step(.countSockets(SocketCount(in: "host", until: 0)), expect: [Expectation(.count(.exactly(0)))]),
                ],
            sabotages: [Sabotage("one-stays-open", omit: ["close"])])
    }

    /// TCP alone has sockets that are counted while a program holds them: the connected ones.
    private static let refusedSelectionLeaksNothing: Fixture = {
        let group = GroupVariant(transport: .tcp, family: .ipv4, members: .ordinary)
        func select(_ label: String, _ errno: String) -> [Step] {
            [
                GroupScenery.script("group", [.select(label)]),
                group.probe(.reaches("listener"), to: group.address()),
                group.probe(.reaches("listener"), to: group.address()),
                GroupScenery.recorded("group", ["runs": "2", "1 result": errno]),
            ]
        }
        func dialer(_ name: String, _ port: UInt16) -> Step {
            Step(
                .socket(
                    SocketDescription(
                        name, in: "host", .tcp, bind: group.address(port: port), options: [.reusePort], listen: false)))
        }
        return fixture(
            "a-refused-selection-leaks-nothing", group,
            "A connected socket from a sockmap cannot be selected, with or without a program of its own, and is gone once it is closed.",
            because: ["commit b3af60928ab9", "commit 9fed9000c5c6: bpf_sk_select_reuseport accepts sockmaps"],
            [
                group.member("listener"), dialer("plain", 8002), dialer("grouped", 8003),
                GroupScenery.load("group", object: "reuseport_sockmap"),
                // Before it is connected, a program makes it a group of its own.
                GroupScenery.attach("group", to: "grouped"),
            ]
                + ["plain", "grouped"].flatMap {
                    [
                        Step(.call(SocketCall(.connect, on: $0, endpoint: group.address()))),
                        GroupScenery.register($0, with: "group"),
                    ]
                }
                + [GroupScenery.attach("group", to: "listener", label: "attach-group")]
                + select("plain", "EINVAL") + select("grouped", "EBADFD")
                + [
                    Step(.close("plain")), Step(.close("grouped"), label: "close"), Step(.close("listener")),
                    Step(.countSockets(SocketCount(in: "host", until: 0)), expect: [Expectation(.count(.exactly(0)))]),
                ],
            sabotages: [Sabotage("one-stays-open", omit: ["close"])])
    }()
}
