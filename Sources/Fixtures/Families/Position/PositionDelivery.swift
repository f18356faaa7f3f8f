import Addressing
import Lab

/// What reaches a socket by other ways than an ordinary packet to one host: broadcast, multicast, ICMP errors, and a
/// question through sock_diag.
enum PositionDelivery {
    static let fixtures: [Fixture] =
        [broadcast(.loopback), broadcast(.subnet), broadcast(.outside)]
        + Variant.udp.flatMap { [multicast(OneHost(variant: $0)), errorsForUnconnected(OneHost(variant: $0))] }
        + Variant.all.flatMap { [errors(OneHost(variant: $0)), socketDiag(OneHost(variant: $0))] }

    private static let port: UInt16 = 5353

    private static func received(_ socket: String, _ flood: String, _ count: Int) -> Step {
        Step(.drain(socket), expect: [Expectation(.received([flood: .exactly(count)]))])
    }

    private static let steer: [ScriptOperation] = [.onlyLocalPort(port), .select("steered")]

    private enum Broadcast: String {
        case loopback = "loopback"
        case subnet = "local-subnet"
        case outside = "directed-from-outside"
    }

    private static func broadcast(_ kind: Broadcast) -> Fixture {
        let host = OneHost(variant: Variant(transport: .udp, family: .ipv4))
        let plan = host.plan
        let client = kind == .outside ? "client" : "server"
        let network: [Step]
        let address: IPAddress
        switch kind {
        case .loopback:
            network = host.namespace
            address = literal("127.255.255.255/32").address
        case .subnet:
            network =
                host.namespace
                + [Step(.addAddress(AddressAssignment(namespace: "server", address: "198.18.5.1/24")))]
            address = literal("198.18.5.255/32").address
        case .outside:
            network = Scenery.network(plan, local: [plan.service])
            address = literal("198.51.100.255/32").address
        }
        func flood(_ name: String, _ address: IPAddress, label: String? = nil) -> Step {
            Step(
                .flood(Flood(name, from: client, to: Endpoint(address, port), datagrams: 3, bytes: 64)), label: label)
        }
        // From outside a fence is needed: a datagram is on its way when the flood's step ends.
        func settle(_ outcome: Outcome) -> Step {
            Step(
                .probe(Probe(from: client, .udp, to: Endpoint(plan.service.host(9), 9))),
                expect: [Expectation(outcome)])
        }
        return host.fixture(
            "position/broadcast", variant: kind.rawValue,
            "A datagram to a broadcast address is copied to every socket that is bound to it or to the wildcard, and no program is asked, whether it would drop or redirect it.",
            because: [
                "RFC 1122 §4.1.3.5, §3.3.6",
                "the lookup of one socket, where the program is asked (commit e9ddbb7707ff), is for one receiver",
            ],
            requires: kind == .outside ? [.devicePair] : [],
            network + [
                host.open("wildcard", plan.wildcard, port), host.open("on-address", address, port),
                host.open("steered", plan.loopback, 8001), host.open("fence", plan.service.host(9), 9),
            ] + host.script(steer) + [
                flood("first", address, label: "first"), settle(.reaches("fence")),
                received("wildcard", "first", 3), received("on-address", "first", 3),
                Step(.drain("steered"), expect: [Expectation(.received([:]))]),
                OneHost.change([.onlyLocalPort(port), .verdict(.drop)]),
                flood("second", address), settle(.reaches("fence")),
                received("wildcard", "second", 3), received("on-address", "second", 3),
                // The same sockets, when it is for one host.
                flood("third", host.exact), settle(.reaches("fence")),
                Step(.drain("wildcard"), expect: [Expectation(.received([:]))]),
                OneHost.change(steer),
                flood("fourth", host.exact), settle(.reaches("fence")),
                received("steered", "fourth", 3),
                Step(.drain("wildcard"), expect: [Expectation(.received([:]))]),
                Step(.drain("on-address"), expect: [Expectation(.received([:]))]),
            ],
            sabotages: [
                .programNotAttached,
                Sabotage("not-to-broadcast", replace: ["first": [flood("first", host.exact)]]),
            ])
    }

    private static func multicast(_ host: OneHost) -> Fixture {
        let plan = host.plan
        let isIPv4 = host.variant.family == .ipv4
        let group = literal(isIPv4 ? "239.192.0.53/32" : "ff05::53/128").address
        // The kernel delivers what it sends to a group by loopback only if that is IPv4's, or routed as its own.
        let route =
            isIPv4
            ? Step(
                .exec(Command(in: "server", "ip route add 239.0.0.0/8 dev lo")),
                expect: [Expectation(.exits(0, output: nil))])
            : Step(.localPrefix(LocalPrefix(namespace: "server", prefix: literal("ff05::/16"))))
        func flood(_ name: String, _ address: IPAddress, label: String? = nil) -> Step {
            Step(
                .flood(Flood(name, from: "server", to: Endpoint(address, port), datagrams: 3, bytes: 64)), label: label)
        }
        return host.fixture(
            "position/multicast",
            "A datagram to a multicast group is copied to every member that is bound to the group or to the wildcard, and no program is asked, whether it would drop or redirect it.",
            because: [
                isIPv4 ? "RFC 1112 §7.2" : "RFC 4291 §2.7",
                "the lookup of one socket, where the program is asked (commit e9ddbb7707ff), is for one receiver",
            ],
            host.namespace + [
                route,
                host.open("member", plan.wildcard, port) { $0.join = group },
                host.open("on-group", group, port) { $0.join = group },
                host.open("steered", plan.loopback, 8001),
            ] + host.script(steer) + [
                flood("first", group, label: "first"),
                received("member", "first", 3), received("on-group", "first", 3),
                Step(.drain("steered"), expect: [Expectation(.received([:]))]),
                OneHost.recorded(runs: 0),
                OneHost.change([.verdict(.drop)]),
                flood("second", group),
                received("member", "second", 3), received("on-group", "second", 3),
                OneHost.recorded(runs: 0),
                OneHost.change(steer),
                flood("third", host.exact),
                received("steered", "third", 3),
                Step(.drain("member"), expect: [Expectation(.received([:]))]),
                OneHost.recorded(runs: 3),
            ],
            sabotages: [
                .programNotAttached,
                Sabotage("not-to-the-group", replace: ["first": [flood("first", host.exact)]]),
            ])
    }

    private static func notice(_ error: IcmpError, _ facts: [String: String]) -> Step {
        OneHost.facts(.icmpError(error), facts)
    }

    /// Errors about packets of connected sockets.
    private static func errors(_ host: OneHost) -> Fixture {
        let isTCP = host.variant.transport == .tcp
        func both(_ flow: String) -> [Step] {
            var steps = [
                notice(
                    IcmpError(.portUnreachable, in: "server", about: flow, .client),
                    ["noticed-by": "\(flow) (client's end)", "error": "ECONNREFUSED"])
            ]
            if isTCP {
                steps.append(
                    notice(
                        IcmpError(.portUnreachable, in: "server", about: flow, .server),
                        ["noticed-by": "\(flow) (server's end)", "error": "ECONNREFUSED"]))
                steps.append(
                    notice(
                        IcmpError(.tooBig, in: "server", about: flow, .server, mtu: 1400), ["path-mtu": "1400"]))
            }
            return steps
        }
        let connected =
            isTCP
            ? []
            : [
                notice(
                    IcmpError(.portUnreachable, in: "server", about: "connected"),
                    ["noticed-by": "connected", "error": "ECONNREFUSED"])
            ]
        return host.fixture(
            "position/icmp-error-for-a-connected-socket",
            "An ICMP error about a packet of a connected socket reaches that socket, and no program is asked, whether it would drop or redirect it.",
            because: ["RFC 1122 §4.2.3.9, §4.1.3.3", "commit e9ddbb7707ff"],
            host.namespace + [host.open("exact", host.exact), host.openSteered()]
                + (isTCP ? [] : [host.open("connected", host.exact, connect: host.client(1))])
                + [host.connect("ordinary", 1, to: host.exact, .reaches(isTCP ? "exact" : "connected"))]
                + host.script() + [
                    host.connect("given", 2, to: host.exact, .reaches("steered")),
                    OneHost.recorded(runs: 1),
                ] + both("ordinary") + both("given") + connected + [
                    OneHost.change([.select("steered")])
                ] + both("ordinary") + connected + [OneHost.change([.verdict(.drop)])] + both("ordinary")
                + both("given") + connected + [
                    OneHost.recorded(runs: 0),
                    host.exchange("ordinary", .reaches(isTCP ? "exact" : "connected")),
                    host.connect("dropped", 3, to: host.exact, .refused),
                ],
            sabotages: [.programNotAttached])
    }

    /// Errors about datagrams of sockets that are not connected.
    private static func errorsForUnconnected(_ host: OneHost) -> Fixture {
        func error(_ name: String) -> Step {
            notice(
                IcmpError(.portUnreachable, in: "server", about: "exact", to: host.client(7)),
                name == "nobody" ? ["noticed-by": name] : ["noticed-by": name, "error": "ECONNREFUSED"])
        }
        return host.fixture(
            "position/icmp-error-for-an-unconnected-socket",
            "An ICMP error about a datagram of a socket that is not connected is looked up as a datagram to it would be: the program may drop it, or give it to another socket.",
            because: [
                "commit e9ddbb7707ff: the lookup for a datagram's receiver serves its ICMP errors as well",
                "so measured on every kernel",
            ],
            host.namespace + [host.open("exact", host.exact), host.openSteered(), error("exact")] + host.script() + [
                error("steered"),
                OneHost.recorded(runs: 1, host.seen(7, host.exact)),
                OneHost.change([.verdict(.drop)]),
                error("nobody"),
                OneHost.recorded(runs: 1, host.seen(7, host.exact)),
                OneHost.change([.verdict(.pass)]),
                error("exact"),
                OneHost.recorded(runs: 1, host.seen(7, host.exact)),
            ],
            sabotages: [.programNotAttached, .scriptSelectsNothing])
    }

    private static func socketDiag(_ host: OneHost) -> Fixture {
        let isTCP = host.variant.transport == .tcp
        let owner = isTCP ? "flow (server's end)" : "connected"
        func query(_ number: UInt16, _ address: IPAddress) -> Action {
            .socketDiag(
                SocketQuery(
                    in: "server", host.variant.transport, local: Endpoint(address, OneHost.port),
                    remote: host.client(number)))
        }
        func finds(_ number: UInt16, _ address: IPAddress, _ name: String) -> Step {
            OneHost.facts(query(number, address), ["socket": name])
        }
        return host.fixture(
            "position/sock-diag",
            "Asked through sock_diag for a pair of endpoints, the kernel finds the socket that a packet would: a connected one without the program, then the program's choice, and none where that drops.",
            because: ["sock_diag(7)", "commit e9ddbb7707ff: one lookup serves packets and questions"],
            requires: [.socketDiag],
            host.namespace + [
                host.open("exact", host.exact), host.open("wildcard", host.plan.wildcard), host.openSteered(),
            ] + (isTCP ? [] : [host.open("connected", host.exact, connect: host.client(1))]) + [
                host.connect("flow", 1, to: host.exact, .reaches(isTCP ? "exact" : "connected")),
                finds(7, host.exact, "exact"), finds(7, host.other, "wildcard"),
            ] + host.script() + [
                finds(1, host.exact, owner),
                OneHost.recorded(runs: 0),
                finds(7, host.exact, "steered"),
                OneHost.recorded(runs: 1, host.seen(7, host.exact)),
                finds(7, host.other, "steered"),
                OneHost.recorded(runs: 1, host.seen(7, host.other)),
                OneHost.change([.verdict(.drop)]),
                finds(1, host.exact, owner),
                OneHost.fails(query(7, host.exact), .noEntry, "sock_diag"),
                OneHost.recorded(runs: 1, host.seen(7, host.exact)),
                Step(.detach("link")),
                finds(7, host.exact, "exact"),
            ],
            sabotages: [.scriptSelectsNothing, .registered("wildcard")])
    }
}
