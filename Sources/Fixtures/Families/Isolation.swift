import Addressing
import Lab

/// Whose packets are lost when one address is flooded. UDP only: TCP has protections of its own (paper §3.3, note 3).
enum Isolation {
    static let fixtures: [Fixture] = Variant.udp.flatMap { variant in
        [socketPerAddress(variant), oneWildcard(variant), socketPerPrefix(variant)]
    }

    /// SO_RCVBUF; the kernel doubles it. A datagram of 256 bytes takes 768 of that on the kernels seen, and at most
    /// 2304 where it gets a buffer of its own: so 14 fit in any case, and far from 2000.
    private static let receiveBuffer = 16384
    private static let flooded = 2000
    private static let sent = 10
    private static let port: UInt16 = 53

    private static func flood(_ name: String, _ address: IPAddress, _ datagrams: Int) -> Step {
        Step(
            .flood(Flood(name, from: "client", to: Endpoint(address, port), datagrams: datagrams)), label: name)
    }

    /// A socket of its own that answers behind the floods: once it has, every earlier datagram was queued or dropped.
    private static func fence(_ variant: Variant, _ plan: AddressPlan) -> [Step] {
        [Scenery.probe(variant, plan.serverAddress, 9, .reaches("fence"))]
    }

    private static func fenceSocket(_ plan: AddressPlan) -> Step {
        Step(.socket(SocketDescription("fence", in: "server", .udp, bind: Endpoint(plan.serverAddress, 9))))
    }

    private static func drain(_ socket: String, _ counts: [String: Bounds]) -> Step {
        Step(.drain(socket), expect: [Expectation(.received(counts))])
    }

    private static func drops(_ socket: String, _ bounds: Bounds) -> Step {
        Step(.drops(socket), expect: [Expectation(.count(bounds))])
    }

    private static func arrivals(_ socket: String, _ count: Int) -> Step {
        Step(.arrivals(socket), expect: [Expectation(.count(.exactly(count)))])
    }

    /// Most of a flood of 2000 cannot fit; what does is counted by `drain`.
    private static let mostOfTheFlood = Bounds(atLeast: flooded * 3 / 4, atMost: flooded)

    private static func socketPerAddress(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let addresses = plan.service.part(0, bits: 5)
        let (attacked, victims) = (addresses.host(0), (1...7).map { addresses.host($0) })
        return Fixture(
            name: "isolation/socket-per-address", variant: variant.id,
            summary:
                "With a socket on each address, a flood on one leaves the queues and drop counters of the others alone.",
            because: ["paper §3.3, note 2: the naïve approach has an isolation advantage"],
            requires: [.devicePair] + variant.features,
            steps: Scenery.network(plan, local: [addresses])
                + [
                    fenceSocket(plan),
                    Step(
                        .sockets(
                            SocketRange(
                                "site", in: "server", .udp, prefix: addresses, port: port, options: [.freeBind],
                                receiveBuffer: receiveBuffer))),
                    flood("attack", attacked, flooded),
                ]
                + victims.enumerated().map { flood("visitor-\($0)", $1, sent) } + fence(variant, plan)
                + victims.enumerated().flatMap { index, address in
                    [
                        drain("site[\(address)]", ["visitor-\(index)": .exactly(sent)]),
                        drops("site[\(address)]", .exactly(0)),
                    ]
                }
                + [
                    drops("site[\(attacked)]", mostOfTheFlood),
                    drain("site[\(attacked)]", ["attack": Bounds(atLeast: 1, atMost: flooded / 4)]),
                    arrivals("site[\(attacked)]", flooded),
                ],
            sabotages: [
                Sabotage("flood-hits-a-victim", replace: ["attack": [flood("attack", victims[0], flooded)]])
            ])
    }

    private static func oneWildcard(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let victim = plan.service.host(2)
        return Fixture(
            name: "isolation/one-wildcard-socket-loses-everybody", variant: variant.id,
            summary: "With one wildcard socket, a flood on one address costs every other address its packets.",
            because: ["paper §3.3: one socket has one receive queue"], requires: [.devicePair] + variant.features,
            steps: Scenery.network(plan, local: [plan.service])
                + [
                    fenceSocket(plan),
                    Step(
                        .socket(
                            SocketDescription(
                                "wildcard", in: "server", .udp, bind: Endpoint(plan.wildcard, port),
                                receiveBuffer: receiveBuffer))),
                    flood("attack", plan.service.host(1), flooded), flood("visitor", victim, sent),
                ]
                + fence(variant, plan)
                + [
                    drops("wildcard", Bounds(atLeast: flooded * 3 / 4 + sent, atMost: flooded + sent)),
                    drain("wildcard", ["attack": Bounds(atLeast: 1, atMost: flooded / 4), "visitor": .exactly(0)]),
                    arrivals("wildcard", flooded + sent),
                ],
            sabotages: [Sabotage("no-flood", omit: ["attack"])])
    }

    private static func socketPerPrefix(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let (attacked, quiet) = (plan.service, plan.second)
        return Fixture(
            name: "isolation/socket-per-prefix", variant: variant.id,
            summary:
                "With a socket per prefix, picked by a program, a flood on one prefix leaves the other's queue alone.",
            because: ["paper §3.3, Figure 4c"], requires: [.skLookup, .devicePair] + variant.features,
            steps: Scenery.network(plan, local: [attacked, quiet])
                + [
                    fenceSocket(plan),
                    Scenery.service("attacked", variant, port: 5301, receiveBuffer: receiveBuffer),
                    Scenery.service("quiet", variant, port: 5302, receiveBuffer: receiveBuffer),
                ]
                + Scenery.dispatcher([
                    Scenery.register("attacked", under: "attacked"), Scenery.register("quiet", under: "quiet"),
                    Scenery.bind(variant, attacked, PortRange(port), to: "attacked"),
                    Scenery.bind(variant, quiet, PortRange(port), to: "quiet"),
                ])
                + [
                    flood("attack", attacked.host(1), flooded), flood("visitor", quiet.host(1), sent),
                ] + fence(variant, plan)
                + [
                    drain("quiet", ["visitor": .exactly(sent)]), drops("quiet", .exactly(0)),
                    drops("attacked", mostOfTheFlood),
                    drain("attacked", ["attack": Bounds(atLeast: 1, atMost: flooded / 4)]),
                    arrivals("attacked", flooded),
                ],
            sabotages: [.programNotAttached, .wrongSocket("quiet", instead: "attacked")])
    }
}
