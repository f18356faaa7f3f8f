import Addressing
import Lab

/// Where in the lookup of a socket the program comes: Figure 5a of the paper, and how often it runs.
enum Position {
    static let fixtures: [Fixture] =
        Variant.all.flatMap { variant in
            let host = OneHost(variant: variant)
            return [
                order(host, "order"), orderInOwnTable(host), device(host), answers(host),
                order(OneHost(variant: variant, outside: true), "order-from-outside"),
            ]
        } + Variant.udp.map { connectedLater(OneHost(variant: $0)) }
        + [.tcp, .udp].flatMap { dualStack(OneHost(variant: Variant(transport: $0, family: .ipv4))) }

    private static let because = [
        "paper Figure 5a: the program runs after connected sockets are matched, and ahead of listeners",
        "commit e9ddbb7707ff",
    ]

    /// Established, program, exact, wildcard; and how often the program runs.
    private static func order(
        _ host: OneHost, _ name: String, in namespace: [Step]? = nil, requires: [Feature] = [],
        because more: [String] = []
    ) -> Fixture {
        let (plan, transport) = (host.plan, host.variant.transport)
        let owner = transport == .tcp ? "exact" : "connected"
        let connected = transport == .udp ? [host.open("connected", host.exact, connect: host.client(1))] : []
        // A question on a connection that the program gave away: TCP finds the connection, UDP asks the program.
        let again = transport == .tcp ? 0 : 1
        return host.fixture(
            "position/\(name)",
            "A connected socket is found first and without the program, then what the program selects, then the exact address, then the wildcard; the program runs once for a new flow.",
            because: because + more, requires: requires,
            (namespace ?? host.namespace)
                // From outside, the socket that was opened last is tried first of all; it must not be this one always.
                + (host.outside ? connected : []) + [
                    host.open("exact", host.exact), host.open("wildcard", plan.wildcard), host.openSteered(),
                ] + (host.outside ? [] : connected)
                + [host.connect("flow", 1, to: host.exact, .reaches(owner))] + host.script() + [
                    host.exchange("flow", .reaches(owner)),
                    OneHost.recorded(runs: 0),
                    host.connect("second", 2, to: host.exact, .reaches("steered")),
                    OneHost.recorded(runs: 1, host.seen(2, host.exact)),
                    host.exchange("second", .reaches("steered")),
                    OneHost.recorded(runs: again),
                    host.connect("third", 3, to: host.other, .reaches("steered")),
                    OneHost.recorded(runs: 1, host.seen(3, host.other)),
                    // Nobody has this port: the program is asked all the same, and the packet refused as ever.
                    host.connect("nobody", 4, to: host.exact, port: 81, .refused),
                    OneHost.recorded(runs: 1, host.seen(4, host.exact, port: 81)),
                    OneHost.change([.verdict(.drop)]),
                    host.exchange("flow", .reaches(owner)),
                    OneHost.recorded(runs: 0),
                    host.connect("dropped", 5, to: host.exact, .refused),
                    OneHost.recorded(runs: 1, host.seen(5, host.exact)),
                    OneHost.change([.verdict(.pass)]),
                    host.connect("passed", 6, to: host.exact, .reaches("exact")),
                    host.connect("elsewhere", 7, to: host.other, .reaches("wildcard")),
                    OneHost.recorded(runs: 2, host.seen(7, host.other)),
                ] + OneHost.detach + [
                    host.connect("eighth", 8, to: host.exact, .reaches("exact")),
                    Step(.close("exact")),
                    host.connect("ninth", 9, to: host.exact, .reaches("wildcard")),
                    Step(.close("wildcard")),
                    host.connect("tenth", 10, to: host.exact, .refused),
                    OneHost.recorded(runs: 0),
                    host.exchange("flow", .reaches(owner)),
                ],
            sabotages: [.scriptSelectsNothing, .registered("wildcard")])
    }

    private static func orderInOwnTable(_ host: OneHost) -> Fixture {
        let isTCP = host.variant.transport == .tcp
        let size = isTCP ? "net.ipv4.tcp_child_ehash_entries" : "net.ipv4.udp_child_hash_entries"
        let file = isTCP ? "tcp_ehash_entries" : "udp_hash_entries"
        return order(
            host, "order-in-own-table",
            in: [
                Step(.namespace("parent")),
                Step(.sysctl(SystemControl(namespace: "parent", key: size, value: "128"))),
                Step(.childNamespace(ChildNamespace("server", from: "parent")), label: "child"),
                // A namespace that shares the first one's table shows a negative number.
                Step(
                    .exec(Command(in: "server", "cat /proc/sys/net/ipv4/\(file)")),
                    expect: [Expectation(.exits(0, output: "128"))]),
                host.prefix,
            ], requires: [isTCP ? .ownTCPTable : .ownUDPTable],
            because: [isTCP ? "commit d1e5e6408b30" : "commit 9804985bf27f"])
    }

    private static func connectedLater(_ host: OneHost) -> Fixture {
        func call(_ call: SocketCall.Call, _ socket: String, _ endpoint: Endpoint? = nil) -> Step {
            Step(.call(SocketCall(call, on: socket, endpoint: endpoint)), label: "\(call.rawValue)-\(socket)")
        }
        return host.fixture(
            "position/connected-after-the-program",
            "A UDP socket that is connected while a program is attached takes its peer's datagrams from the program at once, and gives them back when it is disconnected, connected elsewhere or closed.",
            because: because + ["commit 78c91ae2c6de", "commit 51a00be6a099"],
            host.namespace + [
                Step(.addAddress(AddressAssignment(namespace: "server", address: "\(host.plan.internal)"))),
                host.openSteered(), host.open("exact", host.exact),
            ] + host.script() + [
                host.connect("one", 1, to: host.exact, .reaches("steered")),
                host.connect("two", 2, to: host.exact, .reaches("steered")),
                call(.connect, "exact", host.client(1)),
                OneHost.recorded(runs: 2),
                host.exchange("one", .reaches("exact")),
                OneHost.recorded(runs: 0),
                host.exchange("two", .reaches("steered")),
                // The peer's port, of another address.
                Step(
                    .probe(
                        Probe(
                            from: "server", .udp, to: Endpoint(host.exact, OneHost.port),
                            source: Endpoint(host.plan.internal.address, host.client(1).port))),
                    expect: [Expectation(.reaches("steered"))]),
                OneHost.recorded(runs: 3),
                host.open("other", host.exact, connect: host.client(2)),
                host.exchange("two", .reaches("other")),
                Step(.call(SocketCall(.connect, on: "exact", endpoint: host.client(3)))),
                OneHost.recorded(runs: 0),
                host.exchange("one", .reaches("steered")),
                host.connect("three", 3, to: host.exact, .reaches("exact")),
                OneHost.recorded(runs: 1, host.seen(1, host.exact)),
                call(.disconnect, "exact"),
                host.exchange("three", .reaches("steered")),
                Step(.close("other")),
                host.exchange("two", .reaches("steered")),
                OneHost.recorded(runs: 2, host.seen(2, host.exact)),
                Step(.detach("link")),
                host.exchange("two", .reaches("exact")),
            ],
            sabotages: [
                .scriptSelectsNothing, Sabotage("not-connected", omit: ["connect-exact"]),
                Sabotage("not-disconnected", omit: ["disconnect-exact"]),
            ])
    }

    /// What the program is asked about when the client, too, is in its reach.
    private static func answers(_ host: OneHost) -> Fixture {
        let address = host.exact
        let unheard = OneHost.facts(.recorded("client's"), ["runs": "0"])
        var steps = [
            host.connect("first", 1, to: address, .reaches("steered")),
            OneHost.recorded(runs: 1, host.seen(1, address)), unheard,
            host.exchange("first", .reaches("steered")),
            OneHost.recorded(runs: host.variant.transport == .tcp ? 0 : 1), unheard,
        ]
        if host.variant.transport == .udp {
            steps += [
                // A client that is not connected can be found only after the program: it is asked about the answer.
                Step(
                    .probe(Probe(from: "server", .udp, to: Endpoint(address, OneHost.port), source: host.client(2))),
                    expect: [Expectation(.reaches("steered"))]),
                OneHost.recorded(
                    runs: 2, ["remote": "\(Endpoint(address, OneHost.port))", "local": "\(host.client(2))"]),
            ]
        }
        return host.fixture(
            "position/answers-to-clients",
            "A connected client gets its answers although a program would drop all that comes to its port; the program is asked about answers only where a UDP client is not connected.",
            because: because,
            host.namespace + [host.openSteered()] + host.script() + [
                Step(
                    .load(
                        ProgramLoad("client's", object: "script", script: [.onlyLocalPort(40001), .verdict(.drop)]))),
                Step(.attach(Attachment("client's", program: "client's", to: "server"))),
            ] + steps,
            sabotages: [
                .programNotAttached,
                Sabotage(
                    "another-program",
                    replace: [
                        "attach": [
                            OneHost.change([.verdict(.drop)]), OneHost.attach,
                        ]
                    ]),
            ])
    }

    private static func device(_ host: OneHost) -> Fixture {
        host.fixture(
            "position/wins-over-a-device",
            "The program comes before a listener that is bound to the exact address and to the packet's device, and may select one that is.",
            because: because + ["socket(7): SO_BINDTODEVICE"],
            host.namespace + [
                host.open("on-device", host.exact) { $0.device = "lo" }, host.open("wildcard", host.plan.wildcard),
                host.openSteered(), host.openSteered("steered-on-device") { $0.device = "lo" },
                host.connect("first", 1, to: host.exact, .reaches("on-device")),
            ] + host.script() + [
                host.connect("second", 2, to: host.exact, .reaches("steered")),
                Step(.register(Registration("program", label: "steered", socket: "steered-on-device"))),
                host.connect("third", 3, to: host.exact, .reaches("steered-on-device")),
                Step(.detach("link")),
                host.connect("fourth", 4, to: host.exact, .reaches("on-device")),
                Step(.close("on-device")),
                host.connect("fifth", 5, to: host.exact, .reaches("wildcard")),
            ],
            sabotages: [.scriptSelectsNothing, .registered("steered-on-device")])
    }

    /// IPv4 packets, IPv6 sockets.
    private static func dualStack(_ host: OneHost) -> [Fixture] {
        // ::ffff:192.0.2.1
        let mapped = IPAddress.v6(0xFFFF << 32 | host.exact.bits)
        let transport = host.variant.transport
        let owner = transport == .tcp ? "mapped" : "connected"
        func open(_ name: String, _ address: IPAddress, connect: Endpoint? = nil) -> Step {
            host.open(name, address, connect: connect, options: [.dualStack])
        }
        let connected = Endpoint(.v6(0xFFFF << 32 | host.client(1).address.bits), host.client(1).port)
        func fixture(_ steered: Step, _ kind: String) -> Fixture {
            host.fixture(
                "position/order-for-ipv4-on-ipv6-sockets", variant: "\(transport.rawValue)-\(kind)",
                "For an IPv4 packet the program comes before IPv6 sockets, bound to the v4-mapped address or a dual-stack wildcard, and after connected ones.",
                because: because + ["RFC 3493 §3.7"], requires: [.ipv6],
                host.namespace + [open("mapped", mapped), open("wildcard", .wildcard(.ipv6)), steered]
                    + (transport == .udp ? [open("connected", mapped, connect: connected)] : [])
                    + [
                        host.connect("flow", 1, to: host.exact, .reaches(owner)),
                        host.connect("second", 2, to: host.other, .reaches("wildcard")),
                    ] + host.script() + [
                        host.exchange("flow", .reaches(owner)),
                        OneHost.recorded(runs: 0),
                        host.connect("third", 3, to: host.exact, .reaches("steered")),
                        OneHost.recorded(runs: 1, host.seen(3, host.exact)),
                        host.connect("fourth", 4, to: host.other, .reaches("steered")),
                        OneHost.recorded(runs: 1, host.seen(4, host.other)),
                        OneHost.change([.verdict(.drop)]),
                        host.exchange("flow", .reaches(owner)),
                        host.connect("fifth", 5, to: host.exact, .refused),
                        host.connect("sixth", 6, to: host.other, .refused),
                        OneHost.recorded(runs: 2, host.seen(6, host.other)),
                        Step(.detach("link")),
                        host.connect("seventh", 7, to: host.exact, .reaches("mapped")),
                        host.connect("eighth", 8, to: host.other, .reaches("wildcard")),
                        host.exchange("flow", .reaches(owner)),
                    ],
                sabotages: [.scriptSelectsNothing])
        }
        let loopback = IPAddress.v6(0xFFFF << 32 | host.plan.loopback.bits)
        let fixtures = [
            fixture(host.openSteered(), "to-ipv4"),
            fixture(open("steered", loopback), "to-mapped"),
        ]
        // A socket that answers from a port that was not asked: a connected UDP client takes no such answer.
        let elsewhere = host.open("steered", .wildcard(.ipv6), 8001, options: [.dualStack])
        return transport == .tcp ? fixtures + [fixture(elsewhere, "to-dual-stack")] : fixtures
    }
}
