import Addressing
import Lab

/// What a pinned dispatcher counts, and sockets that are gone or unfit by the time a packet comes.
enum DispatcherCounters {
    static let fixtures: [Fixture] =
        PinnedHost.all.flatMap { [exact($0), closed($0)] }
        + PinnedHost.all.filter { $0.variant.transport == .udp }.map(connectedSince)
        + PinnedHost.all.filter { $0.variant.transport == .tcp }.map(listensNoMore)

    private static func text(_ hits: Int, _ misses: Int, _ errors: Int) -> String {
        "\(hits) hits, \(misses) misses, \(errors) errors"
    }

    private static func exact(_ host: PinnedHost) -> Fixture {
        let web = host.binding(host.prefix, to: "web")
        let none = host.binding(host.prefix, PortRange(81), to: "none")
        let narrow = host.binding(host.low, .from(80, to: 90), to: "web")
        func repeated(_ count: Int, _ step: Step) -> [Step] { [Step](repeating: step, count: count) }
        return host.fixture(
            "counters",
            "Each binding counts its own hits and misses, exactly, as long as it stays; one that comes begins at nothing, and all that there were are in the sum.",
            host.scene() + host.open("web") + [
                PinnedHost.register("web"), PinnedHost.bind(web, none),
                PinnedHost.tell(.metrics, ["all": text(0, 0, 0), web.matchText: text(0, 0, 0)]),
            ] + repeated(5, host.probe(host.inLow, "web")) + repeated(3, host.probe(host.inHigh, 81, .refused))
                + repeated(2, host.probe(host.inHigh, 82, .refused)) + [
                    PinnedHost.tell(
                        .metrics,
                        ["all": text(5, 3, 0), web.matchText: text(5, 0, 0), none.matchText: text(0, 3, 0)]),
                    PinnedHost.bind(narrow, label: "narrow"),
                ] + repeated(4, host.probe(host.inLow, "web")) + [
                    host.probe(host.inHigh, "web"),
                    PinnedHost.tell(
                        .metrics,
                        [
                            "all": text(10, 3, 0), web.matchText: text(6, 0, 0), narrow.matchText: text(4, 0, 0),
                            none.matchText: text(0, 3, 0),
                        ]),
                    // One that goes takes its counter along, and so does one that moves.
                    PinnedHost.perform(.unbind([web]), ["removed": "1"], label: "unbind"),
                    PinnedHost.perform(
                        .bind([web, host.binding(host.prefix, PortRange(81), to: "web")]), ["added": "1"]),
                    host.probe(host.inHigh, 81, "web"),
                    PinnedHost.tell(
                        .metrics,
                        [
                            "all": text(11, 3, 0), web.matchText: text(0, 0, 0), narrow.matchText: text(4, 0, 0),
                            none.matchText: text(1, 0, 0),
                        ]),
                ],
            sabotages: [
                .without("narrow"), .without("register-web"),
                .instead(of: "unbind", "not-unbound", PinnedHost.tell(.status, ["loaded": "yes"])),
            ])
    }

    private static func closed(_ host: PinnedHost) -> Fixture {
        let web = host.binding(host.prefix, to: "web")
        let kind = "web \(host.variant.transport.rawValue) \(host.variant.family.rawValue)"
        return host.fixture(
            "a-closed-socket",
            "A lookup that comes upon a socket that was closed counts an error and goes on to the others; it is never led to whoever has its address and port since.",
            host.scene() + host.open("web", "other") + [
                host.openOrdinary(host.inHigh), PinnedHost.register("web"), PinnedHost.bind(web),
                host.probe(host.inLow, "web"), Step(.close("web"), label: "close"),
                // On the address and port that the closed one had.
                Step(
                    .socket(
                        SocketDescription(
                            "heir", in: "server", host.variant.transport, bind: Endpoint(host.plan.loopback, 8001),
                            options: host.variant.transport == .tcp ? [.reuseAddress] : []))),
                host.probe(host.inLow, .refused), host.probe(host.inHigh, .refused),
                PinnedHost.tell(.metrics, ["all": text(1, 2, 2), web.matchText: text(1, 2, 2)]),
                PinnedHost.tell(.sockets, ["count": "1", kind: "(closed) closed 64"]),
                PinnedHost.perform(.bind([host.binding(host.prefix, to: "web", elsePass: true)]), ["changed": "1"]),
                host.probe(host.inHigh, "ordinary"), host.probe(host.inLow, .refused),
                PinnedHost.tell(.metrics, [web.matchText: text(1, 4, 4)]),
                PinnedHost.perform(.join(DispatcherSockets("web", ["other"])), label: "join"),
                PinnedHost.tell(.sockets, ["count": "1", kind: "other active 64"]),
                host.probe(host.inLow, "other"), host.probe(host.inHigh, "other"),
                PinnedHost.tell(.metrics, [web.matchText: text(3, 4, 4)]), Step(.close("other")),
                host.probe(host.inHigh, "ordinary"),
                PinnedHost.tell(.metrics, [web.matchText: text(3, 5, 5)]),
                PinnedHost.perform(.unregister(DispatcherSockets("web")), ["sockets": "1"], label: "unregister"),
                host.probe(host.inHigh, "ordinary"),
                PinnedHost.tell(.metrics, [web.matchText: text(3, 6, 5)]),
            ],
            sabotages: [
                .instead(
                    of: "close", "heir-registered", Step(.close("web")), host.open("other")[0].renamed("x"),
                    PinnedHost.register("x", under: "web")),
                .without("join"),
                .instead(of: "unregister", "not-unregistered", PinnedHost.tell(.status, ["loaded": "yes"])),
            ])
    }

    private static func connectedSince(_ host: PinnedHost) -> Fixture {
        let web = host.binding(host.prefix, to: "web")
        func call(_ call: SocketCall.Call, _ endpoint: Endpoint? = nil) -> Step {
            Step(.call(SocketCall(call, on: "web", endpoint: endpoint)), label: call.rawValue)
        }
        return host.fixture(
            "connected-since",
            "A UDP socket that was connected after it was registered is an error for each lookup that comes upon it, and a miss; no packet is led astray, and disconnected it has them all again.",
            because: ["bpf-helpers(7), bpf_sk_assign: a connected UDP socket is refused (ESOCKTNOSUPPORT)"],
            host.scene() + host.open("web", "other") + [
                host.openOrdinary(host.inHigh), PinnedHost.register("web"), PinnedHost.bind(web),
                host.probe(host.inLow, "web"), call(.connect, Endpoint(host.plan.loopback, 9)),
                host.probe(host.inLow, .refused), host.probe(host.inHigh, .refused),
                PinnedHost.tell(.metrics, [web.matchText: text(1, 2, 2), "all": text(1, 2, 2)]),
                PinnedHost.perform(.bind([host.binding(host.prefix, to: "web", elsePass: true)]), ["changed": "1"]),
                host.probe(host.inHigh, "ordinary"),
                PinnedHost.tell(.metrics, [web.matchText: text(1, 3, 3)]),
                PinnedHost.perform(.join(DispatcherSockets("web", ["other"])), label: "join"),
                PinnedHost.perform(.drain(DispatcherSockets("web", ["web"])), ["sockets": "1"]),
                host.probe(host.inLow, "other"), host.probe(host.inHigh, "other"),
                PinnedHost.tell(.metrics, [web.matchText: text(3, 3, 3)]),
                PinnedHost.refused(.register(DispatcherSockets("web", ["web"])), "unsuitable socket: connected"),
                call(.disconnect), PinnedHost.perform(.register(DispatcherSockets("web", ["web"])), label: "again"),
                host.probe(host.inLow, "web"), host.probe(host.inHigh, "web"),
                PinnedHost.tell(.metrics, [web.matchText: text(5, 3, 3)]),
            ],
            sabotages: [.without("connect"), .without("join"), .without("again")])
    }

    private static func listensNoMore(_ host: PinnedHost) -> Fixture {
        let web = host.binding(host.prefix, to: "web")
        // Before, the program may select a socket that does not listen, and then the packet is dropped there.
        let refuses = VersionSet(KernelVersion(5, 16), KernelVersion(5, 15, 3))
        let commit = "commit 40a34121ac1d: only TCP sockets that listen can be selected"
        func differing(_ action: Action, _ before: Outcome, _ since: Outcome) -> Step {
            Step(
                action,
                expect: [
                    Expectation(before, until: refuses, because: commit),
                    Expectation(since, since: refuses, because: commit),
                ])
        }
        func probe(_ address: IPAddress) -> Step {
            var packet = host.packet(address)
            packet.fence = Endpoint(host.plan.second.host(1), PinnedHost.port)
            return differing(.probe(packet), .silent, .refused)
        }
        return host.fixture(
            "listens-no-more",
            "A listener that stopped to listen after it was registered gets nothing, and nor does anyone else for it; registered again when it listens again, it has all.",
            host.scene() + host.open("web") + [
                host.openOrdinary(host.inHigh), host.openOrdinary(host.plan.second.host(1), name: "elsewhere"),
                PinnedHost.register("web"), PinnedHost.bind(web),
                host.probe(host.inLow, "web"), Step(.call(SocketCall(.disconnect, on: "web")), label: "stop"),
                probe(host.inLow), probe(host.inHigh),
                differing(
                    .dispatcher(DispatcherStep(.tell(.metrics), in: "server")),
                    .facts([web.matchText: text(3, 0, 0)]), .facts([web.matchText: text(1, 2, 2)])),
                PinnedHost.refused(.register(DispatcherSockets("web", ["web"])), "unsuitable socket: not listening"),
                Step(.call(SocketCall(.listen, on: "web")), label: "listen"),
                PinnedHost.perform(.register(DispatcherSockets("web", ["web"])), label: "again"),
                host.probe(host.inLow, "web"),
            ],
            sabotages: [.without("stop"), .without("register-web")])
    }
}

extension Step {
    /// The same socket under another name.
    fileprivate func renamed(_ name: String) -> Step {
        guard case .socket(var description) = action else { return self }
        description.name = name
        description.bind.port = 8009
        return Step(.socket(description))
    }
}
