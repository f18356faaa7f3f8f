import Addressing
import Lab

/// The paper's own example.
enum Figure4c {
    static let fixtures: [Fixture] = Variant.all.map { variant in
        let plan = AddressPlan(family: variant.family)
        let single = plan.second.host(1)
        return Fixture(
            name: "figure-4c/two-matches-at-once", variant: variant.id,
            summary:
                "Packets to \(plan.service) port 53 reach one socket and packets to \(single) on any port another, at once.",
            because: ["paper Figure 4c"], requires: [.skLookup, .veth] + variant.features,
            steps: Scenery.network(plan, local: [plan.service, plan.second])
                + (1...4).map { Scenery.service("sk:\($0)", variant, port: UInt16(8000 + $0)) }
                + Scenery.dispatcher([
                    Scenery.register("sk:2", under: "sk2"), Scenery.register("sk:4", under: "sk4"),
                    Scenery.bind(variant, plan.service, PortRange(53), to: "sk2"),
                    Scenery.bind(variant, Prefix(single), .all, to: "sk4"),
                ])
                + [
                    Scenery.sweep(variant, plan.service, PortRange(53), [Scenery.span(plan.service, 53, "sk:2")]),
                    Scenery.sweep(
                        variant, Prefix(single), .from(1, to: 65535), stride: 641,
                        [AnswerSpan(Endpoint(single, 1), through: Endpoint(single, 65535), "sk:4")]),
                    Scenery.probe(variant, single, 53, .reaches("sk:4")),
                    Scenery.probe(variant, plan.service.host(1), 54, .refused),
                    Scenery.probe(variant, plan.second.host(2), 53, .refused),
                ],
            sabotages: [.programNotAttached, .passAllProgram, .wrongSocket("sk4", instead: "sk:2")])
    }
}
