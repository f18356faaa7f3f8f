import Addressing
import Lab

/// Bindings that change while sockets and connections live.
enum Rebind {
    static let fixtures: [Fixture] = Variant.all.flatMap { variant in
        [prefixMoves(variant), portMoves(variant), socketGainsAndLoses(variant), socketReplaced(variant)]
    }

    private static let because = [
        "paper §3.3: the sockets API does not allow a socket's IP+port bindings to be altered"
    ]
    private static let port: UInt16 = 80

    private static func fixture(
        _ name: String, _ variant: Variant, _ summary: String, _ steps: [Step], sabotages: [Sabotage]
    ) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        return Fixture(
            name: "rebind/\(name)", variant: variant.id, summary: summary, because: because,
            requires: [.skLookup, .devicePair] + variant.features,
            steps: Scenery.network(plan, local: [plan.service, plan.second])
                + [Scenery.service("old", variant, port: 8001), Scenery.service("new", variant, port: 8002)] + steps,
            sabotages: sabotages)
    }

    /// A flow between the client and an address of the service.
    ///
    /// A TCP connection belongs to the listener that accepted it. UDP has no such thing but a connected
    /// socket, so there the server opens one for the client's address and port.
    private struct Flow {
        var open: [Step]
        /// The socket that has it on the server.
        var owner: String
        /// A world in which it begins only after the step `change`, and so belongs to `later`.
        var begunLate: (_ change: Step, _ later: String) -> Sabotage
    }

    private static func flow(_ variant: Variant) -> Flow {
        let plan = AddressPlan(family: variant.family)
        let destination = Endpoint(plan.service.host(2), port)
        let source = Endpoint(plan.clientAddress, 40001)
        func connect(_ owner: String) -> Step {
            Step(
                .connect(Connection("flow", from: "client", variant.transport, to: destination, source: source)),
                label: "connect", expect: [Expectation(.reaches(owner))])
        }
        let connected = Step(
            .socket(
                SocketDescription(
                    "connected", in: "server", .udp, bind: destination, options: [.freeBind], connect: source)),
            label: "open-connected")
        let owner = variant.transport == .tcp ? "old" : "connected"
        let open = (variant.transport == .tcp ? [] : [connected]) + [connect(owner)]
        return Flow(open: open, owner: owner) { change, later in
            Sabotage(
                "flow-begins-too-late", omit: open.compactMap(\.label),
                replace: change.label.map { [$0: [change, connect(later)]] } ?? [:])
        }
    }

    private static func exchange(_ owner: String) -> Step {
        Step(.exchange("flow"), expect: [Expectation(.reaches(owner))])
    }

    private static func prefixMoves(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let (address, prefix) = (plan.service.host(1), plan.service)
        let flow = flow(variant)
        let move = Scenery.bind(variant, prefix, PortRange(port), to: "new", label: "move")
        return fixture(
            "prefix-moves-to-another-socket", variant,
            "A prefix moves to another socket and back while both stay open; new flows follow it, and a connected one stays where it is.",
            Scenery.dispatcher([
                Scenery.register("old", under: "old"), Scenery.register("new", under: "new"),
                Scenery.bind(variant, prefix, PortRange(port), to: "old"),
            ])
                + [Scenery.probe(variant, address, port, .reaches("old"))] + flow.open
                + [
                    move,
                    exchange(flow.owner),
                    Scenery.probe(variant, address, port, .reaches("new")),
                    Scenery.probe(variant, prefix.host(-1), port, .reaches("new")),
                    Scenery.bind(variant, prefix, PortRange(port), to: "old"),
                    exchange(flow.owner),
                    Scenery.probe(variant, address, port, .reaches("old")),
                ],
            sabotages: [
                .programNotAttached, Sabotage("prefix-does-not-move", omit: ["move"]), flow.begunLate(move, "new"),
            ])
    }

    private static func portMoves(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let (address, prefix) = (plan.service.host(1), plan.service)
        let flow = flow(variant)
        let move = Scenery.bind(variant, prefix, PortRange(port), to: "new", label: "move")
        return fixture(
            "port-moves-to-another-socket", variant,
            "One port of a range moves to another socket; its neighbours and the connected flow stay.",
            Scenery.dispatcher([
                Scenery.register("old", under: "old"), Scenery.register("new", under: "new"),
                Scenery.bind(variant, prefix, .from(79, to: 81), to: "old"),
            ])
                + [Scenery.probe(variant, address, port, .reaches("old"))] + flow.open
                + [
                    move,
                    exchange(flow.owner),
                    Scenery.probe(variant, address, 79, .reaches("old")),
                    Scenery.probe(variant, address, 80, .reaches("new")),
                    Scenery.probe(variant, address, 81, .reaches("old")),
                    Scenery.unbind(variant, prefix, PortRange(port), from: "new"),
                    Scenery.probe(variant, address, 80, .reaches("old")),
                ],
            sabotages: [
                .programNotAttached, flow.begunLate(move, "new"),
                Sabotage(
                    "whole-range-moves",
                    replace: [
                        "move": [
                            Scenery.bind(variant, prefix, .from(79, to: 81), to: "new"),
                            Scenery.bind(variant, prefix, PortRange(port), to: "new"),
                        ]
                    ]),
            ])
    }

    private static func socketGainsAndLoses(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let (first, second) = (plan.service.host(1), plan.second.host(1))
        let flow = flow(variant)
        return fixture(
            "socket-gains-and-loses-prefixes", variant,
            "An open socket gains a prefix and loses another without a restart, and its connected flow goes on.",
            Scenery.dispatcher([
                Scenery.register("old", under: "old"),
                Scenery.bind(variant, plan.service, PortRange(port), to: "old"),
            ])
                + [
                    Scenery.probe(variant, first, port, .reaches("old")),
                    Scenery.probe(variant, second, port, .refused),
                ] + flow.open
                + [
                    Scenery.bind(variant, plan.second, PortRange(port), to: "old", label: "gain"),
                    Scenery.probe(variant, second, port, .reaches("old")),
                    Step(
                        .unbind(
                            Binding("dispatcher", variant.transport, plan.service, ports: PortRange(port), to: "old")),
                        label: "lose"),
                    Scenery.probe(variant, first, port, .refused),
                    Scenery.probe(variant, second, port, .reaches("old")),
                    exchange(flow.owner),
                ],
            sabotages: [
                Sabotage("prefix-not-gained", omit: ["gain"]), Sabotage("prefix-not-lost", omit: ["lose"]),
            ])
    }

    private static func socketReplaced(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let address = plan.service.host(1)
        let flow = flow(variant)
        let replacement = Scenery.register("new", under: "web")
        return fixture(
            "label-takes-another-socket", variant,
            "A label takes another socket, as when a service is replaced: new flows reach the new one, the connected one stays, and the bindings are untouched.",
            Scenery.dispatcher([
                Step(.register(Registration("dispatcher", label: "web", socket: "old"))),
                Scenery.bind(variant, plan.service, PortRange(port), to: "web"),
            ])
                + [Scenery.probe(variant, address, port, .reaches("old"))] + flow.open
                + [
                    replacement,
                    Scenery.probe(variant, address, port, .reaches("new")),
                    exchange(flow.owner),
                    // The old socket closes for good; what it had already accepted lives on.
                    Step(.close("old")),
                    exchange(flow.owner),
                    Scenery.probe(variant, address, port, .reaches("new")),
                ],
            sabotages: [
                .programNotAttached, .wrongSocket("web", instead: "old"), flow.begunLate(replacement, "new"),
            ])
    }
}
