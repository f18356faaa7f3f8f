import Addressing
import Lab

/// Random bindings of a pinned dispatcher, against a model.
enum DispatcherModels {
    static let fixtures: [Fixture] =
        [byTestRun("small-sets", seed: 1, sets: 4, bindings: 250, probes: 1500)]
        + [byTestRun("large-sets", seed: 2, sets: 2, bindings: 1500, probes: 750)]
        + PinnedHost.all.map(byPackets)

    private static let labels = ["a", "b", "c"]
    private static let summary =
        "Random sets of bindings, one in another's place, lead random packets where a model says that looks at each binding; the counters are exact."

    private static func sockets(_ host: PinnedHost, suffix: String = "") -> [Step] {
        labels.enumerated().flatMap { number, label -> [Step] in
            let name = label + suffix
            return [
                Step(
                    .socket(
                        SocketDescription(
                            name, in: "server", host.variant.transport,
                            bind: Endpoint(host.plan.loopback, 8001 + UInt16(number))))),
                Step(
                    .dispatcher(DispatcherStep(.join(DispatcherSockets(label, [name])), in: "server")),
                    label: "register-\(name)"),
            ]
        }
    }

    private static func check(_ model: DispatcherModel, _ answers: [String]) -> Step {
        Step(
            .dispatcherModel(model),
            expect: [
                Expectation(
                    .facts([
                        "disagreements": "0", "first": "none", "counters": "exact",
                        "packets": "\(model.sets * model.probes)", "answers": answers.joined(separator: ", "),
                    ]))
            ])
    }

    private static func byTestRun(
        _ id: String, seed: UInt64, sets: Int, bindings: Int, probes: Int
    ) -> Fixture {
        let suffixes = Dictionary(uniqueKeysWithValues: PinnedHost.all.map { ($0.variant, "-\($0.variant.id)") })
        let names = Dictionary(
            uniqueKeysWithValues: labels.map { label in
                (label, PinnedHost.all.map { label + (suffixes[$0.variant] ?? "") })
            })
        let answers = (names.values.flatMap(\.self) + ["drop", "pass"]).sorted()
        let model = DispatcherModel(
            in: "server", by: .testRun, seed: seed, sets: sets, bindings: bindings, probes: probes, labels: names)
        return PinnedHost.tcpIPv4.fixture(
            "as-a-model", variant: id, summary, requires: [.testRun, .ipv6],
            [Step(.namespace("server")), PinnedHost.load]
                + PinnedHost.all.flatMap { sockets($0, suffix: suffixes[$0.variant] ?? "") } + [check(model, answers)],
            sabotages: [
                .without("register-b-udp-ipv6"),
                .instead(
                    of: "register-c-tcp-ipv4", "wrong-socket",
                    PinnedHost.register("a-tcp-ipv4", under: "c")),
            ])
    }

    private static func byPackets(_ host: PinnedHost) -> Fixture {
        let model = DispatcherModel(
            in: "server", by: .packets, seed: 3, sets: 2, bindings: 60, probes: 120,
            labels: Dictionary(uniqueKeysWithValues: labels.map { ($0, [$0]) }), host.variant.transport,
            host.variant.family)
        return host.fixture(
            "packets-as-a-model", summary,
            host.scene() + sockets(host) + [check(model, ["a", "b", "c", "drop", "pass"])],
            sabotages: [
                .without("register-b"),
                .instead(of: "register-c", "wrong-socket", PinnedHost.register("a", under: "c")),
            ])
    }
}
