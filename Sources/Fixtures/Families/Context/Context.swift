import Addressing
import Lab

/// What a program is shown: of the packet, and of the socket that an earlier program selected.
enum Context {
    static let fixtures: [Fixture] =
        Variant.all.flatMap { variant in
            [overLoopback(variant), fromADevice(variant), byTestRun(variant), bytesAfterRemotePort(variant)]
        } + TransportProtocol.allCases.map(forADualStackSocket)
        + Variant.all.flatMap { variant in
            [ingressOverLoopback(variant), ingressOfDevices(variant), ingressByTestRun(variant)]
        }
        + Variant.all.flatMap { variant in [selectedSocket(variant), selectedByTestRun(variant)] }
        + TransportProtocol.allCases.map(selectedDualStackSocket)

    private static let because = [
        "commit e9ddbb7707ff: addresses and the remote port are in network order, the local port in host order",
        "linux/bpf.h, struct bpf_sk_lookup: fields may be loaded whole or in part",
    ]
    private static let ingressBecause = ["commit f89315650ba3: ingress_ifindex, as inet_iif() and inet6_iif() have it"]

    private static func packets(_ variant: Variant) -> [PacketView] {
        PacketView.packets(variant.transport, variant.family)
    }

    // MARK: Steps

    /// The addresses of both packets, each where its socket is: on `lo` of the one namespace, or on the device between
    /// two. (IPv6 asks for its neighbour from an address of the device, and its own there is not usable at once.)
    private static func addresses(_ packets: [PacketView], client: String) -> [Step] {
        let needed = packets.flatMap { [(client, $0.remote.address), ("server", $0.local.address)] }
        var given: Set<IPAddress> = [.loopback(.ipv4), .loopback(.ipv6)]
        return needed.compactMap { namespace, address in
            guard given.insert(address).inserted else { return nil }
            return Step(
                .addAddress(
                    AddressAssignment(
                        namespace: namespace, device: client == "server" ? "lo" : "uplink",
                        address: Prefix(address).description)))
        }
    }

    private static func servers(_ packets: [PacketView], options: [SocketOption] = []) -> [Step] {
        packets.enumerated().map { index, packet in
            let wildcard =
                options.contains(.dualStack) ? .wildcard(.ipv6) : IPAddress.wildcard(packet.local.address.family)
            return Step(
                .socket(
                    SocketDescription(
                        "server-\(index + 1)", in: "server", packet.transport,
                        bind: Endpoint(wildcard, packet.local.port), options: options)))
        }
    }

    /// Loads and attaches a program that notes its context under the name `seen`.
    private static func noting(_ object: String) -> [Step] {
        [
            Step(.load(ProgramLoad("seen", object: object))),
            Step(.attach(Attachment("link", program: "seen", to: "server")), label: "attach"),
        ]
    }

    private static func probe(_ packet: PacketView, from client: String, to name: String) -> Step {
        Step(
            .probe(Probe(from: client, packet.transport, to: packet.local, source: packet.remote)),
            expect: [Expectation(.reaches(name))])
    }

    private static func context(_ lookup: Int, _ facts: [String: String], program: String = "seen") -> Step {
        Step(
            .context(ContextReading(program, in: "server", lookup: lookup)), expect: PacketView.expectations(facts))
    }

    /// A probe of each packet, and what was noted of it. The answer of a UDP server in the client's own namespace is
    /// looked up there too, for the client's socket is not connected: it is a packet with the ends exchanged.
    private static func exchanges(
        _ packets: [PacketView], from client: String, _ facts: (PacketView) -> [String: String]
    ) -> [Step] {
        var lookups = 0
        return packets.enumerated().flatMap { index, packet -> [Step] in
            var probe = probe(packet, from: client, to: "server-\(index + 1)")
            probe.label = "probe-\(index + 1)"
            let answered = packet.transport == .udp && client == "server"
            let seen = answered ? [packet, packet.answer] : [packet]
            let first = lookups
            lookups += seen.count
            let total = lookups
            return [probe]
                + seen.enumerated().map { context(first + $0 + 1, facts($1).merging(["lookups": "\(total)"]) { $1 }) }
        }
    }

    /// The same packet from a neighbouring port; to another address; and nobody looking.
    private static func sabotages(_ packets: [PacketView], from client: String) -> [Sabotage] {
        let first = packets[0]
        let otherPort = PacketView(
            first.transport, remote: Endpoint(first.remote.address, first.remote.port + 1), local: first.local)
        let otherAddress = PacketView(
            first.transport, remote: first.remote, local: Endpoint(packets[1].local.address, first.local.port))
        return [
            Sabotage(
                "packet-from-another-port",
                replace: ["probe-1": [probe(otherPort, from: client, to: "server-1")]]),
            Sabotage(
                "packet-to-another-address",
                replace: ["probe-1": [probe(otherAddress, from: client, to: "server-1")]]),
            .programNotAttached,
        ]
    }

    // MARK: The packet

    private static func overLoopback(_ variant: Variant) -> Fixture {
        let packets = PacketView.packetsAndEdges(variant.transport, variant.family)
        return Fixture(
            name: "context/over-loopback", variant: variant.id,
            summary:
                "Of a packet over loopback a program is shown, once, its family, protocol, addresses and ports, byte by byte, by halves and by words.",
            because: because, requires: [.skLookup] + variant.features,
            steps: [Step(.namespace("server"))] + addresses(packets, client: "server") + servers(packets)
                + noting("context") + exchanges(packets, from: "server") { $0.facts },
            sabotages: sabotages(packets, from: "server"))
    }

    /// A client behind a device, whose addresses and the server's are routed to each other.
    private static func outside(_ variant: Variant, _ packets: [PacketView]) -> [Step] {
        let plan = AddressPlan(family: variant.family)
        // Of a pair the lab numbers the first device: the server's, whose number is to be seen.
        let network = Scenery.network(plan, routed: packets.map { Prefix($0.local.address) }).map { step in
            guard case .devicePair(var pair) = step.action else { return step }
            pair.ends.reverse()
            return Step(.devicePair(pair))
        }
        return network
            + packets.map {
                Step(.route(Route(namespace: "server", to: Prefix($0.remote.address), via: plan.clientAddress)))
            } + addresses(packets, client: "client")
    }

    private static func fromADevice(_ variant: Variant) -> Fixture {
        let packets = packets(variant)
        return Fixture(
            name: "context/from-a-device", variant: variant.id,
            summary:
                "Of a packet from outside a program is shown, once, its family, protocol, addresses and ports, byte by byte, by halves and by words.",
            because: because, requires: [.skLookup, .devicePair] + variant.features,
            steps: outside(variant, packets) + servers(packets) + noting("context")
                + exchanges(packets, from: "client") { $0.facts },
            sabotages: sabotages(packets, from: "client"))
    }

    private static func forADualStackSocket(_ transport: TransportProtocol) -> Fixture {
        let packets = PacketView.packetsAndEdges(transport, .ipv4)
        return Fixture(
            name: "context/ipv4-for-a-dual-stack-socket", variant: transport.rawValue,
            summary: "An IPv4 packet is shown as IPv4 although a dual-stack IPv6 socket is there for it.",
            because: because, requires: [.skLookup, .ipv6],
            steps: [Step(.namespace("server"))] + addresses(packets, client: "server")
                + servers(packets, options: [.dualStack]) + noting("context")
                + exchanges(packets, from: "server") { $0.facts },
            sabotages: sabotages(packets, from: "server"))
    }

    // MARK: Without a packet

    private static func run(_ fields: ContextFields, label: String? = nil) -> Step {
        Step(
            .testRunContext(ContextRun("seen", fields)), label: label,
            expect: [Expectation(.facts(["returned": "pass", "selected": "none", "context-out": "as given"]))])
    }

    private static func byTestRun(_ variant: Variant) -> Fixture {
        let packets = packets(variant)
        var seen = PacketView.packetsAndEdges(variant.transport, variant.family).map {
            (fields: $0.fields, facts: $0.facts)
        }
        // The other family's addresses are not shown, even if they are given.
        var surplus = packets[0].fields
        let other = PacketView.packets(variant.transport, variant.family == .ipv4 ? .ipv6 : .ipv4)[0].fields
        surplus.remoteIP4 = surplus.remoteIP4 ?? other.remoteIP4
        surplus.remoteIP6 = surplus.remoteIP6 ?? other.remoteIP6
        surplus.localIP4 = surplus.localIP4 ?? other.localIP4
        surplus.localIP6 = surplus.localIP6 ?? other.localIP6
        seen.append((surplus, packets[0].facts))
        // No protocol that is looked up has a number with two different bytes, but a test-run takes any.
        var strange = packets[1].fields
        strange.protocol = 0x8EC5
        strange.remotePort = 0xFFFF
        strange.localPort = 0xFFFF
        seen.append(
            (
                strange,
                packets[1].facts.merging(
                    PacketView.every(["protocol": "36549", "remote_port": "65535", "local_port": "65535"])
                ) { $1 }.merging(["u16 protocol + 2": "36549", "u16 local_port + 2": "65535"]) { $1 }
            ))
        return Fixture(
            name: "context/by-test-run", variant: variant.id,
            summary:
                "Run without a packet, a program is shown the family, protocol, addresses of that family and ports that it is given.",
            because: because + ["commit 7c32e8f8bc33"], requires: [.skLookup, .testRun] + variant.features,
            steps: [Step(.namespace("server")), Step(.load(ProgramLoad("seen", object: "context")))]
                + seen.enumerated().flatMap { index, item in
                    [run(item.fields, label: "run-\(index + 1)"), context(index + 1, item.facts)]
                },
            sabotages: [
                Sabotage("run-for-another-packet", replace: ["run-1": [run(packets[1].fields)]]),
                Sabotage("run-left-out", omit: ["run-2"]),
            ])
    }

    private static func bytesAfterRemotePort(_ variant: Variant) -> Fixture {
        let packet = packets(variant)[0]
        var fields = packet.fields
        fields.padding = 0xABCD
        let (since, because) = (PacketView.narrowPortSince, PacketView.narrowPortBecause)
        func given(_ fields: ContextFields) -> Step {
            Step(
                .testRunContext(ContextRun("seen", fields)), label: "run",
                expect: [
                    Expectation(
                        .fails(.outOfRange, call: "bpf(BPF_PROG_TEST_RUN)"), until: since, because: because),
                    Expectation(
                        .facts(["returned": "pass", "selected": "none", "context-out": "as given"]), since: since,
                        because: because),
                ])
        }
        func seen(_ lookup: Int, _ fields: [String: String]) -> Step {
            Step(
                .context(ContextReading("seen", in: "server", lookup: lookup)),
                expect: [
                    Expectation(.facts(["lookups": "0"]), until: since, because: because),
                    Expectation(.facts(fields), since: since, because: because),
                ])
        }
        return Fixture(
            name: "context/bytes-after-the-remote-port", variant: variant.id,
            summary:
                "What a test-run is given in the two bytes after the remote port is not shown; while they were part of it, such a port was out of range.",
            because: [because, "commit 7c32e8f8bc33: a remote port above 65535 was ERANGE"],
            requires: [.skLookup, .testRun] + variant.features,
            steps: [
                Step(.namespace("server")), Step(.load(ProgramLoad("seen", object: "context"))), given(fields),
                seen(1, packet.facts.merging(["u16 remote_port + 2": "0", "lookups": "1"]) { $1 }),
            ],
            sabotages: [Sabotage("another-packet", replace: ["run": [given(packet.answer.fields)]])])
    }

    // MARK: The interface

    private static func ingressOverLoopback(_ variant: Variant) -> Fixture {
        let packets = PacketView.packetsAndEdges(variant.transport, variant.family)
        return Fixture(
            name: "context/ingress-over-loopback", variant: variant.id,
            summary: "A packet over loopback is shown to have come in by lo, beside all the other fields.",
            because: ingressBecause, requires: [.skLookup, .ingressIndex] + variant.features,
            steps: [Step(.namespace("server"))] + addresses(packets, client: "server") + servers(packets)
                + noting("ingress") + exchanges(packets, from: "server") { $0.facts(ingress: "lo") },
            sabotages: sabotages(packets, from: "server"))
    }

    private static func ingressOfDevices(_ variant: Variant) -> Fixture {
        let packets = packets(variant)
        let plan = AddressPlan(family: variant.family)
        // From the namespace to its own address on the device: it goes over lo, but is taken to have come by the
        // device that has the address, in IPv6 for the sake of scoped addresses.
        let own = PacketView(
            variant.transport, remote: Endpoint(plan.serverAddress, 40003), local: Endpoint(plan.serverAddress, 8083))
        let outsideLookups = packets.count
        return Fixture(
            name: "context/ingress-of-devices", variant: variant.id,
            summary:
                "A packet from outside is shown to have come in by its device, and so is one from the namespace itself to its address on that device.",
            because: ingressBecause, requires: [.skLookup, .ingressIndex, .devicePair] + variant.features,
            steps: outside(variant, packets) + servers(packets)
                + [
                    Step(
                        .socket(
                            SocketDescription(
                                "own", in: "server", variant.transport,
                                bind: Endpoint(.wildcard(variant.family), own.local.port))))
                ] + noting("ingress")
                + exchanges(packets, from: "client") { $0.facts(ingress: "uplink") }
                + [
                    probe(own, from: "server", to: "own"),
                    context(outsideLookups + 1, own.facts(ingress: "uplink")),
                ],
            sabotages: sabotages(packets, from: "client"))
    }

    private static func ingressByTestRun(_ variant: Variant) -> Fixture {
        let packets = packets(variant)
        return Fixture(
            name: "context/ingress-by-test-run", variant: variant.id,
            summary: "Run without a packet, a program is shown no interface.",
            because: ingressBecause, requires: [.skLookup, .testRun, .ingressIndex] + variant.features,
            steps: [Step(.namespace("server")), Step(.load(ProgramLoad("seen", object: "ingress")))]
                + packets.enumerated().flatMap { index, packet in
                    [
                        run(packet.fields, label: "run-\(index + 1)"),
                        context(index + 1, packet.facts(ingress: "none")),
                    ]
                },
            sabotages: [Sabotage("run-for-another-packet", replace: ["run-1": [run(packets[1].fields)]])])
    }

    // MARK: The selected socket

    private static let selectedBecause = [
        "commit e9ddbb7707ff: ctx->sk is the socket selected so far, NULL if there is none",
        "linux/bpf.h, struct bpf_sock",
    ]

    /// What struct bpf_sock shows of a socket that listens at `endpoint`, or is bound to it and not connected.
    private static func socketFacts(
        _ transport: TransportProtocol, _ family: AddressFamily, bound endpoint: Endpoint
    ) -> [String: String] {
        // AF_INET 2, AF_INET6 10; SOCK_STREAM 1, SOCK_DGRAM 2; TCP_LISTEN 10, and of an unconnected UDP socket TCP_CLOSE 7.
        [
            "selected": "a socket", "bound_dev_if": "0", "family": family == .ipv4 ? "2" : "10",
            "type": transport == .tcp ? "1" : "2", "protocol": transport == .tcp ? "6" : "17", "mark": "0",
            "priority": "0", family == .ipv4 ? "src_ip4" : "src_ip6": "\(endpoint.address)",
            "src_port": "\(endpoint.port)", "dst_port": "0",
            family == .ipv4 ? "dst_ip4" : "dst_ip6": "\(IPAddress.wildcard(family))",
            "state": transport == .tcp ? "10" : "7", "rx_queue_mapping": "-1",
        ]
    }

    /// A dispatcher between two programs that note what they are shown, and a packet for each of its bindings.
    private static func between(
        _ variant: Variant, socket: Step, bound: Endpoint, family: AddressFamily, name: String, id: String,
        summary: String
    ) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let (steered, plain) = (plan.service.host(1), plan.service.host(2))
        func attach(_ name: String) -> [Step] {
            [
                Step(.load(ProgramLoad(name, object: "selected"))),
                Step(.attach(Attachment(name, program: name, to: "server"))),
            ]
        }
        // The answer of a UDP server is looked up too; it is in no binding.
        let lookups = variant.transport == .udp ? 2 : 1
        func ask(_ address: IPAddress, _ port: UInt16, reaches name: String) -> Step {
            Step(
                .probe(Probe(from: "server", variant.transport, to: Endpoint(address, port))),
                expect: [Expectation(.reaches(name))])
        }
        return Fixture(
            name: "context/\(name)", variant: id, summary: summary, because: selectedBecause,
            requires: [.skLookup, .ipv6],
            steps: [
                Step(.namespace("server")), Step(.localPrefix(LocalPrefix(namespace: "server", prefix: plan.service))),
                socket,
                Step(
                    .socket(
                        SocketDescription(
                            "plain", in: "server", variant.transport, bind: Endpoint(plain, 80), options: [.freeBind]))),
            ] + attach("before")
                + Scenery.dispatcher([
                    Scenery.register("web", under: "web"),
                    Scenery.bind(variant, Prefix(steered), PortRange(80), to: "web"),
                ]) + attach("after")
                + [
                    ask(steered, 80, reaches: "web"),
                    context(1, ["selected": "none", "lookups": "\(lookups)"], program: "before"),
                    context(
                        1,
                        socketFacts(variant.transport, family, bound: bound).merging(["lookups": "\(lookups)"]) { $1 },
                        program: "after"),
                    ask(plain, 80, reaches: "plain"),
                    context(lookups + 1, ["selected": "none", "lookups": "\(2 * lookups)"], program: "before"),
                    context(lookups + 1, ["selected": "none", "lookups": "\(2 * lookups)"], program: "after"),
                ],
            sabotages: [
                .programNotAttached, .wrongSocket("web", instead: "plain"),
            ])
    }

    private static func selectedSocket(_ variant: Variant) -> Fixture {
        let bound = Endpoint(.loopback(variant.family), 8001)
        return between(
            variant, socket: Scenery.service("web", variant, port: 8001), bound: bound, family: variant.family,
            name: "selected-socket", id: variant.id,
            summary:
                "A program is shown the socket that an earlier one selected for the packet, with its family, type, protocol, address, port and state; and NULL before a selection, and for a packet without one."
        )
    }

    private static func selectedDualStackSocket(_ transport: TransportProtocol) -> Fixture {
        let bound = Endpoint(.wildcard(.ipv6), 8001)
        return between(
            Variant(transport: transport, family: .ipv4),
            socket: Step(
                .socket(SocketDescription("web", in: "server", transport, bind: bound, options: [.dualStack]))),
            bound: bound, family: .ipv6, name: "selected-dual-stack-socket", id: "\(transport.rawValue)-ipv4",
            summary: "The dual-stack socket selected for an IPv4 packet is shown as the IPv6 socket that it is.")
    }

    private static func selectedByTestRun(_ variant: Variant) -> Fixture {
        Fixture(
            name: "context/selected-by-test-run", variant: variant.id,
            summary: "Run without a packet, a program is shown no selected socket, every time it is repeated.",
            because: selectedBecause + ["commit 7c32e8f8bc33"], requires: [.skLookup, .testRun] + variant.features,
            steps: [
                Step(.namespace("server")), Step(.load(ProgramLoad("seen", object: "selected"))),
                Step(
                    .testRunContext(ContextRun("seen", packets(variant)[0].fields, repetitions: 3)), label: "run",
                    expect: [Expectation(.facts(["returned": "pass", "selected": "none"]))]),
                context(3, ["selected": "none", "lookups": "3"]),
            ],
            sabotages: [
                Sabotage(
                    "not-repeated",
                    replace: ["run": [Step(.testRunContext(ContextRun("seen", packets(variant)[0].fields)))]])
            ])
    }
}
