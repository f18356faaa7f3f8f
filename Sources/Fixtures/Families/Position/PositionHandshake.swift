import Addressing
import Lab

/// Connections that a listener gets without being bound to their address: cookies, data in the SYN, a pair in
/// TIME_WAIT, a full queue, and what the accepted socket is.
enum PositionHandshake {
    static let fixtures: [Fixture] = Variant.all.filter { $0.transport == .tcp }.flatMap { variant in
        let host = OneHost(variant: variant)
        return [
            synCookies(host), timeWait(host), fastOpen(host), fullQueue(host), names(host), bindBucket(host),
            strayed(host),
        ]
    }

    private static let because = ["paper §3.3: the listener is chosen for each SYN", "commit e9ddbb7707ff"]

    private static func control(_ key: String, _ value: String, label: String? = nil) -> Step {
        Step(.sysctl(SystemControl(namespace: "server", key: key, value: value)), label: label)
    }

    /// The listener that the program selects: on an address and a port that nobody asks for.
    private static func openSteered(
        _ host: OneHost, _ name: String = "steered", port: UInt16 = 8001,
        change: (inout SocketDescription) -> Void = { _ in }
    ) -> Step { host.open(name, host.plan.loopback, port, change: change) }

    private static func synCookies(_ host: OneHost) -> Fixture {
        let cookies = "net.ipv4.tcp_syncookies"
        return host.fixture(
            "position/syn-cookies",
            "With SYN cookies a steered listener completes the handshake; the program is asked about the SYN and about the ACK that brings the cookie back, and without cookies about the SYN alone.",
            because: because + ["RFC 4987 §3.6"], requires: [.synCookies],
            host.namespace + [
                host.open("exact", host.exact), openSteered(host),
                control(cookies, "2", label: "cookies"),
            ] + host.script() + [
                host.connect("flow", 1, to: host.exact, .reaches("steered")),
                OneHost.recorded(runs: 2, host.seen(1, host.exact)),
                OneHost.facts(
                    .endpoints("flow"),
                    ["server-local": "\(Endpoint(host.exact, OneHost.port))", "server-peer": "\(host.client(1))"]),
                host.exchange("flow", .reaches("steered")),
                host.connect("other", 2, to: host.other, .reaches("steered")),
                OneHost.recorded(runs: 2, host.seen(2, host.other)),
                OneHost.change([.verdict(.drop)]),
                host.connect("dropped", 3, to: host.exact, .refused),
                OneHost.recorded(runs: 1, host.seen(3, host.exact)),
                host.exchange("flow", .reaches("steered")),
                OneHost.recorded(runs: 0),
                control(cookies, "0"),
                OneHost.change(OneHost.steer),
                host.connect("last", 4, to: host.exact, .reaches("steered")),
                OneHost.recorded(runs: 1, host.seen(4, host.exact)),
            ],
            sabotages: [.programNotAttached, Sabotage("no-cookies", omit: ["cookies"])])
    }

    private static func timeWait(_ host: OneHost) -> Fixture {
        // The server's end closes first, so that TIME_WAIT is on its side, and the client's socket goes at once.
        func end(_ name: String) -> [Step] {
            [Step(.call(SocketCall(.close, on: name, .server))), Step(.close(name)), waiting]
        }
        let file = host.variant.family == .ipv4 ? "tcp" : "tcp6"
        // One socket in state 6, TIME_WAIT.
        let waiting = Step(
            .exec(Command(in: "server", "grep -c '^ *[0-9]*: .* 06 ' /proc/net/\(file)")),
            expect: [Expectation(.exits(0, output: "1"))])
        return host.fixture(
            "position/time-wait",
            "A new SYN of a pair in TIME_WAIT goes to the listener that the program selects now, and without a program to the one at the address.",
            because: because + ["RFC 6191 §2, RFC 9293 §3.10.7.4"],
            host.namespace + [
                host.open("exact", host.exact), openSteered(host), openSteered(host, "second", port: 8002),
            ] + host.script() + [
                host.connect("first", 1, to: host.exact, .reaches("steered"))
            ] + end("first") + [
                OneHost.recorded(runs: 1),
                Step(.register(Registration("program", label: "steered", socket: "second")), label: "move"),
                host.connect("again", 1, to: host.exact, .reaches("second")),
                OneHost.recorded(runs: 1, host.seen(1, host.exact)),
                host.exchange("again", .reaches("second")),
            ] + end("again") + [
                Step(.detach("link"), label: "detach"),
                host.connect("ordinary", 1, to: host.exact, .reaches("exact")),
            ],
            sabotages: [
                .scriptSelectsNothing, Sabotage("not-moved", omit: ["move"]),
                Sabotage("not-detached", omit: ["detach"]),
            ])
    }

    private static func strayed(_ host: OneHost) -> Fixture {
        func reset(_ name: String) -> Step {
            Step(.exchange(name), expect: [Expectation(.fails(error, call: "recv"))])
        }
        let error = ErrorNumber.connectionReset
        return host.fixture(
            "position/segment-of-no-connection",
            "A segment of a connection that is gone is looked up as a SYN is, and answered with a reset, whatever listener the program selects; that goes on as before.",
            because: because + ["RFC 9293 §3.10.7.2"],
            host.namespace + [openSteered(host), host.open("exact", host.exact)] + host.script()
                + [1, 2, 3].map { host.connect("flow-\($0)", $0, to: host.exact, .reaches("steered")) } + [
                    OneHost.recorded(runs: 3),
                    Step(.call(SocketCall(.vanish, on: "flow-1", .server)), label: "vanish"),
                    reset("flow-1"),
                    OneHost.recorded(runs: 1, host.seen(1, host.exact)),
                    OneHost.change([.verdict(.drop)]),
                    Step(.call(SocketCall(.vanish, on: "flow-2", .server))),
                    reset("flow-2"),
                    OneHost.recorded(runs: 1, host.seen(2, host.exact)),
                    host.exchange("flow-3", .reaches("steered")),
                    OneHost.change(OneHost.steer),
                    host.connect("flow-4", 4, to: host.exact, .reaches("steered")),
                ],
            sabotages: [.programNotAttached, Sabotage("connection-stays", omit: ["vanish"])])
    }

    private static func fastOpen(_ host: OneHost) -> Fixture {
        func opened(_ name: String, _ isInSYN: Bool) -> Step {
            OneHost.facts(.endpoints(name), ["data-in-syn": isInSYN ? "yes" : "no"])
        }
        return host.fixture(
            "position/fast-open",
            "Data in the SYN is delivered by the listener that the program selects, if that allows it, whatever the listener at the address allows.",
            because: because + ["RFC 7413"],
            host.namespace + [
                // Client and server, both without a cookie.
                control("net.ipv4.tcp_fastopen", "519"),
                host.open("exact", host.exact) { $0.fastOpen = 16 }, openSteered(host) { $0.fastOpen = 16 },
                openSteered(host, "without", port: 8002),
                host.connect("ordinary", 1, to: host.exact, .reaches("exact"), fastOpen: true),
                opened("ordinary", true),
            ] + host.script() + [
                host.connect("given", 2, to: host.exact, .reaches("steered"), fastOpen: true),
                OneHost.recorded(runs: 1, host.seen(2, host.exact)),
                opened("given", true),
                OneHost.facts(
                    .endpoints("given"),
                    ["server-local": "\(Endpoint(host.exact, OneHost.port))", "listener": "steered"]),
                host.exchange("given", .reaches("steered")),
                Step(.register(Registration("program", label: "steered", socket: "without"))),
                host.connect("not-allowed", 3, to: host.exact, .reaches("without"), fastOpen: true),
                opened("not-allowed", false),
                OneHost.change([.verdict(.drop)]),
                host.connect("dropped", 4, to: host.exact, .refused, fastOpen: true),
            ],
            sabotages: [.programNotAttached, .registered("without")])
    }

    private static func fullQueue(_ host: OneHost) -> Fixture {
        let fence = Endpoint(host.exact, 81)
        func silent() -> Step { host.probe(host.exact, .silent, fence: fence) }
        return host.fixture(
            "position/full-queue",
            "While the queue of a steered listener is full, a SYN is dropped and goes to no other listener; those in the queue are served once it accepts, and new ones too.",
            because: because + ["listen(2): backlog"],
            host.namespace + [
                host.open("exact", host.exact), host.open("wildcard", host.plan.wildcard),
                host.open("fence", host.exact, 81),
                // Room for one.
                openSteered(host) { $0.backlog = 0 },
                Step(.call(SocketCall(.pause, on: "steered")), label: "pause"),
            ] + host.script() + [
                host.connect("queued", 1, to: host.exact, .succeeds, question: false),
                silent(), silent(),
                Step(.call(SocketCall(.resume, on: "steered"))),
                host.exchange("queued", .reaches("steered")),
                host.connect("next", 2, to: host.exact, .reaches("steered")),
            ],
            sabotages: [.programNotAttached, Sabotage("not-full", omit: ["pause"])])
    }

    private static func names(_ host: OneHost) -> Fixture {
        func both(_ name: String, _ number: UInt16, _ address: IPAddress, _ port: UInt16, _ listener: String) -> Step {
            let server = "\(Endpoint(address, port))"
            let client = "\(host.client(number))"
            return OneHost.facts(
                .endpoints(name),
                [
                    "client-local": client, "client-peer": server, "server-local": server, "server-peer": client,
                    "listener": listener,
                ])
        }
        return host.fixture(
            "position/names-of-an-accepted-socket",
            "An accepted socket's own name is the address and port that its client asked, not its listener's, and its peer is the client.",
            because: because + ["accept(2), getsockname(2)"],
            host.namespace + [openSteered(host)] + host.script([.select("steered")]) + [
                host.connect("one", 1, to: host.exact, port: 80, .reaches("steered")),
                both("one", 1, host.exact, 80, "steered"),
                host.connect("two", 2, to: host.plan.service.host(200), port: 65535, .reaches("steered")),
                both("two", 2, host.plan.service.host(200), 65535, "steered"),
                host.connect("own", 3, to: host.plan.loopback, port: 8001, .reaches("steered")),
                both("own", 3, host.plan.loopback, 8001, "steered"),
            ],
            sabotages: [.programNotAttached, Sabotage("not-selected", omit: ["register"])])
    }

    /// Where the accepted socket stands in the table of bound ports.
    private static func bindBucket(_ host: OneHost) -> Fixture {
        func bind(_ name: String, _ address: IPAddress, _ port: UInt16, _ options: [SocketOption]) -> Action {
            .socket(
                SocketDescription(
                    name, in: "server", .tcp, bind: Endpoint(address, port), options: [.freeBind] + options))
        }
        return host.fixture(
            "position/port-of-an-accepted-socket",
            "A connection to a steered listener holds the port that was asked and not its listener's: that can be bound again at once, and the other only when the connection is gone.",
            because: because + ["commit 093d282321da", "bind(2): EADDRINUSE"],
            host.namespace + [
                Step(
                    .socket(
                        SocketDescription("steered", in: "server", .tcp, bind: Endpoint(host.plan.loopback, 8001))))
            ] + host.script() + [
                host.connect("flow", 1, to: host.exact, .reaches("steered"), label: "connect"),
                Step(.close("steered")),
                // A listener's own connection would hold its port (without SO_REUSEADDR on both).
                Step(bind("again", host.plan.loopback, 8001, []), expect: [Expectation(.succeeds)]),
                OneHost.fails(bind("asked", host.exact, OneHost.port, []), .addressInUse, "bind"),
                OneHost.fails(bind("asked", host.plan.wildcard, OneHost.port, []), .addressInUse, "bind"),
                Step(bind("elsewhere", host.other, OneHost.port, [])),
                host.exchange("flow", .reaches("steered")),
                // Reset, so that nothing stays in TIME_WAIT.
                Step(.call(SocketCall(.disconnect, on: "flow", .client)), label: "reset"),
                Step(.close("flow"), label: "close"),
                Step(bind("asked", host.exact, OneHost.port, []), expect: [Expectation(.succeeds)]),
            ],
            sabotages: [
                .programNotAttached,
                Sabotage(
                    "connection-to-the-listener",
                    replace: [
                        "connect": [
                            host.connect("flow", 1, to: host.plan.loopback, port: 8001, .reaches("steered"))
                        ]
                    ]),
            ])
    }
}
