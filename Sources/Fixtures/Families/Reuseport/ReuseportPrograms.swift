import Addressing
import Glibc
import Lab

/// What a reuseport group's program may select, which sockets it may know, and to which it can be attached.
enum ReuseportPrograms {
    static let fixtures: [Fixture] =
        GroupVariant.ordinary.flatMap {
            [selectionErrors($0), slotsTakeMembersOnly($0), programOfTheGroup($0), attachRules($0)]
        } + TransportProtocol.allCases.map(sockmapSelection)

    private static let mapUpdate = "bpf(BPF_MAP_UPDATE_ELEM)"
    private static let mapDelete = "bpf(BPF_MAP_DELETE_ELEM)"

    private static func fixture(
        _ name: String, _ group: GroupVariant, _ summary: String, because: [String], _ steps: [Step],
        sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: "reuseport/\(name)", variant: group.id, summary: summary, because: because,
            requires: [.ipv6], steps: [Step(.namespace("host"))] + steps, sabotages: sabotages)
    }

    private static func socket(
        _ name: String, _ group: GroupVariant, _ bind: Endpoint, _ options: [SocketOption] = [.reusePort],
        listen: Bool = true, bound: Bool = true
    ) -> Step {
        Step(
            .socket(
                SocketDescription(
                    name, in: "host", group.transport, bind: bind, options: options, listen: listen, bound: bound)))
    }

    private static func selectionErrors(_ group: GroupVariant) -> Fixture {
        let address = group.address()
        let otherTransport: TransportProtocol = group.transport == .tcp ? .udp : .tcp
        let otherFamily = Endpoint(.loopback(group.family == .ipv4 ? .ipv6 : .ipv4), 8001)
        func member(_ name: String, _ transport: TransportProtocol, _ bind: Endpoint) -> Step {
            Step(.socket(SocketDescription(name, in: "host", transport, bind: bind, options: [.reusePort])))
        }
        func selects(_ label: String, _ errno: String) -> [Step] {
            [
                // Nothing is selected, so the hash decides; and neither an earlier nor a later selection suffers.
                GroupScenery.script("group", [.select(label)]),
                group.spread(["own"], to: address),
                GroupScenery.recorded("group", ["1 result": errno]),
                GroupScenery.script("group", [.select("own"), .select(label)]),
                group.probe(.reaches("own"), to: address),
                GroupScenery.recorded("group", ["runs": "1", "1 result": "0", "2 result": errno]),
            ]
        }
        return fixture(
            "selection-errors", group,
            "Only members of the very group can be selected: an empty slot is ENOENT, another transport EPROTOTYPE, another family EAFNOSUPPORT, another group EBADFD.",
            because: ["commit 2dbb9b9e6df6: bpf_sk_select_reuseport"],
            [
                member("own", group.transport, address),
                member("other-port", group.transport, group.address(port: 8002)),
                member("other-family", group.transport, otherFamily),
                member("other-transport", otherTransport, address),
                member("other-both", otherTransport, otherFamily),
                GroupScenery.load("group"),
            ]
                + ["own", "other-port", "other-family", "other-transport", "other-both"].map {
                    GroupScenery.register($0, with: "group")
                }
                + [
                    GroupScenery.attach("group", to: "own", label: "attach-group"),
                    GroupScenery.recorded("group", ["slot own": "own", "slot other-both": "other-both"]),
                ]
                + selects("nothing", "ENOENT") + selects("past-the-end", "ENOENT") + selects("other-port", "EBADFD")
                + selects("other-family", "EAFNOSUPPORT") + selects("other-transport", "EPROTOTYPE")
                // The transport is judged first.
                + selects("other-both", "EPROTOTYPE")
                + [
                    // The slot of a member that is closed is empty.
                    member("second", group.transport, address), GroupScenery.register("second", with: "group"),
                    GroupScenery.script("group", [.select("second")]), group.probe(.reaches("second"), to: address),
                    GroupScenery.recorded("group", ["runs": "1", "1 result": "0", "slot second": "second"]),
                    Step(.close("second"), label: "close"), group.probe(.reaches("own"), to: address),
                    GroupScenery.recorded("group", ["runs": "1", "1 result": "ENOENT", "slot second": "empty"]),
                ],
            sabotages: [
                Sabotage("no-program-in-the-group", omit: ["attach-group"]),
                Sabotage("nobody-is-closed", omit: ["close"]),
            ])
    }

    private static func sockmapSelection(_ transport: TransportProtocol) -> Fixture {
        let group = GroupVariant(transport: transport, family: .ipv4, members: .ordinary)
        let address = group.address()
        return fixture(
            "selection-from-a-sockmap", group,
            "From a sockmap, too, a member can be selected; a socket that is in no group is EINVAL, one of another group EBADFD.",
            because: ["commit 9fed9000c5c6: bpf_sk_select_reuseport accepts sockmaps (Linux 5.8)"],
            [
                socket("own", group, address), socket("second", group, address),
                socket("other", group, group.address(port: 8002)),
                socket("alone", group, group.address(port: 8003), []),
                GroupScenery.load("group", object: "reuseport_sockmap"),
            ]
                + ["own", "second", "other", "alone"].map { GroupScenery.register($0, with: "group") }
                + [
                    GroupScenery.attach("group", to: "own", label: "attach-group"),
                    GroupScenery.script(
                        "group", [.select("alone"), .select("other"), .select("nothing"), .select("own")]),
                    group.probe(.reaches("own"), to: address),
                    GroupScenery.recorded(
                        "group",
                        [
                            "runs": "1", "1 result": "EINVAL", "2 result": "EBADFD", "3 result": "ENOENT",
                            "4 result": "0",
                        ]),
                    GroupScenery.script("group", [.select("second")]), group.probe(.reaches("second"), to: address),
                    Step(.close("second")), group.probe(.reaches("own"), to: address),
                    GroupScenery.recorded("group", ["runs": "2", "1 result": "ENOENT"]),
                ],
            sabotages: [Sabotage("no-program-in-the-group", omit: ["attach-group"])])
    }

    private static func slotsTakeMembersOnly(_ group: GroupVariant) -> Fixture {
        let address = group.address()
        func register(_ socket: String, _ label: String, only: Registration.SlotCondition? = nil) -> Action {
            .register(Registration("group", label: label, socket: socket, only: only))
        }
        func refused(_ action: Action, _ errno: Int32) -> Step {
            GroupScenery.refused(action, errno, call: mapUpdate)
        }
        let idle: [Step] =
            group.transport == .tcp
            ? [socket("bound", group, address, listen: false), refused(register("bound", "x"), EINVAL)] : []
        return fixture(
            "slots-take-members-only", group,
            "A reuseport array takes sockets that are in a group, each in one slot: others are EINVAL, a second slot EBUSY, and BPF_EXIST and BPF_NOEXIST hold.",
            because: ["commit 5dc4c4b7d4e8: BPF_MAP_TYPE_REUSEPORT_SOCKARRAY"],
            [
                socket("own", group, address), socket("second", group, address),
                socket("alone", group, group.address(port: 8002), []),
                socket("unbound", group, group.address(port: 0), listen: false, bound: false),
                GroupScenery.load("group"),
                refused(register("own", "past-the-end"), E2BIG), refused(register("alone", "x"), EINVAL),
                refused(register("unbound", "x"), EINVAL),
            ] + idle + [
                refused(register("own", "x", only: .full), ENOENT),
                Step(register("own", "x", only: .empty), label: "register"),
                refused(register("second", "x", only: .empty), EEXIST),
                refused(register("own", "y"), EBUSY), refused(register("own", "x"), EBUSY),
                GroupScenery.recorded("group", ["slot x": "own", "slot y": "empty"]),
                // One that gives way can go elsewhere.
                Step(register("second", "x", only: .full)), Step(register("own", "y")),
                GroupScenery.recorded("group", ["slot x": "second", "slot y": "own"]),
                Step(.unregister(Registration("group", label: "x", socket: "second"))),
                GroupScenery.refused(
                    .unregister(Registration("group", label: "x", socket: "second")), ENOENT, call: mapDelete),
                Step(register("second", "z")),
                GroupScenery.recorded("group", ["slot x": "empty", "slot y": "own", "slot z": "second"]),
                // A closed one leaves, and another with its address does not take its place.
                Step(.close("second")), socket("successor", group, address),
                GroupScenery.recorded("group", ["slot y": "own", "slot z": "empty"]),
                Step(register("successor", "z", only: .empty)),
                GroupScenery.recorded("group", ["slot y": "own", "slot z": "successor"]),
            ],
            sabotages: [Sabotage("nothing-registered", omit: ["register"])])
    }

    private static func programOfTheGroup(_ group: GroupVariant) -> Fixture {
        let address = group.address()
        let flows = Step(
            .spread(Spread(from: "host", group.transport, to: address, among: [], atLeast: 16)),
            expect: [Expectation(.facts(["answered by": "b", "moved": "0"]))])
        return fixture(
            "program-belongs-to-the-group", group,
            "A group has one program, whichever member it was attached by: it outlives that member, holds for whoever joins, runs once for each flow, and is replaced or detached by any.",
            because: ["socket(7): SO_ATTACH_REUSEPORT_EBPF", "commit 99f3a064bc2e: SO_DETACH_REUSEPORT_BPF"],
            [
                socket("a", group, address), GroupScenery.load("first"), GroupScenery.load("other"),
                GroupScenery.attach("first", to: "a", label: "attach-first"),
                socket("b", group, address), socket("c", group, address),
                GroupScenery.register("b", with: "first"), GroupScenery.script("first", [.select("b")]),
                flows, GroupScenery.recorded("first", ["runs": "32", "1 result": "0"]),
                Step(.close("a")),
                flows, GroupScenery.recorded("first", ["runs": "32", "1 result": "0"]),
                // Another program replaces it; so does a filter; each by another member.
                GroupScenery.register("c", with: "other"), GroupScenery.script("other", [.select("c")]),
                GroupScenery.attach("other", to: "c"),
                group.probe(.reaches("c"), to: address), GroupScenery.recorded("first", ["runs": "0"]),
                GroupScenery.recorded("other", ["runs": "1", "1 result": "0"]),
                Step(.detachReuseport("b")),
                group.spread(["b", "c"], to: address),
                GroupScenery.recorded("first", ["runs": "0"]), GroupScenery.recorded("other", ["runs": "0"]),
                // It is for this group alone.
                GroupScenery.attach("first", to: "c"), socket("x", group, group.address(port: 8002)),
                socket("y", group, group.address(port: 8002)),
                group.spread(["x", "y"], to: group.address(port: 8002)),
                GroupScenery.recorded("first", ["runs": "0"]),
                group.probe(.reaches("b"), to: address), GroupScenery.recorded("first", ["runs": "1"]),
            ],
            sabotages: [Sabotage("no-program", omit: ["attach-first"])])
    }

    private static func attachRules(_ group: GroupVariant) -> Fixture {
        let address = group.address()
        func attach(_ program: String, _ socket: String) -> Action {
            .attachReuseport(GroupProgram(program, to: socket))
        }
        func refused(_ action: Action, _ errno: Int32) -> Step {
            GroupScenery.refused(action, errno, call: "setsockopt")
        }
        return fixture(
            "program-needs-a-group", group,
            "A program can be attached to a socket of a group, and to an unbound one that will be in one, which takes it along; to others it is EINVAL, and without one there is ENOENT to detach.",
            because: ["commit 8217ca653ec6: sk_reuseport programs are attached", "commit 99f3a064bc2e"],
            [
                socket("alone", group, address, []),
                socket("free", group, group.address(port: 0), [], listen: false, bound: false),
                GroupScenery.load("group"), Step(.load(ProgramLoad("lookup", object: "pass"))),
                refused(attach("group", "alone"), EINVAL), refused(attach("group", "free"), EINVAL),
                refused(.detachReuseport("alone"), EINVAL), refused(.detachReuseport("free"), EINVAL),
                refused(.attachReuseportFilter(GroupFilter(picking: 0, to: "alone")), EINVAL),
                // Too late: it was bound without.
                Step(.setOption(OptionChange(.reusePort, of: "alone"))),
                refused(attach("group", "alone"), EINVAL), refused(.detachReuseport("alone"), ENOENT),
                Step(.setOption(OptionChange(.reusePort, of: "free"))),
                refused(.detachReuseport("free"), ENOENT), refused(attach("lookup", "free"), EINVAL),
                Step(attach("group", "free"), label: "attach"),
                Step(.call(SocketCall(.bind, on: "free", endpoint: group.address(port: 8002)))),
            ]
                + (group.transport == .tcp ? [Step(.call(SocketCall(.listen, on: "free")))] : [])
                + [
                    socket("second", group, group.address(port: 8002)),
                    GroupScenery.register("second", with: "group"), GroupScenery.script("group", [.select("second")]),
                    group.probe(.reaches("second"), to: group.address(port: 8002)),
                    GroupScenery.recorded("group", ["runs": "1", "1 result": "0"]),
                    // One that has a program of its own cannot join.
                    socket("joiner", group, group.address(port: 0), listen: false, bound: false),
                    GroupScenery.load("own", [.verdict(.drop)]), Step(attach("own", "joiner")),
                    GroupScenery.refused(
                        .call(SocketCall(.bind, on: "joiner", endpoint: group.address(port: 8002))), EADDRINUSE,
                        call: "bind"),
                    group.probe(.reaches("second"), to: group.address(port: 8002)),
                    GroupScenery.recorded("group", ["runs": "1"]), GroupScenery.recorded("own", ["runs": "0"]),
                    Step(.close("joiner")),
                    Step(.detachReuseport("second")), refused(.detachReuseport("second"), ENOENT),
                    refused(.detachReuseport("free"), ENOENT),
                    group.spread(["free", "second"], to: group.address(port: 8002)),
                ],
            sabotages: [Sabotage("no-program", omit: ["attach"])])
    }
}
