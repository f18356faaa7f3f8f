import Addressing
import Lab

/// Services on prefixes, whatever their sockets are bound to.
enum Ranges {
    static let fixtures: [Fixture] = Variant.all.flatMap { variant in
        [
            twoServicesShareAPort(variant), adjacentPrefixes(variant), nestedPrefixes(variant),
            singleAddress(variant), everything(variant),
        ]
    }

    private static func fixture(
        _ name: String, _ variant: Variant, _ summary: String, local: [Prefix], _ steps: [Step],
        sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: "ranges/\(name)", variant: variant.id, summary: summary,
            because: ["paper §3.3: two services share a port and accept requests on disjoint IP ranges"],
            requires: [.skLookup, .veth] + variant.features,
            steps: Scenery.network(AddressPlan(family: variant.family), local: local) + steps, sabotages: sabotages)
    }

    private static func twoServicesShareAPort(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let dns = PortRange(53)
        let probes =
            [0, 1, 128, -1].flatMap {
                [
                    Scenery.probe(variant, plan.service.host($0), 53, .reaches("authoritative")),
                    Scenery.probe(variant, plan.second.host($0), 53, .reaches("recursive")),
                    Scenery.probe(variant, plan.unbound.host($0), 53, .refused),
                ]
            } + [
                Scenery.probe(variant, plan.serverAddress, 53, .refused),
                Scenery.probe(variant, plan.service.host(1), 54, .refused),
                Scenery.probe(variant, plan.second.host(1), 52, .refused),
            ]
        return fixture(
            "two-services-share-a-port", variant,
            "An authoritative and a recursive DNS server share port 53 on disjoint prefixes; neither answers for the other's, and nobody for an address in no range.",
            local: [plan.service, plan.second, plan.unbound],
            [
                Scenery.service("authoritative", variant, port: 5301),
                Scenery.service("recursive", variant, port: 5302),
            ]
                + Scenery.dispatcher([
                    Scenery.register("authoritative", under: "authoritative"),
                    Scenery.register("recursive", under: "recursive"),
                    Scenery.bind(variant, plan.service, dns, to: "authoritative"),
                    Scenery.bind(variant, plan.second, dns, to: "recursive"),
                ]) + probes,
            sabotages: [
                .programNotAttached, .passAllProgram, .wrongSocket("recursive", instead: "authoritative"),
            ])
    }

    private static func adjacentPrefixes(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let (lower, upper) = (plan.service.part(0, bits: 1), plan.service.part(1, bits: 1))
        return fixture(
            "adjacent-prefixes", variant,
            "Two halves of a prefix belong to two sockets, to the last address before the boundary and from the first after it.",
            local: [plan.service],
            [
                Scenery.service("lower", variant, port: 8001), Scenery.service("upper", variant, port: 8002),
            ]
                + Scenery.dispatcher([
                    Scenery.register("lower", under: "lower"), Scenery.register("upper", under: "upper"),
                    Scenery.bind(variant, lower, PortRange(80), to: "lower"),
                    Scenery.bind(variant, upper, PortRange(80), to: "upper"),
                ])
                + [
                    Scenery.sweep(
                        variant, plan.service, PortRange(80),
                        [Scenery.span(lower, 80, "lower"), Scenery.span(upper, 80, "upper")])
                ],
            sabotages: [.programNotAttached, .wrongSocket("upper", instead: "lower")])
    }

    private static func nestedPrefixes(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let whole = plan.service
        // In an IPv4 /24: addresses 64 to 79, and 70 of them.
        let part = whole.part(4, bits: 4)
        let single = Prefix(part.host(6))
        let port = PortRange(80)
        func answers(single name: String) -> [AnswerSpan] {
            func span(_ first: Int, _ last: Int, _ answer: String) -> AnswerSpan {
                AnswerSpan(Endpoint(whole.host(first), 80), through: Endpoint(whole.host(last), 80), answer)
            }
            if name == "part" { return [span(0, 63, "whole"), span(64, 79, "part"), span(80, 255, "whole")] }
            return [
                span(0, 63, "whole"), span(64, 69, "part"), span(70, 70, name), span(71, 79, "part"),
                span(80, 255, "whole"),
            ]
        }
        return fixture(
            "nested-prefixes", variant,
            "Of nested prefixes the most specific wins, and when it goes the next one has the address.",
            local: [whole],
            ["whole", "part", "single"].enumerated().map {
                Scenery.service($1, variant, port: UInt16(8001 + $0))
            }
                + Scenery.dispatcher(
                    ["whole", "part", "single"].map { Scenery.register($0, under: $0) } + [
                        // The most specific first: the order of binding must not matter.
                        Scenery.bind(variant, single, port, to: "single"),
                        Scenery.bind(variant, whole, port, to: "whole"),
                        Scenery.bind(variant, part, port, to: "part"),
                    ])
                + [
                    Scenery.sweep(variant, whole, port, answers(single: "single")),
                    Scenery.unbind(variant, single, port, from: "single"),
                    Scenery.sweep(variant, whole, port, answers(single: "part")),
                ],
            sabotages: [.programNotAttached, .wrongSocket("single", instead: "whole")])
    }

    private static func singleAddress(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        return fixture(
            "single-address", variant,
            "A binding of full length holds for its one address, and its neighbours are refused.",
            local: [plan.service],
            [Scenery.service("web", variant, port: 8001)]
                + Scenery.dispatcher([
                    Scenery.register("web", under: "web"),
                    Scenery.bind(variant, Prefix(plan.service.host(7)), PortRange(80), to: "web", label: "bind"),
                ])
                + [
                    Scenery.probe(variant, plan.service.host(7), 80, .reaches("web")),
                    Scenery.probe(variant, plan.service.host(6), 80, .refused),
                    Scenery.probe(variant, plan.service.host(8), 80, .refused),
                ],
            sabotages: [
                .programNotAttached,
                Sabotage(
                    "prefix-too-short",
                    replace: ["bind": [Scenery.bind(variant, plan.service.part(0, bits: 4), PortRange(80), to: "web")]]),
            ])
    }

    private static func everything(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let addresses = [
            plan.service.host(0), plan.service.host(-1), plan.second.host(1), plan.unbound.host(255),
            plan.serverAddress,
        ]
        return fixture(
            "every-address", variant,
            "A binding of length zero holds for every address the server has, except where a longer one says otherwise.",
            local: [plan.service, plan.second, plan.unbound],
            [Scenery.service("all", variant, port: 8001), Scenery.service("one", variant, port: 8002)]
                + Scenery.dispatcher([
                    Scenery.register("all", under: "all"), Scenery.register("one", under: "one"),
                    Scenery.bind(variant, plan.everything, PortRange(80), to: "all"),
                    Scenery.bind(variant, Prefix(plan.second.host(2)), PortRange(80), to: "one"),
                ])
                + addresses.map { Scenery.probe(variant, $0, 80, .reaches("all")) }
                + [
                    Scenery.probe(variant, plan.second.host(2), 80, .reaches("one")),
                    Scenery.probe(variant, plan.second.host(2), 81, .refused),
                ],
            sabotages: [.programNotAttached, .wrongSocket("one", instead: "all")])
    }
}
