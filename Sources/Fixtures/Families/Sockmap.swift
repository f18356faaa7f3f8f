import Addressing
import Lab

/// How sockets come into the maps that programs select from, and how they leave.
enum Sockmap {
    static let fixtures: [Fixture] =
        Variant.all.flatMap { variant in
            let host = OneHost(variant: variant)
            return [closed(host), replaced(host), kinds(host), unloaded(host), noLeak(host)]
        }
        + Variant.all.filter { $0.transport == .tcp }.flatMap { variant in
            let host = OneHost(variant: variant)
            return [stoppedListening(host), notListening(host), established(host)]
        }
        + Variant.udp.flatMap { variant in
            let host = OneHost(variant: variant)
            return [connected(host)]
        } + [updates(.array), updates(.hash), updates(.narrow), otherFiles, mptcp]

    private static let because = ["commit e9ddbb7707ff", "Documentation/bpf/map_sockmap.rst"]

    private static let update = "bpf(BPF_MAP_UPDATE_ELEM)"
    private static let delete = "bpf(BPF_MAP_DELETE_ELEM)"
    private static let lookUp = "bpf(BPF_MAP_LOOKUP_ELEM)"

    private static func error(_ name: String) -> ErrorNumber {
        guard let error = ErrorNumber(name: name) else { preconditionFailure("\(name) in the catalogue is no errno") }
        return error
    }

    /// A dispatcher with one label at two addresses: one drops while the label is empty, the other passes.
    private static func dispatcher(_ host: OneHost) -> [Step] {
        func bind(_ address: IPAddress, drops: Bool) -> Step {
            Step(
                .bind(
                    Binding(
                        "program", host.variant.transport, Prefix(address), ports: PortRange(OneHost.port),
                        to: "steered", otherwise: drops ? .drop : .pass)))
        }
        return [
            Step(.load(ProgramLoad("program", object: "dispatch"))), OneHost.register(),
            bind(dropping(host), drops: true), bind(passing(host), drops: false), OneHost.attach,
        ]
    }

    private static func dropping(_ host: OneHost) -> IPAddress { host.plan.service.host(1) }
    private static func passing(_ host: OneHost) -> IPAddress { host.plan.service.host(2) }

    /// Two flows, to the address that drops without a live socket and to the one that passes.
    private static func both(_ host: OneHost, _ number: UInt16, _ first: Outcome, _ second: Outcome) -> [Step] {
        [
            host.connect("drops-\(number)", number, to: dropping(host), first),
            host.connect("passes-\(number)", number + 100, to: passing(host), second),
        ]
    }

    private static func nobodyRegistered(_ host: OneHost, _ number: UInt16) -> [Step] {
        both(host, number, .refused, .reaches("wildcard"))
    }

    private static func closed(_ host: OneHost) -> Fixture {
        host.fixture(
            "sockmap/closed-socket-leaves",
            "A closed socket leaves the map: its traffic is refused or falls through, as the binding says, and never goes to a new socket of its port and descriptor until that is registered.",
            because: because,
            host.namespace + [host.open("wildcard", host.plan.wildcard), host.openSteered()] + dispatcher(host)
                + both(host, 1, .reaches("steered"), .reaches("steered")) + [
                    Step(.close("steered"), label: "close")
                ] + nobodyRegistered(host, 2) + [
                    host.openSteered("heir")
                ] + nobodyRegistered(host, 3) + [
                    Step(.register(Registration("program", label: "steered", socket: "heir")))
                ] + both(host, 4, .reaches("heir"), .reaches("heir")) + [
                    Step(.unregister(Registration("program", label: "steered", socket: "heir")))
                ] + nobodyRegistered(host, 5),
            sabotages: [.programNotAttached, Sabotage("not-closed", omit: ["close"])])
    }

    private static func replaced(_ host: OneHost) -> Fixture {
        let isTCP = host.variant.transport == .tcp
        return host.fixture(
            "sockmap/replaced-socket",
            "Another socket in the slot takes the next flow, a connection stays where it is, and closing the one that was there before changes nothing.",
            because: because,
            host.namespace + [host.open("wildcard", host.plan.wildcard), host.openSteered()] + dispatcher(host)
                + both(host, 1, .reaches("steered"), .reaches("steered")) + [
                    host.openAnother("next"),
                    Step(.register(Registration("program", label: "steered", socket: "next")), label: "replace"),
                ] + both(host, 2, .reaches("next"), .reaches("next")) + [
                    host.exchange("drops-1", .reaches(isTCP ? "steered" : "next")),
                    Step(.close("steered"), label: "close"),
                ] + both(host, 3, .reaches("next"), .reaches("next")) + [Step(.close("next"))]
                + nobodyRegistered(host, 4),
            sabotages: [.programNotAttached, Sabotage("not-replaced", omit: ["replace", "close"])])
    }

    private static func stoppedListening(_ host: OneHost) -> Fixture {
        let strict = "commit 40a34121ac1d: only TCP sockets that listen can be selected"
        let boundary = VersionSet(KernelVersion(5, 16), KernelVersion(5, 15, 3))
        let fence = Endpoint(host.other, 81)
        // Before that, a closed socket was selected, and swallowed what came.
        func stopped() -> [Step] {
            [(dropping(host), .refused), (passing(host), Outcome.reaches("wildcard"))].map { address, outcome in
                Step(
                    .probe(Probe(from: "server", .tcp, to: Endpoint(address, OneHost.port), fence: fence)),
                    expect: [
                        Expectation(.silent, until: boundary, because: strict),
                        Expectation(outcome, since: boundary, because: strict),
                    ])
            }
        }
        func serves(_ number: UInt16) -> [Step] { both(host, number, .reaches("steered"), .reaches("steered")) }
        return host.fixture(
            "sockmap/listener-that-stops",
            "A listener that stops to listen, by disconnect or by shutdown of its receiving side, is not selected until it listens again; shutdown of the sending side changes nothing, and its connections stay.",
            because: because + ["connect(2) with AF_UNSPEC, shutdown(2): a listener is a closed socket again", strict],
            host.namespace + [
                host.open("wildcard", host.plan.wildcard), host.open("fence", host.other, 81), host.openSteered(),
            ] + dispatcher(host) + serves(1) + [
                Step(.call(SocketCall(.shutdownWrite, on: "steered")))
            ] + serves(2) + [Step(.call(SocketCall(.disconnect, on: "steered")), label: "disconnect")] + stopped() + [
                Step(.call(SocketCall(.listen, on: "steered")))
            ] + serves(3) + [Step(.call(SocketCall(.shutdownRead, on: "steered")), label: "shutdown")] + stopped() + [
                Step(.call(SocketCall(.listen, on: "steered")))
            ] + serves(4) + [
                host.exchange("drops-1", .reaches("steered")), Step(.close("steered"), label: "close"),
            ] + nobodyRegistered(host, 5),
            sabotages: [
                .programNotAttached, Sabotage("not-disconnected", omit: ["disconnect"]),
                Sabotage("not-shut-down", omit: ["shutdown"]), Sabotage("not-closed", omit: ["close"]),
            ])
    }

    private static func notListening(_ host: OneHost) -> Fixture {
        func register(_ name: String) -> Action {
            .register(Registration("program", label: "steered", socket: name))
        }
        return host.fixture(
            "sockmap/tcp-socket-that-does-not-listen",
            "A TCP socket that neither listens nor is connected is refused by the map, bound or not.",
            because: because + ["commit 8ca30379a401"],
            host.namespace + [
                host.open("wildcard", host.plan.wildcard), host.openSteered { $0.listen = false },
                host.openSteered("unbound") {
                    $0.listen = false
                    $0.bound = false
                }, Step(.load(ProgramLoad("program", object: "dispatch"))),
                Step(.attach(Attachment("link", program: "program", to: "server"))),
                OneHost.fails(register("steered"), error("EOPNOTSUPP"), update, label: "closed"),
                OneHost.fails(register("unbound"), error("EOPNOTSUPP"), update),
                Step(
                    .bind(
                        Binding("program", .tcp, host.plan.service, ports: PortRange(OneHost.port), to: "steered"))),
                host.connect("before", 1, to: host.exact, .refused),
                Step(.call(SocketCall(.listen, on: "steered"))), Step(register("steered")),
                host.connect("after", 2, to: host.exact, .reaches("steered")),
            ],
            sabotages: [
                Sabotage(
                    "listening",
                    replace: [
                        "closed": [
                            Step(.call(SocketCall(.listen, on: "steered"))), Step(register("steered")),
                        ]
                    ])
            ])
    }

    /// A connection in a map of sockets: for other programs, and of no use here.
    private static func established(_ host: OneHost) -> Fixture {
        host.fixture(
            "sockmap/established-tcp-socket",
            "The map takes an established TCP socket, but a program cannot select it, and the lookup goes on as if it had not tried.",
            because: because + ["bpf-helpers(7): bpf_sk_assign, -ESOCKTNOSUPPORT"],
            host.namespace + [
                host.open("exact", host.exact), host.openSteered(),
                host.connect("flow", 1, to: host.exact, .reaches("exact")),
            ] + host.script() + [
                host.connect("before", 2, to: host.exact, .reaches("steered"))
            ]
                + [End.client, .server].flatMap { end -> [Step] in
                    let number: UInt16 = end == .client ? 3 : 4
                    return [
                        Step(
                            .mapEntry(MapEntry(.update, 0, of: "sockets", in: "program", socket: "flow", end)),
                            label: "put-\(end.rawValue)"),
                        OneHost.facts(
                            .mapEntry(MapEntry(.lookUp, 0, of: "sockets", in: "program")),
                            ["socket": "flow (\(end.rawValue)'s end)"]),
                        host.connect("to-\(end.rawValue)", number, to: host.exact, .reaches("exact")),
                        Step(
                            .recorded("program"),
                            expect: [Expectation(.facts(["2 result": "ESOCKTNOSUPPORT", "2 selected": "none"]))]),
                        host.exchange("flow", .reaches("exact")),
                    ]
                } + [
                    Step(.mapEntry(MapEntry(.update, 0, of: "sockets", in: "program", socket: "steered"))),
                    host.connect("after", 5, to: host.exact, .reaches("steered")),
                    host.exchange("flow", .reaches("exact")),
                ],
            sabotages: [.programNotAttached, Sabotage("not-put", omit: ["put-client", "put-server"])])
    }

    private static func connected(_ host: OneHost) -> Fixture {
        let peer = Endpoint(host.plan.loopback, 9)
        return host.fixture(
            "sockmap/udp-socket-connected-later",
            "A UDP socket that is connected after it was registered stays in the map and is not selected until it is disconnected; it gets its peer's datagrams by the ordinary lookup meanwhile.",
            because: because + ["bpf-helpers(7): bpf_sk_assign, -ESOCKTNOSUPPORT"],
            host.namespace + [host.open("wildcard", host.plan.wildcard), host.openSteered()] + dispatcher(host)
                + both(host, 1, .reaches("steered"), .reaches("steered")) + [
                    Step(.call(SocketCall(.connect, on: "steered", endpoint: peer)), label: "connect")
                ] + nobodyRegistered(host, 2) + [
                    Step(
                        .probe(
                            Probe(
                                from: "server", .udp, to: Endpoint(host.plan.loopback, OneHost.port), source: peer)),
                        expect: [Expectation(.reaches("steered"))]),
                    Step(.call(SocketCall(.disconnect, on: "steered")), label: "disconnect"),
                ] + both(host, 3, .reaches("steered"), .reaches("steered")) + [Step(.close("steered"))]
                + nobodyRegistered(host, 4),
            sabotages: [
                .programNotAttached, Sabotage("not-connected", omit: ["connect", "disconnect"]),
                Sabotage("not-disconnected", omit: ["disconnect"]),
            ])
    }

    /// SOCKHASH as well as SOCKMAP, with values of eight bytes and of four.
    private static func kinds(_ host: OneHost) -> Fixture {
        func put(_ map: String, _ socket: String, label: String? = nil) -> Step {
            Step(.mapEntry(MapEntry(.update, 0, of: map, in: "program", socket: socket)), label: label)
        }
        func empty(_ map: String) -> Step { Step(.mapEntry(MapEntry(.delete, 0, of: map, in: "program"))) }
        func flow(_ number: UInt16, _ name: String) -> Step {
            host.connect("flow-\(number)", number, to: host.exact, .reaches(name))
        }
        return host.fixture(
            "sockmap/array-and-hash",
            "A program selects from a sockhash as from a sockmap, and from one whose values are four bytes; a socket may be in several, and a close takes it out of all.",
            because: because,
            host.namespace + [
                host.open("exact", host.exact), host.openSteered("one"), host.openAnother("two"),
                Step(.load(ProgramLoad("program", object: "slots"))), OneHost.attach,
                flow(1, "exact"),
                put("narrow", "one", label: "put"), flow(2, "one"),
                put("array", "two"), flow(3, "two"),
                put("hash", "one"), flow(4, "one"),
                empty("hash"), flow(5, "two"),
                empty("array"), flow(6, "one"),
                put("array", "one"), put("hash", "one"), flow(7, "one"),
                put("hash", "two"), flow(8, "two"),
                Step(.close("two")), flow(9, "one"),
                put("hash", "one"),
                Step(.close("one")), flow(10, "exact"),
                OneHost.fails(
                    .mapEntry(MapEntry(.lookUp, 0, of: "array", in: "program")), .noEntry, lookUp),
                OneHost.fails(.mapEntry(MapEntry(.lookUp, 0, of: "hash", in: "program")), .noEntry, lookUp),
            ],
            sabotages: [.programNotAttached, Sabotage("map-left-empty", omit: ["put"])])
    }

    /// The maps go while sockets are in them.
    private static func unloaded(_ host: OneHost) -> Fixture {
        let own = host.plan.loopback
        func load(_ name: String) -> [Step] {
            [
                Step(.load(ProgramLoad(name, object: "slots"))),
                Step(.mapEntry(MapEntry(.update, 0, of: "hash", in: name, socket: "steered")), label: "put-\(name)"),
                Step(.mapEntry(MapEntry(.update, 3, of: "array", in: name, socket: "steered"))),
                Step(.attach(Attachment(name, program: name, to: "server"))),
            ]
        }
        func unload(_ name: String) -> [Step] { [Step(.detach(name)), Step(.unload(name))] }
        return host.fixture(
            "sockmap/map-that-goes",
            "A socket outlives the maps it is in: it serves its own address and the connections it was given, can be put into other maps, and is freed when it is closed.",
            because: because,
            host.namespace + [host.open("exact", host.exact), host.openSteered()] + load("first") + [
                host.connect("given", 1, to: host.exact, .reaches("steered"))
            ] + unload("first") + [
                host.connect("ordinary", 2, to: host.exact, .reaches("exact")),
                host.connect("own", 3, to: own, .reaches("steered")),
                host.exchange("given", .reaches(host.variant.transport == .tcp ? "steered" : "exact")),
            ] + load("second") + [
                host.connect("again", 4, to: host.exact, .reaches("steered"))
            ] + unload("second") + [
                host.connect("own-again", 5, to: own, .reaches("steered")), Step(.close("steered")),
                host.connect("nobody", 6, to: own, .refused),
            ] + ["given", "ordinary", "own", "again", "own-again", "nobody", "exact"].map { Step(.close($0)) } + [
                Step(
                    .countSockets(SocketCount(in: "server", until: 0)),
                    expect: [Expectation(.count(.exactly(0)))])
            ],
            sabotages: [
                Sabotage("first-left-empty", omit: ["put-first"]), Sabotage("second-left-empty", omit: ["put-second"]),
            ])
    }

    private enum Kind: String {
        case array, hash, narrow
    }

    private static func updates(_ kind: Kind) -> Fixture {
        let host = OneHost(variant: Variant(transport: .udp, family: .ipv4))
        func entry(
            _ operation: MapEntry.Operation, _ key: UInt32, _ socket: String? = nil, flags: MapEntry.Flags? = nil
        ) -> Action {
            .mapEntry(MapEntry(operation, key, of: kind.rawValue, in: "program", socket: socket, flags: flags))
        }
        func finds(_ key: UInt32, _ name: String) -> Step {
            kind == .narrow
                ? OneHost.fails(entry(.lookUp, key), error("ENOSPC"), lookUp)
                : OneHost.facts(entry(.lookUp, key), ["socket": name])
        }
        let missing = error(kind == .hash ? "ENOENT" : "EINVAL")
        // The fifth of four: an array has no such key, a hash no room.
        let beyond = [
            Step(entry(.update, 1, "two")), Step(entry(.update, 2, "one")), Step(entry(.update, 3, "two")),
            OneHost.fails(entry(.update, 4, "two"), error("E2BIG"), update),
            OneHost.fails(entry(.delete, 4), missing, delete),
        ]
        return host.fixture(
            "sockmap/updates", variant: kind.rawValue,
            "An update says EEXIST and ENOENT as its flags ask, and changes nothing then; a look-up from user space tells the socket's cookie if values have eight bytes, and a deletion of nothing says so.",
            because: because + ["bpf(2): BPF_NOEXIST, BPF_EXIST"],
            host.namespace + [
                host.open("exact", host.exact), host.openSteered("one"), host.openAnother("two"),
                Step(.load(ProgramLoad("program", object: "slots"))), OneHost.attach,
                OneHost.fails(entry(.update, 0, "one", flags: .exist), .noEntry, update),
                OneHost.fails(entry(.delete, 0), missing, delete),
                OneHost.fails(
                    entry(.lookUp, 0), kind == .narrow ? error("ENOSPC") : .noEntry, lookUp),
                host.connect("none", 1, to: host.exact, .reaches("exact")),
                Step(entry(.update, 0, "one", flags: .noExist), label: "put"),
                finds(0, "one"),
                host.connect("first", 2, to: host.exact, .reaches("one")),
                OneHost.fails(entry(.update, 0, "two", flags: .noExist), error("EEXIST"), update),
                OneHost.fails(entry(.update, 0, "two", flags: .invalid), error("EINVAL"), update),
                finds(0, "one"),
                host.connect("second", 3, to: host.exact, .reaches("one")),
                Step(entry(.update, 0, "two", flags: .exist)),
                finds(0, "two"),
                host.connect("third", 4, to: host.exact, .reaches("two")),
                // The same again is no error.
                Step(entry(.update, 0, "two")),
            ] + beyond + [
                Step(entry(.delete, 0)),
                OneHost.fails(entry(.delete, 0), missing, delete),
                host.connect("last", 5, to: host.exact, .reaches("exact")),
            ],
            sabotages: [
                .programNotAttached,
                Sabotage(
                    "put-before",
                    replace: [
                        "put": [Step(entry(.update, 0, "two", flags: .noExist))]
                    ]),
            ])
    }

    private static let otherFiles: Fixture = {
        let host = OneHost(variant: Variant(transport: .udp, family: .ipv4))
        func put(_ file: MapEntry.File, _ map: String) -> Action {
            .mapEntry(MapEntry(.update, 0, of: map, in: "program", file: file))
        }
        let refusals: [(MapEntry.File, String)] = [
            (.none, "EINVAL"), (.closed, "EBADF"), (.pipe, "ENOTSOCK"), (.raw, "EOPNOTSUPP"),
        ]
        return host.fixture(
            "sockmap/other-files",
            "What is no descriptor, no socket, or a socket of another kind is refused by maps of sockets, each with its own error, and the map stays as it is.",
            because: because,
            host.namespace + [
                host.open("exact", host.exact), host.openSteered(),
                Step(.load(ProgramLoad("program", object: "slots"))),
                Step(.mapEntry(MapEntry(.update, 0, of: "hash", in: "program", socket: "steered")), label: "put"),
                OneHost.attach,
            ]
                + refusals.flatMap { file, name in
                    ["array", "hash", "narrow"].map { OneHost.fails(put(file, $0), error(name), update) }
                } + [host.connect("flow", 1, to: host.exact, .reaches("steered"))],
            sabotages: [.programNotAttached, Sabotage("nothing-put", omit: ["put"])])
    }()

    private static let mptcp: Fixture = {
        let host = OneHost(variant: Variant(transport: .tcp, family: .ipv4))
        return host.fixture(
            "sockmap/mptcp-socket", variant: "ipv4",
            "An MPTCP socket is refused by maps of sockets, so a service that is to be steered must listen with plain TCP.",
            because: because + ["commit fbade4bd08ba"], requires: [.mptcp],
            host.namespace + [
                host.open("exact", host.exact), host.openSteered(),
                Step(.load(ProgramLoad("program", object: "slots"))),
                Step(.mapEntry(MapEntry(.update, 0, of: "hash", in: "program", socket: "steered")), label: "put"),
                OneHost.attach,
            ]
                + ["array", "hash", "narrow"].map {
                    OneHost.fails(
                        .mapEntry(MapEntry(.update, 0, of: $0, in: "program", file: .mptcp)), error("EOPNOTSUPP"),
                        update)
                } + [host.connect("flow", 1, to: host.exact, .reaches("steered"))],
            sabotages: [.programNotAttached, Sabotage("nothing-put", omit: ["put"])])
    }()

    private static func noLeak(_ host: OneHost) -> Fixture {
        let service = host.plan.service
        func sweep(_ answer: String) -> Step {
            let part = service.part(0, bits: 3)
            return Step(
                .sweep(
                    Sweep(
                        from: "server", host.variant.transport, addresses: part, ports: PortRange(OneHost.port))),
                expect: [
                    Expectation(
                        .answers([
                            AnswerSpan(
                                Endpoint(part.address, OneHost.port), through: Endpoint(part.last, OneHost.port),
                                answer)
                        ]))
                ])
        }
        func count(_ count: Int) -> Step {
            Step(
                .countSockets(SocketCount(in: "server", until: count)),
                expect: [Expectation(.count(.exactly(count)))])
        }
        // A group of one: which member of a larger one answers is not for here.
        let grouped: (String) -> Step = { name in
            Step(
                .socket(
                    SocketDescription(
                        name, in: "server", host.variant.transport, bind: Endpoint(host.plan.loopback, 8002),
                        options: [.reusePort])))
        }
        return host.fixture(
            "sockmap/no-socket-is-leaked",
            "After many lookups that selected, dropped and fell through, every socket is freed when it is closed.",
            because: because + ["commit b3af60928ab9, commit 66efd3368ae1: leaks of selected or registered sockets"],
            host.namespace + [
                host.open("wildcard", host.plan.wildcard), host.openSteered(), grouped("one"),
                count(3),
            ] + host.script() + [
                OneHost.change(OneHost.steer),
                sweep("steered"),
                // Chosen, refused a second time, taken back, chosen again.
                OneHost.change([
                    .onlyLocalPort(OneHost.port), .select("steered"), .select("steered"),
                    .select(nil, flags: [.replace]), .select("steered"),
                ]),
                sweep("steered"),
                OneHost.change([.onlyLocalPort(OneHost.port), .select("steered"), .select(nil, flags: [.replace])]),
                sweep("wildcard"),
                Step(.register(Registration("program", label: "group", socket: "one"))),
                OneHost.change([.onlyLocalPort(OneHost.port), .select("group")]),
                sweep("one"),
                OneHost.change([.onlyLocalPort(OneHost.port), .select("group", flags: [.noReuseport])]),
                sweep("one"),
                OneHost.change([.onlyLocalPort(OneHost.port), .verdict(.drop)]),
                sweep("refused"),
                count(3),
                Step(.close("steered"), label: "close"), Step(.close("one")),
                Step(.close("wildcard")),
                count(0),
            ],
            sabotages: [.programNotAttached, Sabotage("not-closed", omit: ["close"])])
    }
}
