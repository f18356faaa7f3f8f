import Addressing
import Glibc
import Lab

/// Which UDP sockets could be registered and selected once, and cannot any more, or the other way round.
enum HistoryOfSelection {
    static let fixtures: [Fixture] = Variant.udp.flatMap {
        [unboundSocket($0), disconnectedSocket($0), udpLite($0), reconnected($0)]
    }

    private static let noUnhash = Change(
        "commit b8b8315e39ff: a socket leaves its sockmaps when it is closed, and no longer when it loses its port",
        KernelVersion(5, 16), KernelVersion(5, 15, 3), KernelVersion(5, 14, 19))

    private static let anyDatagramState = Change(
        "commit 0c48eefae712: a sockmap takes UDP sockets in any state", KernelVersion(5, 15))

    private static let boundOnly = Change(
        "commit 66efd3368ae1: a sockmap takes no UDP socket without a port (CVE-2026-68386)",
        KernelVersion(7, 2), KernelVersion(7, 1, 6), KernelVersion(6, 18, 42), KernelVersion(6, 12, 101),
        KernelVersion(6, 6, 148), KernelVersion(6, 1, 183), KernelVersion(5, 15, 216))

    private static let noUDPLite = Change(
        "commits 62554a51c584, 56520b398e5e: UDP-Lite is retired", KernelVersion(7, 1))

    private static func fixture(
        _ name: String, _ variant: Variant, _ summary: String, because: [String], _ steps: [Step],
        sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: "history/\(name)", variant: variant.id, summary: summary, because: because,
            requires: [.skLookup] + variant.features, steps: [Step(.namespace("server"))] + steps,
            sabotages: sabotages)
    }

    /// A script that selects `socket`, which is registered later.
    private static func script(_ lookups: ScriptedLookups, selects socket: String) -> [Step] {
        [
            lookups.load("program"), lookups.script("program", [.select(socket)]), lookups.attach("program"),
        ]
    }

    private static func probe(_ lookups: ScriptedLookups, _ expectations: [Expectation]) -> Step {
        Step(.probe(Probe(from: "server", .udp, to: lookups.destination)), expect: expectations)
    }

    /// What bpf_sk_assign returned; the script's first operation is the one that tells whose packet it is.
    private static func assigned(_ expectations: [Expectation]) -> Step {
        Step(.recorded("program"), expect: expectations)
    }

    private static func result(_ text: String) -> Outcome { .facts(["2 result": text]) }

    private static let refused = Expectation(.refused)

    private static func unboundSocket(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        let own = Endpoint(.loopback(variant.family), 8001)
        func open(bound: Bool) -> Step {
            Step(
                .socket(SocketDescription("unbound", in: "server", .udp, bind: own, bound: bound ? nil : false)),
                label: "open")
        }
        func register(_ expectations: [Expectation] = []) -> Step {
            Step(
                .register(Registration("program", label: "unbound", socket: "unbound")), expect: expectations)
        }
        func three(_ outside: Outcome, within: Outcome) -> [Expectation] {
            [
                Expectation(outside, until: anyDatagramState.versions, because: anyDatagramState.commit),
                Expectation(
                    within, since: anyDatagramState.versions, until: boundOnly.versions,
                    because: anyDatagramState.commit + "; until " + boundOnly.commit),
                Expectation(outside, since: boundOnly.versions, because: boundOnly.commit),
            ]
        }
        return fixture(
            "unbound-udp-socket-in-a-map", variant,
            "A UDP socket without a port can be registered on some kernels, and is selected on none; one that has a port can be.",
            because: [anyDatagramState.commit, boundOnly.commit],
            script(lookups, selects: "unbound") + [open(bound: false)]
                + [
                    register(three(.fails(ErrorNumber(rawValue: EOPNOTSUPP), call: nil), within: .succeeds)),
                    probe(lookups, [refused]),
                    assigned(three(result("empty slot"), within: result("ESOCKTNOSUPPORT"))),
                    Step(
                        .call(SocketCall(.bind, on: "unbound", endpoint: own)), label: "bind"),
                    probe(lookups, three(.refused, within: .reaches("unbound"))),
                    register(), lookups.probe(.reaches("unbound")),
                ],
            sabotages: [
                Sabotage("bound-from-the-start", omit: ["bind"], replace: ["open": [open(bound: true)]]),
                Sabotage("program-not-attached", omit: ["attach-program"]),
            ])
    }

    private static func disconnectedSocket(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        let loopback = IPAddress.loopback(variant.family)
        func open(connected: Bool) -> Step {
            Step(
                .socket(
                    SocketDescription(
                        "passing", in: "server", .udp, bind: Endpoint(loopback, 0),
                        connect: connected ? Endpoint(loopback, 9) : nil)),
                label: "open")
        }
        return fixture(
            "disconnected-udp-socket-stays-in-its-map", variant,
            "A registered UDP socket whose port the kernel chose loses that when it is disconnected, and keeps its place in the map, where it once lost that too.",
            because: [noUnhash.commit],
            script(lookups, selects: "passing") + [
                open(connected: true)
            ] + lookups.register("passing", with: ["program"])
                + [
                    probe(lookups, [refused]), assigned([Expectation(result("ESOCKTNOSUPPORT"))]),
                    Step(.call(SocketCall(.disconnect, on: "passing")), label: "disconnect"),
                    Step(
                        .mapEntry(MapEntry(.lookUp, 0, of: "sockets", in: "program")),
                        expect: noUnhash.expectations(
                            before: .fails(ErrorNumber(rawValue: ENOENT), call: nil),
                            after: .facts(["socket": "passing"]))),
                    probe(lookups, noUnhash.expectations(before: .refused, after: .reaches("passing"))),
                ],
            sabotages: [
                Sabotage("still-connected", omit: ["disconnect"]),
                Sabotage("never-connected", omit: ["disconnect"], replace: ["open": [open(connected: false)]]),
            ])
    }

    private static func udpLite(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        let unsupported = Outcome.fails(ErrorNumber(rawValue: EPROTONOSUPPORT), call: "socket")
        return fixture(
            "udp-lite-is-not-steered", variant,
            "A program steers UDP and never UDP-Lite, which is no more.",
            because: [noUDPLite.commit, "commit 72f7e9440e9b: the hook runs in UDP's own table of sockets"],
            script(lookups, selects: "steered")
                + [
                    lookups.socket("steered", port: 8001),
                    Step(
                        .socket(
                            SocketDescription(
                                "lite", in: "server", .udp, bind: lookups.destination, lite: true)),
                        expect: noUDPLite.expectations(before: .succeeds, after: unsupported)),
                ] + lookups.register("steered", with: ["program"])
                + [
                    lookups.probe(.reaches("steered")),
                    Step(
                        .probe(Probe(from: "server", .udp, to: lookups.destination, lite: true)),
                        expect: noUDPLite.expectations(before: .reaches("lite"), after: unsupported)),
                ],
            sabotages: [Sabotage("program-not-attached", omit: ["attach-program"])])
    }

    /// A connected socket is found in a table of its own since 6.13; nothing else may have changed by that.
    private static func reconnected(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let loopback = plan.loopback
        let (first, second) = (Endpoint(loopback, 1001), Endpoint(loopback, 1002))
        func open(_ name: String, _ address: IPAddress, connect: Endpoint? = nil) -> Step {
            Step(
                .socket(
                    SocketDescription(
                        name, in: "server", .udp, bind: Endpoint(address, 53), options: [.reuseAddress],
                        connect: connect)))
        }
        func ask(from source: Endpoint, reaches name: String) -> Step {
            Step(
                .probe(Probe(from: "server", .udp, to: Endpoint(loopback, 53), source: source)),
                expect: [Expectation(.reaches(name))])
        }
        func connect(to peer: Endpoint, label: String? = nil) -> Step {
            Step(.call(SocketCall(.connect, on: "flow", endpoint: peer)), label: label)
        }
        let turns = [
            ask(from: first, reaches: "flow"), ask(from: second, reaches: "wildcard"),
            connect(to: second), ask(from: first, reaches: "wildcard"), ask(from: second, reaches: "flow"),
            connect(to: first), ask(from: first, reaches: "flow"), ask(from: second, reaches: "wildcard"),
            Step(.call(SocketCall(.disconnect, on: "flow"))), ask(from: second, reaches: "flow"),
            connect(to: second), ask(from: second, reaches: "flow"), ask(from: first, reaches: "wildcard"),
            connect(to: first),
        ]
        return fixture(
            "reconnected-udp-socket", variant,
            "A UDP socket gets the datagrams of the peer that it was connected to last, whatever others share its port.",
            because: [
                "commits 78c91ae2c6de, 1b29a730ef8b: a table of connected UDP sockets",
                "commit 51a00be6a099: a socket that connects again is found by its new peer",
            ],
            [
                open("wildcard", plan.wildcard), open("flow", loopback), connect(to: first, label: "connect"),
            ] + turns + [
                // From more than ten sockets on a port on, they are looked for by address.
                Step(.localPrefix(LocalPrefix(namespace: "server", prefix: plan.service))),
                Step(
                    .sockets(
                        SocketRange(
                            "crowd", in: "server", .udp, prefix: plan.service.part(0, bits: 4), port: 53,
                            options: [.freeBind, .reuseAddress]))),
            ] + turns,
            sabotages: [Sabotage("never-connected", omit: ["connect"])])
    }
}
