import Addressing
import Lab

/// Where the program comes in the lookup of a socket.
enum Order {
    static let fixtures: [Fixture] = Variant.all.flatMap { variant in
        [
            connectedSocketWins(variant), winsOverBoundSockets(variant), unchangedWithoutAMatch(variant),
            dropRefuses(variant),
        ]
    }

    private static let because = [
        "paper Figure 5a: the program runs after connected sockets are matched, and ahead of listeners",
        "commit e9ddbb7707ff",
    ]
    private static let port: UInt16 = 80

    private static func fixture(
        _ name: String, _ variant: Variant, _ summary: String, requires: [Feature] = [.skLookup], _ steps: [Step],
        sabotages: [Sabotage]
    ) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        return Fixture(
            name: "order/\(name)", variant: variant.id, summary: summary, because: because,
            requires: requires + [.devicePair] + variant.features,
            steps: Scenery.network(plan, local: [plan.service]) + steps, sabotages: sabotages)
    }

    private static func open(_ name: String, _ variant: Variant, _ address: IPAddress, connect: Endpoint? = nil) -> Step
    {
        // UDP sockets share the port only if both agree; SO_REUSEADDR is enough there, and TCP needs SO_REUSEPORT.
        Step(
            .socket(
                SocketDescription(
                    name, in: "server", variant.transport, bind: Endpoint(address, port),
                    options: [.freeBind, variant.transport == .tcp ? .reusePort : .reuseAddress], connect: connect)),
            label: "open-\(name)")
    }

    /// The steered socket, and a dispatcher that gives it the whole prefix.
    private static func steered(_ variant: Variant) -> (socket: Step, dispatcher: [Step]) {
        let plan = AddressPlan(family: variant.family)
        return (
            Scenery.service("steered", variant, port: 8001),
            Scenery.dispatcher([
                Scenery.register("steered", under: "steered"),
                Scenery.bind(variant, plan.service, PortRange(port), to: "steered"),
            ])
        )
    }

    private static func connectedSocketWins(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let address = plan.service.host(1)
        let source = Endpoint(plan.clientAddress, 40001)
        let steered = steered(variant)
        let owner = variant.transport == .tcp ? "exact" : "connected"
        let connected = variant.transport == .udp ? [open("connected", variant, address, connect: source)] : []
        func connect(_ outcome: Outcome) -> Step {
            Step(
                .connect(
                    Connection("flow", from: "client", variant.transport, to: Endpoint(address, port), source: source)),
                label: "connect", expect: [Expectation(outcome)])
        }
        return fixture(
            "connected-socket-wins", variant,
            "A connected flow keeps its socket when a program that gives its address to another, or drops everything, is attached.",
            [open("exact", variant, address)] + connected + [
                connect(.reaches(owner)),
                steered.socket,
            ] + steered.dispatcher
                + [
                    Step(.exchange("flow"), expect: [Expectation(.reaches(owner))]),
                    Scenery.probe(variant, address, port, .reaches("steered")),
                    Step(.detach("link")),
                    Step(.load(ProgramLoad("drop-all", object: "drop"))),
                    Step(.attach(Attachment("drop-all", program: "drop-all", to: "server"))),
                    Step(.exchange("flow"), expect: [Expectation(.reaches(owner))]),
                    Scenery.probe(variant, address, port, .refused),
                ],
            sabotages: [
                .passAllProgram,
                // With nothing connected before the program is attached, the flow is the program's.
                Sabotage(
                    "flow-begins-after-the-program", omit: ["connect"] + connected.compactMap(\.label),
                    replace: ["attach": [Scenery.attach, connect(.reaches("steered"))]]),
            ])
    }

    private static func winsOverBoundSockets(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let (exact, other) = (plan.service.host(1), plan.service.host(2))
        let steered = steered(variant)
        return fixture(
            "lookup-wins-over-bound-sockets", variant,
            "A program's choice wins over a socket bound to the exact address, and over a wildcard; detached, both have their addresses again.",
            [open("exact", variant, exact), open("wildcard", variant, plan.wildcard), steered.socket]
                + [
                    Scenery.probe(variant, exact, port, .reaches("exact")),
                    Scenery.probe(variant, other, port, .reaches("wildcard")),
                ] + steered.dispatcher
                + [
                    Scenery.probe(variant, exact, port, .reaches("steered")),
                    Scenery.probe(variant, other, port, .reaches("steered")),
                    Step(.detach("link")),
                    Scenery.probe(variant, exact, port, .reaches("exact")),
                    Scenery.probe(variant, other, port, .reaches("wildcard")),
                ],
            sabotages: [.passAllProgram, .wrongSocket("steered", instead: "exact")])
    }

    private static func unchangedWithoutAMatch(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let (exact, other, bound) = (plan.service.host(1), plan.service.host(2), plan.service.host(3))
        func ordinary() -> [Step] {
            [
                Scenery.probe(variant, exact, port, .reaches("exact")),
                Scenery.probe(variant, other, port, .reaches("wildcard")),
                Scenery.probe(variant, other, 81, .refused),
            ]
        }
        return fixture(
            "without-a-match-nothing-changes", variant,
            "With a program that selects nothing, or one whose bindings do not match, exact and wildcard sockets are found as ever.",
            [
                open("exact", variant, exact), open("wildcard", variant, plan.wildcard),
                Scenery.service("steered", variant, port: 8001),
            ] + ordinary()
                + [
                    Step(.load(ProgramLoad("pass-all", object: "pass"))),
                    Step(.attach(Attachment("pass-all", program: "pass-all", to: "server"))),
                ] + ordinary()
                + Scenery.dispatcher([
                    Scenery.register("steered", under: "steered"),
                    Scenery.bind(variant, Prefix(bound), PortRange(port), to: "steered", label: "bind"),
                ]) + ordinary() + [Scenery.probe(variant, bound, port, .reaches("steered"))],
            sabotages: [
                Sabotage(
                    "binding-matches-everything",
                    replace: ["bind": [Scenery.bind(variant, plan.service, PortRange(port), to: "steered")]]),
                .programNotAttached,
            ])
    }

    private static func dropRefuses(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let exact = plan.service.host(1)
        return fixture(
            "drop-refuses", variant,
            "Where a program says drop, a packet is refused although a socket is bound to its very address.",
            [
                open("exact", variant, exact), Scenery.probe(variant, exact, port, .reaches("exact")),
                Step(.load(ProgramLoad("drop-all", object: "drop"))),
                Step(.attach(Attachment("link", program: "drop-all", to: "server")), label: "attach"),
                Scenery.probe(variant, exact, port, .refused),
                Step(.detach("link"), label: "detach"), Scenery.probe(variant, exact, port, .reaches("exact")),
            ],
            sabotages: [.passAllProgram])
    }
}
