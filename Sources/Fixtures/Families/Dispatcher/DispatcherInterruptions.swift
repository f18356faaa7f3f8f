import Addressing
import Lab

/// Changes by a process that is killed after each of their steps.
enum DispatcherInterruptions {
    static let fixtures: [Fixture] = loads + unloads + replacements + registrations + upgrades

    /// The steps of every change, and whether it has taken effect then; a unit test holds them against the library's.
    static let steps: [(name: String, tookEffect: Bool)] = [
        ("load-made-directory", false), ("load-pinned-maps", false), ("load-pinned-link", false),
        ("load-renamed-directory", true), ("unload-detached-link", true), ("unload-renamed-directory", true),
        ("unload-removed-directory", true), ("replace-named-labels", false), ("replace-made-counters", false),
        ("replace-pinned-records", false), ("replace-put-table", false), ("replace-changed-generation", true),
        ("replace-retired-table", true), ("replace-removed-records", true), ("register-named-label", false),
        ("register-put-sockets", false), ("register-shared-flows", true), ("register-removed-sockets", true),
        ("upgrade-pinned-program", false), ("upgrade-updated-link", true), ("upgrade-renamed-program", true),
    ]

    private static let host = PinnedHost.tcpIPv4
    private static let web = host.binding(host.prefix, to: "web")

    private static func each(_ change: String) -> [(name: String, tookEffect: Bool)] {
        steps.filter { $0.name.hasPrefix("\(change)-") }
    }

    private static func killed(_ operation: DispatcherOperation, after step: String) -> Step {
        Step(
            .dispatcher(DispatcherStep(operation, in: "server", by: .process, killedAfter: step)), label: "change",
            expect: [Expectation(.facts(["killed": "yes"]))])
    }

    /// A world in which the change came to the contrary.
    private static func contrary(_ operation: DispatcherOperation, tookEffect: Bool) -> Sabotage {
        tookEffect
            ? .instead(of: "change", "not-changed", PinnedHost.perform(.tell(.status), ["leftovers": "none"]))
            : .instead(of: "change", "changed", PinnedHost.perform(operation))
    }

    private static let loads = each("load").map { step, tookEffect in
        host.fixture(
            "killed-in-a-load", variant: step,
            "Killed in the middle of a load, there is no dispatcher or a whole one, and what is left is in nobody's way.",
            host.scene(loading: []) + host.open("web") + [
                host.openOrdinary(host.inLow), killed(.load("dispatch"), after: step),
                PinnedHost.tell(
                    .status, ["loaded": tookEffect ? "yes" : "no", "leftovers": tookEffect ? "none" : "load"]),
                host.probe(host.inLow, "ordinary"),
                PinnedHost.perform(.load("dispatch"), ["refusal": "loaded already"].filter { _ in tookEffect }),
                PinnedHost.tell(.pins, ["directories": "state"]),
                Step(.query(ProgramQuery("server")), expect: [Expectation(.facts(["count": "1"]))]),
                PinnedHost.register("web"), PinnedHost.bind(web), host.probe(host.inLow, "web"),
                PinnedHost.tell(.status, ["loaded": "yes", "leftovers": "none", "bindings": "1"]),
            ],
            sabotages: [contrary(.load("dispatch"), tookEffect: tookEffect), .without("register-web")])
    }

    private static let unloads = each("unload").map { step, _ in
        host.fixture(
            "killed-in-an-unload", variant: step,
            "Killed in the middle of an unload, from its first step on there is no dispatcher, and nothing is left after the next change.",
            host.scene() + [
                host.openOrdinary(host.inLow), PinnedHost.bind(web), host.probe(host.inLow, .refused),
                killed(.unload, after: step), host.probe(host.inLow, "ordinary"),
                PinnedHost.tell(.status, ["loaded": "no"]), PinnedHost.refused(.unload, "not loaded"),
                PinnedHost.tell(.pins, ["directories": "none"]), PinnedHost.perform(.load("dispatch")),
                PinnedHost.tell(.status, ["loaded": "yes", "leftovers": "none", "bindings": "0"]),
                host.probe(host.inLow, "ordinary"),
            ],
            sabotages: [contrary(.unload, tookEffect: true), .without("bind")])
    }

    private static let replacements = each("replace").map { step, tookEffect in
        let old = [web, host.binding(host.low, PortRange(81), to: "web")]
        let new = [
            host.binding(host.prefix, to: "other"), host.binding(host.plan.second, to: "web"),
            host.binding(host.plan.second, PortRange(81), to: "unknown"),
        ]
        func probes(isNew: Bool) -> [Step] {
            [
                host.probe(host.inLow, isNew ? "other" : "web"), host.probe(host.inHigh, isNew ? "other" : "web"),
                host.probe(host.inLow, 81, isNew ? .refused : .reaches("web")),
                host.probe(host.plan.second.host(1), isNew ? .reaches("web") : .refused),
                PinnedHost.tell(isNew ? new : old),
            ]
        }
        let isClean = ["replace-named-labels", "replace-made-counters", "replace-removed-records"].contains(step)
        return host.fixture(
            "killed-in-a-replacement", variant: step,
            "Killed in the middle of a replacement of bindings, all of the old set holds or all of the new, and the next change finds its way.",
            host.scene() + host.open("web", "other") + PinnedHost.registerEach(["web", "other"]) + [
                PinnedHost.perform(.replace(old), ["added": "2"]), host.probe(host.inLow, "web"),
                killed(.replace(new), after: step),
                PinnedHost.tell(
                    .status,
                    ["bindings": tookEffect ? "3" : "2", "leftovers": isClean ? "none" : "replacement", "program": "1"]),
            ] + probes(isNew: tookEffect) + [
                PinnedHost.perform(.replace(new)), PinnedHost.tell(.status, ["bindings": "3", "leftovers": "none"]),
            ] + probes(isNew: true) + [PinnedHost.perform(.replace(old))] + probes(isNew: false),
            sabotages: [contrary(.replace(new), tookEffect: tookEffect)])
    }

    private static let registrations = each("register").map { step, tookEffect in
        let operation = DispatcherOperation.register(DispatcherSockets("web", ["new"]))
        let held = tookEffect ? "new" : "old"
        func sockets(_ name: String) -> Step {
            PinnedHost.tell(.sockets, ["count": "1", "web tcp ipv4": "\(name) active 64"])
        }
        return host.fixture(
            "killed-in-a-registration", variant: step,
            "Killed in the middle of a registration, the label has the socket that it had or the new one, and no lookup comes upon an error.",
            host.scene() + host.open("old", "new") + [
                PinnedHost.register("old", under: "web"), PinnedHost.bind(web), host.probe(host.inLow, "old"),
                killed(operation, after: step), host.probe(host.inLow, held), sockets(held),
                PinnedHost.perform(.register(DispatcherSockets("web", ["old"]))), host.probe(host.inLow, "old"),
                sockets("old"), PinnedHost.perform(operation), host.probe(host.inLow, "new"), sockets("new"),
                PinnedHost.tell(.metrics, ["all": "4 hits, 0 misses, 0 errors"]),
            ],
            sabotages: [contrary(operation, tookEffect: tookEffect)])
    }

    private static let upgrades = each("upgrade").map { step, tookEffect in
        let leftovers = [
            "upgrade-pinned-program": "upgradeNotDone", "upgrade-updated-link": "upgradeDone",
        ]
        let program = tookEffect ? "2" : "1"
        return host.fixture(
            "killed-in-an-upgrade", variant: step,
            "Killed in the middle of an upgrade, the program that ran goes on or the new one does, with all bindings and sockets.",
            host.scene() + host.open("web") + [
                PinnedHost.register("web"), PinnedHost.bind(web),
                PinnedHost.tell(.status, ["program": "1"]), killed(.upgrade("dispatch_next"), after: step),
                PinnedHost.tell(.status, ["program": program, "leftovers": leftovers[step] ?? "none"]),
                Step(.query(ProgramQuery("server")), expect: [Expectation(.facts(["count": "1"]))]),
                host.probe(host.inLow, "web"), PinnedHost.tell([web]),
                PinnedHost.bind(host.binding(host.plan.second, to: "web"), label: nil),
                PinnedHost.tell(.status, ["program": program, "leftovers": "none", "bindings": "2"]),
                host.probe(host.plan.second.host(1), "web"),
                PinnedHost.perform(.upgrade("dispatch_next"), ["program": tookEffect ? "the same" : "another"]),
                PinnedHost.tell(.status, ["program": "2"]), host.probe(host.inHigh, "web"),
            ],
            sabotages: [contrary(.upgrade("dispatch_next"), tookEffect: tookEffect), .without("register-web")])
    }
}
