import Addressing
import Lab

/// Loading and unloading a pinned dispatcher, and who may do what with it.
enum DispatcherLifecycle {
    static let fixtures: [Fixture] =
        [loadedOnce, oneChangesAtATime, access] + ["info", "names", "tables", "sockets", "program", "link"].map(unload)
        + PinnedHost.all.flatMap { [survivesItsMaker($0), ofOneNamespace($0)] }

    private static let host = PinnedHost.tcpIPv4

    private static func attached(_ count: Int) -> Step {
        Step(.query(ProgramQuery("server")), expect: [Expectation(.facts(["count": "\(count)"]))])
    }

    private static let loadedOnce = host.fixture(
        "loaded-once", variant: "any",
        "A namespace has one dispatcher or none; it has the modes that its group needs, and goes without a trace.",
        [
            Step(.namespace("server")), PinnedHost.tell(.status, ["loaded": "no", "leftovers": "none"]),
            PinnedHost.refused(.unload, "not loaded"), PinnedHost.refused(.bind([]), "not loaded"), PinnedHost.load,
            PinnedHost.tell(
                .pins, ["directories": "state", "modes of directories": "750", "modes of pins": "640"]),
            PinnedHost.tell(
                .status,
                ["loaded": "yes", "leftovers": "none", "bindings": "0", "sockets": "0", "labels": "0", "program": "1"]),
            attached(1), PinnedHost.refused(.load("dispatch"), "loaded already"), attached(1),
            PinnedHost.perform(.unload, label: "unload"), attached(0),
            PinnedHost.tell(.pins, ["directories": "none", "pins": "none"]),
            PinnedHost.tell(.status, ["loaded": "no"]), PinnedHost.refused(.unload, "not loaded"),
            PinnedHost.perform(.load("dispatch")), PinnedHost.tell(.status, ["loaded": "yes", "program": "1"]),
        ],
        sabotages: [
            .without("load"), .instead(of: "unload", "never-unloaded", PinnedHost.tell(.status, ["loaded": "yes"])),
        ])

    private static func unload(without pin: String) -> Fixture {
        let address = host.inLow
        // Without its pin the link is the kernel's to detach, some time later; else the unload does.
        var leftAlone = host.probe(address, "ordinary")
        leftAlone.eventually = pin == "link"
        return host.fixture(
            "unload-whatever-is-missing", variant: pin,
            "A dispatcher of which a pin is gone can be unloaded all the same, and leaves the packets alone then.",
            host.scene() + [
                host.openOrdinary(address), PinnedHost.bind(host.binding(host.prefix, to: "nobody")),
                host.probe(address, .refused), PinnedHost.perform(.unpin(pin), label: "unpin"),
                PinnedHost.perform(.unload, label: "unload"), leftAlone, attached(0),
                PinnedHost.tell(.pins, ["directories": "none"]),
            ],
            sabotages: [.without("unload"), .without("bind")])
    }

    private static let oneChangesAtATime = host.fixture(
        "one-changes-at-a-time", variant: "any",
        "Whoever changes a dispatcher is alone; those who look are not in each other's way, but in that of a change.",
        host.scene() + [
            PinnedHost.refused(.bind([host.binding(host.prefix, to: "web")]), "busy", label: "bind", beside: .changing),
            PinnedHost.refused(.tell(.bindings), "busy", beside: .changing),
            PinnedHost.refused(.unload, "busy", beside: .changing),
            PinnedHost.refused(.bind([host.binding(host.prefix, to: "web")]), "busy", beside: .looking),
            PinnedHost.refused(.unload, "busy", label: "unload", beside: .looking),
            PinnedHost.perform(.tell(.bindings), ["bindings": "none"], beside: .looking),
            PinnedHost.tell(.status, ["loaded": "yes", "bindings": "0"]),
            PinnedHost.bind(host.binding(host.prefix, to: "web"), label: nil),
            PinnedHost.tell([host.binding(host.prefix, to: "web")]),
        ],
        sabotages: [
            .instead(of: "bind", "not-locked", PinnedHost.bind(host.binding(host.prefix, to: "web"), label: nil)),
            .instead(of: "unload", "unloaded-meanwhile", PinnedHost.perform(.unload)),
        ])

    private static let access: Fixture = {
        let web = host.binding(host.prefix, to: "web")
        let other = host.binding(host.plan.second, to: "web")
        func denied(_ operation: DispatcherOperation, _ performer: DispatcherStep.Performer, label: String? = nil)
            -> Step
        {
            Step(
                .dispatcher(DispatcherStep(operation, in: "server", by: performer)), label: label,
                expect: [Expectation(.fails(ErrorNumber(name: "EACCES") ?? .invalidArgument, call: nil))])
        }
        return host.fixture(
            "access", variant: "any",
            "Members of the group of a dispatcher's pins look at it and change nothing; others do not even look.",
            because: ["bpf(2): a pin is opened by its mode, whatever the capabilities"],
            host.scene() + host.open("web") + [
                PinnedHost.bind(web),
                PinnedHost.perform(.tell(.bindings), ["bindings": web.description], by: .group),
                PinnedHost.perform(
                    .tell(.status), ["loaded": "yes", "bindings": "1", "program": "not told"], by: .group),
                PinnedHost.perform(.tell(.metrics), ["all": "0 hits, 0 misses, 0 errors"], by: .group),
                denied(.bind([other]), .group, label: "change"), denied(.replace([]), .group),
                denied(.register(DispatcherSockets("web", ["web"])), .group), denied(.unload, .group),
                denied(.upgrade("dispatch_next"), .group),
            ]
                + [.tell(.bindings), .tell(.status), .bind([other]), .unload].map { denied($0, .others) } + [
                    PinnedHost.tell([web]), PinnedHost.tell(.status, ["program": "1", "sockets": "0"]),
                ],
            sabotages: [
                .without("bind"), .instead(of: "change", "changed-by-the-owner", PinnedHost.perform(.bind([other]))),
            ])
    }()

    private static func survivesItsMaker(_ host: PinnedHost) -> Fixture {
        let web = host.binding(host.prefix, to: "web")
        return host.fixture(
            "survives-its-maker",
            "Each change is made by a process that ends with it; the dispatcher goes on, with all that it was told.",
            host.scene(loading: [PinnedHost.perform(.load("dispatch"), label: "load", by: .process)])
                + host.open("web") + [
                    host.openOrdinary(host.inHigh),
                    PinnedHost.register("web", by: .process),
                    PinnedHost.bind(web, label: "bind", by: .process), PinnedHost.tell([web]),
                    PinnedHost.tell(.status, ["loaded": "yes", "bindings": "1", "sockets": "1"]),
                    PinnedHost.tell(
                        .sockets,
                        ["web \(host.variant.transport.rawValue) \(host.variant.family.rawValue)": "web active 64"]),
                    host.probe(host.inLow, "web"), host.probe(host.inHigh, "web"),
                    PinnedHost.perform(.unbind([web]), ["removed": "1"], label: "unbind", by: .process),
                    host.probe(host.inLow, .refused), host.probe(host.inHigh, "ordinary"),
                    PinnedHost.perform(.unload, label: "unload", by: .process),
                    PinnedHost.tell(.status, ["loaded": "no"]),
                ],
            sabotages: [.without("register-web"), .without("bind"), .without("unbind"), .without("unload")])
    }

    private static func ofOneNamespace(_ host: PinnedHost) -> Fixture {
        func other(_ operation: DispatcherOperation, _ facts: [String: String] = [:], label: String? = nil) -> Step {
            Step(
                .dispatcher(DispatcherStep(operation, in: "other")), label: label,
                expect: facts.isEmpty ? [] : [Expectation(.facts(facts))])
        }
        func probe(_ outcome: Outcome) -> Step {
            var probe = host.packet(host.inLow)
            probe.from = "other"
            return Step(.probe(probe), expect: [Expectation(outcome)])
        }
        let foreign = SocketDescription(
            "foreign", in: "other", host.variant.transport, bind: Endpoint(host.plan.loopback, 8001))
        return host.fixture(
            "of-one-namespace",
            "Two namespaces have a dispatcher each: neither one's bindings nor its sockets are the other's.",
            host.scene() + host.open("web") + [
                Step(.namespace("other")), Step(.localPrefix(LocalPrefix(namespace: "other", prefix: host.prefix))),
                Step(.socket(foreign)), PinnedHost.register("web"),
                PinnedHost.bind(host.binding(host.prefix, to: "web")),
                host.probe(host.inLow, "web"), probe(.refused),
                other(.tell(.status), ["loaded": "no"]), other(.load("dispatch")),
                other(.bind([host.binding(host.prefix, to: "web")])), probe(.refused),
                other(
                    .register(DispatcherSockets("web", ["web"])), ["refusal": "unsuitable socket: other namespace"]),
                probe(.refused), other(.register(DispatcherSockets("web", ["foreign"])), label: "register-foreign"),
                probe(.reaches("foreign")), host.probe(host.inLow, "web"),
                PinnedHost.perform(.unload, label: "unload"), host.probe(host.inLow, .refused),
                probe(.reaches("foreign")), other(.tell(.status), ["loaded": "yes", "bindings": "1", "sockets": "1"]),
            ],
            sabotages: [.without("register-foreign"), .without("unload"), .without("register-web")])
    }
}
