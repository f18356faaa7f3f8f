import Addressing
import Lab
import PolicyDNS

/// How queries come to a name server whose sockets are not bound to what is asked, and how answers come back.
enum NameDelivery {
    static let fixtures: [Fixture] =
        AddressFamily.allCases.flatMap { family in
            [
                spansAPrefix(NameScene(family: family)), spansAPrefix(NameScene(family: family, outside: true)),
                bothTransports(family), truncated(family),
            ]
        }

    private static let names = HostNames(8, below: "example.com")

    private static func spansAPrefix(_ scene: NameScene) -> Fixture {
        // 4,096 addresses either way: all of a /20, and of a /64 as many, scattered over it.
        let span = scene.family == .ipv4 ? scene.plan.large : literal("2001:db8:64:1::/64")
        let configuration = Configuration.answering(from: scene.pool)
        return scene.fixture(
            "spans-a-prefix", variant: scene.family.rawValue + (scene.outside ? "-outside" : ""),
            scene.family == .ipv4
                ? "One UDP socket serves every address of a /20, and each answer comes from the address asked."
                : "One UDP socket serves a /64, 4,096 addresses of which are asked, and each answer comes from the address asked.",
            because: [
                "paper §3.3: one socket for a whole prefix", "RFC 2181 §4.1: answers come from the address asked",
                "ip(7), ipv6(7): IP_PKTINFO and IPV6_PKTINFO",
            ],
            scene.network(local: [span]) + scene.sockets(transports: [.udp])
                + [scene.serve(configuration, on: [.init("names-udp")])]
                + Scenery.dispatcher([
                    Step(.register(Registration("dispatcher", label: "names", socket: "names-udp"))),
                    Step(.bind(Binding("dispatcher", .udp, span, ports: PortRange(53), to: "names")), label: "bind"),
                ])
                + [scene.survey(to: span, names, queries: 4096, within: scene.pool, ["asked": "4096 addresses"])],
            sabotages: [
                .serving(
                    "answers-from-the-address-picked",
                    scene.serve(configuration, on: [.init("names-udp")], answersFrom: .picked)),
                Sabotage(
                    "half-of-the-prefix-steered",
                    replace: [
                        "bind": [
                            Step(
                                .bind(
                                    Binding(
                                        "dispatcher", .udp, span.part(0, bits: 1), ports: PortRange(53), to: "names")))
                        ]
                    ]),
            ])
    }

    private static func bothTransports(_ family: AddressFamily) -> Fixture {
        let scene = NameScene(family: family)
        return scene.fixture(
            "both-transports-on-one-prefix",
            "A prefix steered for UDP and for TCP is answered over both, on every address.",
            because: ["RFC 7766 §5: a name server takes queries over both transports", "paper §3.3"],
            scene.network(local: [scene.resolvers]) + scene.sockets() + [scene.serve(.answering(from: scene.pool))]
                + Scenery.dispatcher(NameScene.register() + NameScene.bind(scene.resolvers, to: "names"))
                + [
                    scene.survey(
                        to: scene.resolvers, names, queries: 512, within: scene.pool, ["asked": "256 addresses"]),
                    scene.survey(
                        over: .tcp, to: scene.resolvers, names, queries: 256, within: scene.pool,
                        ["asked": "256 addresses"]),
                ],
            sabotages: [
                Sabotage("tcp-not-bound", omit: ["bind-names-tcp"]),
                Sabotage("udp-not-bound", omit: ["bind-names-udp"]),
            ])
    }

    /// Two servers at neighbouring prefixes, one of which a truncated answer must be fetched from.
    private static func truncated(_ family: AddressFamily) -> Fixture {
        let scene = NameScene(family: family)
        let prefixes = [scene.resolvers.part(0, bits: 1), scene.resolvers.part(1, bits: 1)]
        let servers = ["left", "right"]
        // More name servers than 512 bytes have room for.
        var configuration = Configuration.answering(from: scene.pool)
        configuration.zones = [
            .of(
                "example.com",
                nameservers: (1...13).map { "ns.of-a-provider-with-a-long-name-\($0).example" })
        ]
        func fetch(_ prefix: Prefix, _ server: String) -> [Step] {
            let to = Endpoint(prefix.host(77), 53)
            return [
                scene.query(
                    to: to, "example.com", .soa, payload: 512,
                    ["truncated": "no", "over": "udp", "answers": "1", "server": server]),
                scene.query(
                    to: to, "example.com", .ns, payload: 512,
                    ["truncated": "yes", "over": "udp", "rcode": "NOERROR", "answers": "0"]),
                scene.query(
                    to: to, "example.com", .ns, payload: 512, retry: true,
                    [
                        "truncated": "at first", "over": "tcp", "rcode": "NOERROR", "answers": "13", "server": server,
                        "authoritative": "yes",
                    ]),
            ]
        }
        return scene.fixture(
            "truncated-answers-are-fetched-over-tcp",
            "An answer that is truncated over UDP is had in full over TCP from the same address, and from the same one of two servers.",
            because: ["RFC 7766 §5, RFC 2181 §9", "RFC 5001: a server says which one it is"],
            scene.network(local: [scene.resolvers])
                + zip(servers, prefixes).flatMap { scene.sockets($0, at: $1.address) }
                + servers.map { scene.serve(configuration.identified(as: $0), $0) }
                + Scenery.dispatcher(
                    servers.flatMap { NameScene.register($0) }
                        + zip(servers, prefixes).flatMap { NameScene.bind($1, to: $0) })
                + zip(servers, prefixes).flatMap { fetch($1, $0) },
            sabotages: [
                Sabotage(
                    "tcp-of-the-other-server",
                    replace: [
                        "register-left-tcp": [
                            Step(.register(Registration("dispatcher", label: "left", socket: "right-tcp")))
                        ]
                    ]),
                Sabotage("tcp-not-bound", omit: ["bind-left-tcp"]),
            ])
    }
}
