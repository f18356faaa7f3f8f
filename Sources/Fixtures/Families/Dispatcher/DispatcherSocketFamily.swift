import Addressing
import Lab

/// Sockets under the labels of a pinned dispatcher.
enum DispatcherSocketFamily {
    static let fixtures: [Fixture] =
        PinnedHost.all.flatMap {
            [unsuitable($0), another($0), spread($0), group($0), draining($0), sixteen($0)]
        } + [notOfTCPOrUDP, multipath] + TransportProtocol.allCases.map(dualStack)

    private static func kind(_ host: PinnedHost, _ label: String = "web") -> String {
        "\(label) \(host.variant.transport.rawValue) \(host.variant.family.rawValue)"
    }

    private static func refused(_ name: String, _ because: String, label: String? = nil) -> Step {
        PinnedHost.refused(.register(DispatcherSockets("web", [name])), "unsuitable socket: \(because)", label: label)
    }

    private static func unsuitable(_ host: PinnedHost) -> Fixture {
        let isTCP = host.variant.transport == .tcp
        func socket(_ name: String, in namespace: String = "server", _ change: (inout SocketDescription) -> Void)
            -> Step
        {
            var description = SocketDescription(
                name, in: namespace, host.variant.transport, bind: Endpoint(host.plan.loopback, 0))
            change(&description)
            return Step(.socket(description), label: "open-\(name)")
        }
        let unready =
            isTCP
            ? [
                socket("silent") { $0.listen = false }, socket("unbound") { ($0.bound, $0.listen) = (false, false) },
                refused("silent", "not listening", label: "silent"), refused("unbound", "not listening"),
                Step(
                    .connect(
                        Connection("flow", from: "server", .tcp, to: Endpoint(host.plan.loopback, 8001))),
                    expect: [Expectation(.reaches("web"))]),
                refused("flow", "connected"),
            ]
            : [
                socket("connected") { $0.connect = Endpoint(host.plan.loopback, 9) },
                socket("unbound") { $0.bound = false },
                refused("connected", "connected", label: "silent"), refused("unbound", "unbound"),
            ]
        return host.fixture(
            "unsuitable-sockets",
            "A socket that no new packet could be led to is refused with its reason, and neither the others nor the packets notice.",
            host.scene() + host.open("web")
                + [Step(.namespace("other")), socket("foreign", in: "other") { _ in }]
                + [PinnedHost.bind(host.binding(host.prefix, to: "web"))] + unready + [
                    refused("foreign", "other namespace"),
                    PinnedHost.refused(
                        .register(DispatcherSockets("web", ["web", "foreign"])), "unsuitable socket: other namespace"),
                    PinnedHost.tell(.sockets, ["count": "0"]), host.probe(host.inLow, .refused),
                    PinnedHost.register("web"), host.probe(host.inLow, "web"),
                    refused("unbound", isTCP ? "not listening" : "unbound"),
                    refused("foreign", "other namespace"),
                    PinnedHost.tell(.sockets, ["count": "1", kind(host): "web active 64"]),
                    host.probe(host.inLow, "web"),
                ],
            sabotages: [
                .without("register-web"), .instead(of: "silent", "a-suitable-one", PinnedHost.register("web")),
            ])
    }

    private static let notOfTCPOrUDP: Fixture = {
        let host = PinnedHost.tcpIPv4
        func refused(_ file: DispatcherSockets.File, _ because: String, label: String? = nil) -> Step {
            PinnedHost.refused(
                .register(DispatcherSockets("web", file: file)), "unsuitable socket: \(because)", label: label)
        }
        return host.fixture(
            "not-of-tcp-or-udp", variant: "any",
            "What is no socket, or one of neither TCP nor UDP, is refused with its reason.",
            host.scene() + host.open("web") + [
                PinnedHost.bind(host.binding(host.prefix, to: "web")),
                refused(.none, "not a descriptor", label: "none"), refused(.pipe, "not a socket"),
                refused(.unix, "family"),
                refused(.rawTCP, "type"), refused(.rawICMP, "protocol 1"),
                PinnedHost.tell(.sockets, ["count": "0"]), host.probe(host.inLow, .refused),
                PinnedHost.register("web"), refused(.pipe, "not a socket"), host.probe(host.inLow, "web"),
            ],
            sabotages: [.without("register-web"), .instead(of: "none", "a-suitable-one", PinnedHost.register("web"))])
    }()

    private static let multipath: Fixture = {
        let host = PinnedHost.tcpIPv4
        return host.fixture(
            "multipath-sockets", variant: "tcp-ipv4",
            "A listener of Multipath TCP, as newer runtimes open them, is refused as such.",
            because: ["commit fbade4bd08ba: its subflows are not for sockmaps"], requires: [.mptcp],
            host.scene() + host.open("web") + [
                PinnedHost.register("web"), PinnedHost.bind(host.binding(host.prefix, to: "web")),
                PinnedHost.refused(
                    .register(DispatcherSockets("web", file: .mptcp)), "unsuitable socket: protocol 262"),
                PinnedHost.tell(.sockets, ["count": "1", kind(host): "web active 64"]), host.probe(host.inLow, "web"),
            ],
            sabotages: [.without("register-web")])
    }()

    private static func dualStack(_ transport: TransportProtocol) -> Fixture {
        let (four, six) = (
            PinnedHost(variant: Variant(transport: transport, family: .ipv4)),
            PinnedHost(variant: Variant(transport: transport, family: .ipv6))
        )
        func socket(_ name: String, _ address: IPAddress, port: UInt16, _ options: [SocketOption] = []) -> Step {
            Step(
                .socket(
                    SocketDescription(
                        name, in: "server", transport, bind: Endpoint(address, port), options: options)))
        }
        func probes(_ ipv4: Outcome, _ ipv6: Outcome) -> [Step] {
            [four.probe(four.inLow, ipv4), six.probe(six.inLow, ipv6)]
        }
        return six.fixture(
            "dual-stack-sockets", variant: transport.rawValue,
            "A dual-stack socket serves both families under its label, until a socket of one of them takes that over.",
            four.scene()
                + [six.prefix].map { Step(.localPrefix(LocalPrefix(namespace: "server", prefix: $0))) }
                + [
                    socket("dual", .wildcard(.ipv6), port: 8001, [.dualStack]),
                    socket("four", .loopback(.ipv4), port: 8002),
                    socket("only", .wildcard(.ipv6), port: 8003, [.v6Only]),
                    PinnedHost.bind(four.binding(four.prefix, to: "web"), six.binding(six.prefix, to: "web")),
                ] + probes(.refused, .refused) + [PinnedHost.register("dual", under: "web")]
                + [
                    PinnedHost.tell(
                        .sockets, ["count": "2", kind(four): "dual active 64", kind(six): "dual active 64"])
                ]
                + probes(.reaches("dual"), .reaches("dual"))
                + [PinnedHost.perform(.register(DispatcherSockets("web", ["four"])), label: "four")]
                + probes(.reaches("four"), .reaches("dual"))
                + [PinnedHost.perform(.register(DispatcherSockets("web", ["only"])), label: "only")]
                + probes(.reaches("four"), .reaches("only"))
                + [PinnedHost.perform(.unregister(DispatcherSockets("web", ["four"])), ["sockets": "1"])]
                + probes(.refused, .reaches("only"))
                + [PinnedHost.perform(.register(DispatcherSockets("web", ["dual"])))]
                + probes(.reaches("dual"), .reaches("dual"))
                + [PinnedHost.perform(.unregister(DispatcherSockets("web", ["dual"])), ["sockets": "2"])]
                + probes(.refused, .refused),
            sabotages: [
                .without("four"), .without("only"),
                Sabotage("not-dual-stack", replace: ["register-web": [PinnedHost.register("only", under: "web")]]),
            ])
    }

    private static func another(_ host: PinnedHost) -> Fixture {
        func sockets(_ text: String) -> Step { PinnedHost.tell(.sockets, ["count": "1", kind(host): text]) }
        return host.fixture(
            "another-socket",
            "Registered again, a label has the other socket from then on, for all of its bindings; the one before gets nothing, though it is open.",
            host.scene() + host.open("one", "two") + [
                PinnedHost.bind(host.binding(host.prefix, to: "web"), host.binding(host.plan.second, to: "web")),
                PinnedHost.register("one", under: "web"), sockets("one active 64"), host.probe(host.inLow, "one"),
                PinnedHost.perform(.register(DispatcherSockets("web", ["two"])), label: "another"),
                sockets("two active 64"),
                host.probe(host.inLow, "two"), host.probe(host.inHigh, "two"),
                host.probe(host.plan.second.host(1), "two"),
                // The same once more is nothing new.
                PinnedHost.perform(.register(DispatcherSockets("web", ["two"]))), sockets("two active 64"),
                host.probe(host.inLow, "two"),
                PinnedHost.perform(.unregister(DispatcherSockets("web", ["one"])), ["sockets": "0"]),
                host.probe(host.inLow, "two"),
                PinnedHost.perform(.unregister(DispatcherSockets("web", ["two"])), ["sockets": "1"], label: "last"),
                host.probe(host.inLow, .refused), PinnedHost.tell(.sockets, ["count": "0"]),
            ],
            sabotages: [
                .without("another"),
                .instead(of: "last", "another-label", PinnedHost.perform(.unregister(DispatcherSockets("x", ["two"])))),
            ])
    }

    private static func flows(_ host: PinnedHost, among names: [String], _ facts: [String: String]) -> Step {
        Step(
            .spread(
                Spread(
                    from: "server", host.variant.transport, to: Endpoint(host.inLow, PinnedHost.port), among: names,
                    atLeast: 24)),
            expect: [Expectation(.facts(["answered by": names.joined(separator: ", ")].merging(facts) { $1 }))])
    }

    private static func spread(_ host: PinnedHost) -> Fixture {
        let shares = { (text: String) in PinnedHost.tell(.sockets, [kind(host): text]) }
        return host.fixture(
            "sockets-share-the-flows",
            "Sockets that are no reuseport group share the flows of a label by their hash, each as much; a flow stays with its socket.",
            host.scene() + host.open("a", "b", "c") + [
                PinnedHost.bind(host.binding(host.prefix, to: "web")),
                PinnedHost.perform(.register(DispatcherSockets("web", ["a", "b"])), label: "register"),
                shares("a active 32, b active 32"), flows(host, among: ["a", "b"], ["moved": "0"]),
                PinnedHost.perform(.join(DispatcherSockets("web", ["c"])), label: "join"),
                shares("a active 21, b active 22, c active 21"),
                flows(host, among: ["a", "b", "c"], ["moved": "0"]),
                PinnedHost.perform(.register(DispatcherSockets("web", ["a", "b", "c"]))),
                flows(host, among: ["a", "b", "c"], ["moved": "0", "moved since before": "0"]),
                PinnedHost.perform(.unregister(DispatcherSockets("web", ["b"])), ["sockets": "1"]),
                shares("a active 32, c active 32"), flows(host, among: ["a", "c"], ["moved": "0"]),
                PinnedHost.tell(.metrics, ["all misses": "0", "all errors": "0"]),
            ],
            sabotages: [
                .without("join"),
                .instead(
                    of: "register", "one-socket", PinnedHost.perform(.register(DispatcherSockets("web", ["a"])))),
            ])
    }

    private static func group(_ host: PinnedHost) -> Fixture {
        let members = (1...3).map { "group[\($0)]" }
        return host.fixture(
            "reuseport-group-under-a-label",
            "One member of a reuseport group stands for the group, which shares the label's flows among all of its members.",
            host.scene() + host.open("alone") + [
                Step(
                    .sockets(
                        SocketRange(
                            "group", in: "server", host.variant.transport, prefix: Prefix(host.plan.loopback),
                            port: 8010,
                            options: [.reusePort], copies: 3)), label: "open"),
                PinnedHost.bind(host.binding(host.prefix, to: "web")), PinnedHost.register(members[1], under: "web"),
                PinnedHost.tell(.sockets, ["count": "1", kind(host): "group[2] active 64"]),
                flows(host, among: members, ["moved": "0"]),
                PinnedHost.perform(.join(DispatcherSockets("web", ["alone"])), label: "join"),
                flows(host, among: ["alone"] + members, ["moved": "0"]),
                PinnedHost.tell(.metrics, ["all misses": "0", "all errors": "0"]),
            ],
            sabotages: [
                .without("join"),
                Sabotage("not-registered", replace: ["register-web": [PinnedHost.register("alone", under: "web")]]),
            ])
    }

    private static func draining(_ host: PinnedHost) -> Fixture {
        let isTCP = host.variant.transport == .tcp
        let flow = Connection(
            "flow", from: "server", host.variant.transport, to: Endpoint(host.inLow, PinnedHost.port),
            source: Endpoint(host.plan.loopback, 40001))
        // A connection is found before any binding is; a datagram of a socket that is not connected is looked up.
        let exchange = Step(.exchange("flow"), expect: [Expectation(.reaches(isTCP ? "old" : "new"))])
        return host.fixture(
            "draining",
            "A socket that drains gets no new flows, and the connections that it has go on both ways; closed, it is listed no more.",
            host.scene() + host.open("old", "new") + [
                PinnedHost.bind(host.binding(host.prefix, to: "web")), PinnedHost.register("old", under: "web"),
                Step(.connect(flow), expect: [Expectation(.reaches("old"))]),
                PinnedHost.perform(.join(DispatcherSockets("web", ["new"])), label: "join"),
                PinnedHost.perform(.drain(DispatcherSockets("web", ["old"])), ["sockets": "1"], label: "drain"),
                PinnedHost.tell(.sockets, [kind(host): "new active 64, old draining 0"]),
                exchange, flows(host, among: ["new"], ["moved": "0"]), exchange,
                PinnedHost.perform(.drain(DispatcherSockets("web", ["old"])), ["sockets": "0"]),
                PinnedHost.perform(.join(DispatcherSockets("web", ["old"]))),
                PinnedHost.tell(.sockets, [kind(host): "new active 32, old active 32"]),
                flows(host, among: ["new", "old"], ["moved": "0"]),
                PinnedHost.perform(.drain(DispatcherSockets("web", ["old"])), ["sockets": "1"]),
                Step(.close("old")), PinnedHost.tell(.sockets, ["count": "1", kind(host): "new active 64"]),
            ] + (isTCP ? [Step(.exchange("flow"), expect: [Expectation(.reaches("old"))])] : []) + [
                flows(host, among: ["new"], ["moved": "0"]),
                PinnedHost.tell(.metrics, ["all misses": "0", "all errors": "0"]),
            ],
            sabotages: [
                .without("join"),
                .instead(
                    of: "drain", "unregistered", PinnedHost.perform(.unregister(DispatcherSockets("web", ["old"])))),
                .instead(of: "drain", "not-drained", PinnedHost.perform(.drain(DispatcherSockets("x", ["old"])))),
            ])
    }

    private static func sixteen(_ host: PinnedHost) -> Fixture {
        func names(_ range: String, _ part: Prefix) -> [String] { (0..<16).map { "\(range)[\(part.host($0))]" } }
        func open(_ range: String, _ part: Prefix) -> Step {
            Step(
                .sockets(
                    SocketRange(
                        range, in: "server", host.variant.transport, prefix: part, port: 8001, options: [.freeBind])))
        }
        let parts = (0..<2).map { host.prefix.part($0, bits: 4) }
        let (first, second) = (names("a", parts[0]), names("b", parts[1]))
        let all = { (names: [String]) in names.map { "\($0) active 4" }.sorted().joined(separator: ", ") }
        return host.fixture(
            "sixteen-sockets-under-a-label",
            "A label has sixteen sockets at most, which sixteen others can replace in one step.",
            host.scene() + host.open("more") + [
                open("a", parts[0]), open("b", parts[1]), PinnedHost.bind(host.binding(host.plan.second, to: "web")),
                PinnedHost.perform(.register(DispatcherSockets("web", first)), label: "first"),
                PinnedHost.tell(.sockets, ["count": "16", kind(host): all(first)]),
                PinnedHost.perform(.register(DispatcherSockets("web", second)), label: "second"),
                PinnedHost.tell(.sockets, ["count": "16", kind(host): all(second)]),
                PinnedHost.refused(.join(DispatcherSockets("web", ["more"])), "more than 16 sockets", label: "join"),
                PinnedHost.tell(.sockets, ["count": "16", kind(host): all(second)]),
            ],
            sabotages: [
                .without("second"),
                .instead(
                    of: "join", "one-instead", PinnedHost.perform(.register(DispatcherSockets("web", ["more"])))),
            ])
    }
}
