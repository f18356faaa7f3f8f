import Addressing
import Lab

/// One socket on every port.
enum Ports {
    static let fixtures: [Fixture] = Variant.all.flatMap { variant in
        [
            everyPortByTestRun(variant), everyPortOfAPrefixByTestRun(variant), everyPortOfAnAddress(variant),
            everyPortOfAnAddress(variant, slow: true),
            everyPortOfAPrefix(variant), carvedPort(variant),
        ]
    }

    private static let because = [
        "paper §3.3: sockets cannot listen on all ports simultaneously for any IP address or range; a program can"
    ]
    /// A port that nobody asks for: the service's own.
    private static let servicePort: UInt16 = 8001
    private static let everyPort = PortRange.from(1, to: 65535)

    private static func scene(_ variant: Variant, _ bindings: [Step], more services: [String] = []) -> [Step] {
        let plan = AddressPlan(family: variant.family)
        let names = ["all"] + services
        return Scenery.network(plan, local: [plan.service])
            + names.enumerated().map { Scenery.service($1, variant, port: servicePort + UInt16($0)) }
            + Scenery.dispatcher(names.map { Scenery.register($0, under: $0) } + bindings)
    }

    private static func testRun(_ variant: Variant, _ address: IPAddress, _ answers: [(UInt16, UInt16, String)]) -> Step
    {
        let plan = AddressPlan(family: variant.family)
        return Step(
            .testRun(
                TestRun(
                    "dispatcher", variant.transport, addresses: Prefix(address), ports: everyPort,
                    remote: Endpoint(plan.clientAddress, 40000))),
            expect: [
                Expectation(
                    .answers(
                        answers.map { AnswerSpan(Endpoint(address, $0), through: Endpoint(address, $1), $2) }))
            ])
    }

    private static func everyPortByTestRun(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        return Fixture(
            name: "ports/every-port-by-test-run", variant: variant.id,
            summary:
                "Asked without packets for all 65,535 ports, the program picks the one socket for an address, and lets its neighbour pass.",
            because: because, requires: [.skLookup, .testRun, .devicePair] + variant.features,
            steps: scene(
                variant,
                [Scenery.bind(variant, Prefix(plan.service.host(1)), .all, to: "all")])
                + [
                    testRun(variant, plan.service.host(1), [(1, 65535, "all")]),
                    testRun(variant, plan.service.host(2), [(1, 65535, "pass")]),
                ],
            sabotages: [Sabotage("no-socket-registered", omit: ["register-all"])])
    }

    private static func everyPortOfAPrefixByTestRun(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let (first, last) = (plan.service.host(0), plan.service.host(-1))
        return Fixture(
            name: "ports/every-port-of-a-prefix-by-test-run", variant: variant.id,
            summary:
                "Asked without packets for all 65,535 ports, the program picks the one socket for the first and the last address of a prefix, and carves a port out of every address.",
            because: because, requires: [.skLookup, .testRun, .devicePair] + variant.features,
            steps: scene(
                variant,
                [
                    Scenery.bind(variant, plan.service, .all, to: "all"),
                    Scenery.bind(variant, plan.service, PortRange(443), to: "web", label: "carve"),
                ], more: ["web"])
                + [first, last].map {
                    testRun(variant, $0, [(1, 442, "all"), (443, 443, "web"), (444, 65535, "all")])
                },
            sabotages: [
                Sabotage("no-socket-registered", omit: ["register-all"]), Sabotage("port-not-carved", omit: ["carve"]),
            ])
    }

    private static func everyPortOfAnAddress(_ variant: Variant, slow: Bool = false) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let address = plan.service.host(1)
        // 211 is prime, so the ports that are asked fall on no boundary of the program's.
        let stride = slow ? 1 : 211
        return Fixture(
            name: "ports/every-port-of-an-address", variant: variant.id + (slow ? "-exhaustive" : ""),
            summary: "One socket answers on every port of an address, and on none of its neighbour's.",
            because: because, tags: slow ? ["slow"] : [], requires: [.skLookup, .devicePair] + variant.features,
            steps: scene(variant, [Scenery.bind(variant, Prefix(address), .all, to: "all")])
                + [
                    Scenery.sweep(
                        variant, Prefix(address), everyPort, stride: stride,
                        [AnswerSpan(Endpoint(address, 1), through: Endpoint(address, 65535), "all")]),
                    Scenery.probe(variant, plan.service.host(2), 1, .refused),
                    Scenery.probe(variant, plan.service.host(2), 65535, .refused),
                ],
            sabotages: [.programNotAttached, .passAllProgram])
    }

    private static func everyPortOfAPrefix(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let ports: [UInt16] = [1, 53, 32768, 65535]
        return Fixture(
            name: "ports/every-port-of-a-prefix", variant: variant.id,
            summary: "One socket answers on every port of every address of a prefix.",
            because: because, requires: [.skLookup, .devicePair] + variant.features,
            steps: scene(variant, [Scenery.bind(variant, plan.service, .all, to: "all")])
                + ports.map {
                    Scenery.sweep(
                        variant, plan.service, PortRange($0), stride: 17, [Scenery.span(plan.service, $0, "all")])
                }
                + [0, -1].map {
                    let address = plan.service.host($0)
                    return Scenery.sweep(
                        variant, Prefix(address), everyPort, stride: 1021,
                        [AnswerSpan(Endpoint(address, 1), through: Endpoint(address, 65535), "all")])
                },
            sabotages: [.programNotAttached, .passAllProgram])
    }

    private static func carvedPort(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let address = plan.service.host(1)
        let expected: [(UInt16, String)] = [
            (1, "all"), (442, "all"), (443, "web"), (444, "all"), (7999, "all"), (8000, "api"), (8005, "api"),
            (8010, "api"), (8011, "all"), (65535, "all"),
        ]
        return Fixture(
            name: "ports/a-specific-binding-carves-a-port-out", variant: variant.id,
            summary:
                "Within an address whose every port has one socket, a port and a range of ports go to others, exactly.",
            because: because, requires: [.skLookup, .devicePair] + variant.features,
            steps: scene(
                variant,
                [
                    Scenery.bind(variant, plan.service, .all, to: "all"),
                    Scenery.bind(variant, plan.service, PortRange(443), to: "web"),
                    Scenery.bind(variant, plan.service, .from(8000, to: 8010), to: "api"),
                ], more: ["web", "api"])
                + expected.map { Scenery.probe(variant, address, $0, .reaches($1)) },
            sabotages: [.programNotAttached, .wrongSocket("web", instead: "all")])
    }
}
