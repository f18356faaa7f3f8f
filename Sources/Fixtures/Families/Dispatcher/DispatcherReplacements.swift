import Addressing
import Lab

/// A whole set of bindings in the place of another.
enum DispatcherReplacements {
    static let fixtures: [Fixture] = PinnedHost.all.flatMap { [differences($0), underLoad($0)] }

    private static func differences(_ host: PinnedHost) -> Fixture {
        let names = ["a", "b", "c"]
        let (prefix, low, second) = (host.prefix, host.low, host.plan.second)
        func bind(_ prefix: Prefix, _ label: String, ports: PortRange = PortRange(80), pass: Bool = false)
            -> DispatcherBinding
        {
            host.binding(prefix, ports, to: label, elsePass: pass)
        }
        // Each in the place of the one before: what that adds, removes and changes, and who has which address then.
        let sets: [([DispatcherBinding], (Int, Int, Int), [String?])] = [
            ([], (0, 0, 0), [nil, nil, nil]),
            ([bind(prefix, "a")], (1, 0, 0), ["a", "a", nil]),
            ([bind(prefix, "a")], (0, 0, 0), ["a", "a", nil]),
            ([bind(prefix, "a"), bind(low, "b")], (1, 0, 0), ["b", "a", nil]),
            ([bind(low, "b")], (0, 1, 0), ["b", nil, nil]),
            ([bind(low, "c")], (0, 0, 1), ["c", nil, nil]),
            ([bind(prefix, "c")], (1, 1, 0), ["c", "c", nil]),
            ([bind(prefix, "a"), bind(low, "b"), bind(second, "c")], (2, 0, 1), ["b", "a", "c"]),
            ([bind(second, "b"), bind(prefix, "c"), bind(low, "a")], (0, 0, 3), ["a", "c", "b"]),
            ([bind(low, "a", pass: true), bind(second, "b"), bind(prefix, "c")], (0, 0, 1), ["a", "c", "b"]),
            (
                [bind(prefix, "b", ports: .from(80, to: 81)), bind(second, "b")], (1, 2, 0), ["b", "b", "b"]
            ),
            ([], (0, 2, 0), [nil, nil, nil]),
        ]
        let addresses = [host.inLow, host.inHigh, second.host(1)]
        let steps = sets.enumerated().flatMap { number, expected -> [Step] in
            let (bindings, (added, removed, changed), answers) = expected
            return [
                PinnedHost.perform(
                    .replace(bindings), ["added": "\(added)", "removed": "\(removed)", "changed": "\(changed)"],
                    label: "replace-\(number)"),
                PinnedHost.tell(bindings),
            ] + zip(addresses, answers).map { host.probe($0, $1.map { .reaches($0) } ?? .refused) }
        }
        let (first, seventh) = (sets[1].0, sets[7].0)
        return host.fixture(
            "replace",
            "Whatever two sets of bindings have in common, the one takes the place of the other, and says what was added, removed and changed.",
            host.scene() + host.open("a", "b", "c") + PinnedHost.registerEach(names) + steps,
            sabotages: [
                .instead(of: "replace-4", "bound-instead", PinnedHost.perform(.bind(sets[4].0))),
                .instead(of: "replace-1", "another-set", PinnedHost.perform(.replace(seventh))),
                .instead(of: "replace-11", "not-emptied", PinnedHost.perform(.replace(first))),
            ])
    }

    private static func underLoad(_ host: PinnedHost) -> Fixture {
        let second = host.plan.second
        let halves = (0..<2).map { second.part($0, bits: 1) }
        // The one leads all to a, the other all to b; in either, `never` has what the other one's narrower bindings
        // take. A set of which only a part is there leads some packet to it, whichever part came first.
        let first =
            [
                host.binding(host.prefix, to: "never"), host.binding(host.low, to: "a"),
                host.binding(host.high, to: "a"), host.binding(second, to: "a"),
            ]
            + (1...8).map { host.binding(host.prefix, PortRange(80 + UInt16($0)), to: "never") }
        let other =
            [host.binding(host.prefix, to: "b"), host.binding(second, to: "never")]
            + halves.map { host.binding($0, to: "b") }
        func changes(_ operations: [DispatcherOperation], rounds: Int) -> Step {
            Step(
                .dispatcherChanges(
                    DispatcherChanges(
                        in: "server", operations, rounds: rounds,
                        probes: [host.inLow, second.host(1), host.inHigh, second.host(200)].map { host.packet($0) })),
                label: "changes",
                expect: [
                    Expectation(
                        .facts(["changes": "16", "changes of answers": "16", "answers": "a, b", "probes": "enough"]))
                ])
        }
        return host.fixture(
            "replacements-under-load",
            "While one set takes another's place over and over, each flow is led by all of the one or all of the other: the answers change once with each replacement, and never belong to a mixture.",
            host.scene() + host.open("a", "b", "never") + PinnedHost.registerEach(["a", "b", "never"]) + [
                PinnedHost.perform(.replace(first), ["added": "12"]), host.probe(host.inLow, "a"),
                changes([.replace(other), .replace(first)], rounds: 8),
                PinnedHost.tell(.metrics, ["all misses": "0", "all errors": "0"]), PinnedHost.tell(first),
            ],
            sabotages: [
                .instead(
                    of: "changes", "piece-by-piece",
                    changes(
                        [
                            .bind(other), .unbind(Array(first[1...2]) + first[4...]), .bind(Array(first[...3])),
                            .unbind(Array(other[2...3])), .bind(Array(first[4...])),
                        ], rounds: 1)),
                .instead(
                    of: "changes", "a-gap", changes([.replace(other), .replace([]), .replace(first)], rounds: 2)),
            ])
    }
}
