import Addressing
import Lab

/// 4096 addresses, served by as many sockets and by one.
enum Scale {
    static let fixtures: [Fixture] = Variant.all.flatMap { variant in [socketPerAddress(variant), oneSocket(variant)] }

    private static let port: UInt16 = 80

    private static func socketPerAddress(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        func open(_ prefix: Prefix) -> Step {
            Step(
                .sockets(
                    SocketRange(
                        "site", in: "server", variant.transport, prefix: prefix, port: port, options: [.freeBind],
                        measured: true)),
                label: "open")
        }
        return Fixture(
            name: "scale/socket-per-address", variant: variant.id,
            summary: "4096 sockets answer on the 4096 addresses of a prefix, each on its own.",
            because: ["paper §3.3, Figure 4a: 4096 sockets are needed for each port of a /20"],
            tags: ["scale"], requires: [.devicePair] + variant.features,
            steps: Scenery.network(plan, local: [plan.large])
                + [
                    open(plan.large),
                    Scenery.sweep(variant, plan.large, PortRange(port), [Scenery.span(plan.large, port, "site[=]")]),
                ],
            sabotages: [
                Sabotage("half-the-sockets", replace: ["open": [open(plan.large.part(0, bits: 1))]])
            ])
    }

    private static func oneSocket(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        return Fixture(
            name: "scale/one-socket", variant: variant.id,
            summary: "One socket and a program answer on the 4096 addresses of a prefix.",
            because: ["paper §3.3, Figure 4c"], tags: ["scale"], requires: [.skLookup, .devicePair] + variant.features,
            steps: Scenery.network(plan, local: [plan.large])
                + [
                    Step(
                        .sockets(
                            SocketRange(
                                "site", in: "server", variant.transport, prefix: Prefix(plan.loopback), port: 8001,
                                measured: true)))
                ]
                + Scenery.dispatcher([
                    Scenery.register("site[\(plan.loopback)]", under: "site"),
                    Scenery.bind(variant, plan.large, PortRange(port), to: "site"),
                ])
                + [
                    Scenery.sweep(
                        variant, plan.large, PortRange(port),
                        [Scenery.span(plan.large, port, "site[\(plan.loopback)]")])
                ],
            sabotages: [.programNotAttached])
    }
}
