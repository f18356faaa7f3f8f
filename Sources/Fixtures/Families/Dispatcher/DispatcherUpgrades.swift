import Addressing
import Lab

/// Another program in the place of a dispatcher's.
enum DispatcherUpgrades {
    static let fixtures: [Fixture] = PinnedHost.all.flatMap { [keeps($0), refused($0), underLoad($0)] }

    private static let because = ["commit 7f045a49fee0: a link's program is replaced in one step"]

    private static func scene(_ host: PinnedHost) -> [Step] {
        host.scene() + host.open("web") + [
            PinnedHost.register("web"), PinnedHost.bind(host.binding(host.prefix, to: "web")),
        ]
    }

    private static func status(_ program: String) -> Step {
        PinnedHost.tell(
            .status, ["program": program, "bindings": "1", "sockets": "1", "labels": "1", "leftovers": "none"])
    }

    private static func hits(_ host: PinnedHost, _ hits: Int) -> Step {
        let match = "\(host.variant.transport.rawValue) \(host.prefix) \(PinnedHost.port)"
        return PinnedHost.tell(.metrics, [match: "\(hits) hits, 0 misses, 0 errors"])
    }

    private static func keeps(_ host: PinnedHost) -> Fixture {
        let web = host.binding(host.prefix, to: "web")
        let flow = Connection(
            "flow", from: "server", host.variant.transport, to: Endpoint(host.inHigh, PinnedHost.port),
            source: Endpoint(host.plan.loopback, 40001))
        func exchange(_ number: Int) -> Step { Step(.exchange("flow"), expect: [Expectation(.reaches("web"))]) }
        // Each datagram of a flow is looked up; of a connection, the first packet.
        let each = host.variant.transport == .udp ? 2 : 1
        return host.fixture(
            "an-upgrade-keeps-everything",
            "Upgraded three times, a dispatcher has its bindings, sockets, counters and flows, and the link that it had.",
            because: because,
            scene(host) + [
                status("1"), Step(.connect(flow), expect: [Expectation(.reaches("web"))]), hits(host, 1),
                PinnedHost.perform(.upgrade("dispatch_next"), ["program": "another"], label: "upgrade"),
                status("2"), host.probe(host.inLow, "web"), exchange(1), PinnedHost.tell([web]), hits(host, 1 + each),
                PinnedHost.perform(.upgrade("dispatch"), ["program": "another"]), status("1"),
                host.probe(host.inLow, "web"), exchange(2), hits(host, 1 + 2 * each),
                PinnedHost.perform(.upgrade("dispatch"), ["program": "the same"]), status("1"),
                host.probe(host.inLow, "web"), exchange(3), PinnedHost.tell([web]), hits(host, 1 + 3 * each),
                Step(.query(ProgramQuery("server")), expect: [Expectation(.facts(["count": "1"]))]),
                PinnedHost.tell(.pins, ["directories": "state"]), PinnedHost.perform(.unbind([web]), ["removed": "1"]),
                host.probe(host.inLow, .refused),
            ],
            sabotages: [
                .instead(
                    of: "upgrade", "loaded-anew", PinnedHost.perform(.unload),
                    PinnedHost.perform(.load("dispatch_next"))),
                .instead(of: "upgrade", "not-upgraded", PinnedHost.perform(.upgrade("dispatch"))),
            ])
    }

    private static func refused(_ host: PinnedHost) -> Fixture {
        host.fixture(
            "a-refused-upgrade-changes-nothing",
            "A program with other maps, or with none, or that is not there, is refused, and the one that ran goes on.",
            because: because,
            scene(host) + [
                status("1"), PinnedHost.refused(.upgrade("dispatch_smaller"), "another layout", label: "upgrade"),
                status("1"), host.probe(host.inLow, "web"),
                PinnedHost.refused(.upgrade("pass"), "another layout"),
                PinnedHost.refused(.upgrade("drop"), "another layout"),
                Step(
                    .dispatcher(DispatcherStep(.upgrade("nothing"), in: "server")),
                    expect: [Expectation(.fails(ErrorNumber(name: "ENOENT") ?? .invalidArgument, call: nil))]),
                status("1"), host.probe(host.inLow, "web"), host.probe(host.inHigh, "web"), hits(host, 3),
                PinnedHost.tell(.pins, ["directories": "state"]),
            ],
            sabotages: [.instead(of: "upgrade", "upgraded", PinnedHost.perform(.upgrade("dispatch_next")))])
    }

    private static func underLoad(_ host: PinnedHost) -> Fixture {
        func changes(_ operations: [DispatcherOperation]) -> Step {
            Step(
                .dispatcherChanges(
                    DispatcherChanges(
                        in: "server", operations, rounds: 6,
                        probes: [host.packet(host.inLow), host.packet(host.inHigh)])),
                label: "changes",
                expect: [
                    Expectation(
                        .facts(["changes": "12", "answers": "web", "changes of answers": "0", "probes": "enough"]))
                ])
        }
        return host.fixture(
            "upgrades-under-load",
            "While the program is upgraded over and over, every flow that begins is led to its socket: none is refused.",
            because: because,
            scene(host) + [
                changes([.upgrade("dispatch_next"), .upgrade("dispatch")]),
                PinnedHost.tell(.metrics, ["all misses": "0", "all errors": "0"]), status("1"),
            ],
            sabotages: [
                .instead(
                    of: "changes", "loaded-anew",
                    changes([
                        .unload, .load("dispatch"), .register(DispatcherSockets("web", ["web"])),
                        .bind([host.binding(host.prefix, to: "web")]),
                    ]))
            ])
    }
}
