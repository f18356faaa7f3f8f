import Addressing
import Lab

/// Several programs in one namespace: all run, in the order they were attached in, and their answers are put together.
enum Programs {
    static let fixtures: [Fixture] = Variant.all.flatMap { [verdicts($0), selections($0)] }

    private static let names = ["first", "second", "third"]

    private static let because = [
        "commit e9ddbb7707ff: a selection wins over every drop, the last selection wins, else any drop refuses",
        "Documentation/bpf/prog_sk_lookup.rst",
    ]

    /// The scripts of the three programs, and what becomes of a packet.
    private struct Case {
        var scripts: [[ScriptOperation]]
        var outcome: Outcome
        /// What a program must have recorded.
        var records: [String: [String: String]]

        init(
            _ first: [ScriptOperation], _ second: [ScriptOperation], _ third: [ScriptOperation] = [],
            gives outcome: Outcome, records: [String: [String: String]] = [:]
        ) {
            scripts = [first, second, third]
            self.outcome = outcome
            self.records = records
        }
    }

    private static func fixture(
        _ name: String, _ variant: Variant, _ summary: String, _ cases: [Case]
    ) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        var current = names.map { _ in [ScriptOperation]() }
        var asked: [Step] = []
        for (index, each) in cases.enumerated() {
            for program in names.indices where index == 0 || current[program] != each.scripts[program] {
                asked.append(lookups.script(names[program], each.scripts[program]))
                current[program] = each.scripts[program]
            }
            asked.append(lookups.probe(each.outcome))
            if each.records.isEmpty {
                asked.append(lookups.ran(names))
            } else {
                // Whoever is asked for its record begins to count anew, and so do the others.
                for program in names {
                    asked.append(lookups.recorded(program, ["runs": "1"].merging(each.records[program] ?? [:]) { $1 }))
                }
            }
        }
        return Fixture(
            name: "programs/\(name)", variant: variant.id, summary: summary, because: because,
            requires: [.skLookup] + variant.features,
            steps: lookups.network() + [lookups.socket("a", port: 8001), lookups.socket("b", port: 8002)]
                + names.map(lookups.load) + lookups.register("a", with: names) + lookups.register("b", with: names)
                + names.map(lookups.attach) + asked,
            sabotages: [
                Sabotage("second-not-attached", omit: ["attach-second"]),
                Sabotage(
                    "attached-in-another-order",
                    replace: [
                        "attach-first": [attached("second", variant)], "attach-second": [attached("first", variant)],
                    ]),
            ])
    }

    private static func verdicts(_ variant: Variant) -> Fixture {
        let (drop, a): ([ScriptOperation], [ScriptOperation]) = ([.verdict(.drop)], [.select("a")])
        let cases = [
            Case([], [], gives: .reaches("ordinary")),
            Case([], [], drop, gives: .refused),
            Case([], drop, gives: .refused),
            Case(drop, [], gives: .refused),
            Case(drop, [], [.verdict(.pass)], gives: .refused),
            Case(drop, drop, gives: .refused),
            Case(drop, drop, drop, gives: .refused),
            Case([], a, gives: .reaches("a")),
            Case(a, [], gives: .reaches("a")),
            Case([], [], a, gives: .reaches("a")),
            Case(drop, a, gives: .reaches("a")),
            Case(a, drop, gives: .reaches("a")),
            Case(a, drop, drop, gives: .reaches("a")),
            Case(drop, a, drop, gives: .reaches("a")),
            Case(drop, drop, a, gives: .reaches("a")),
            Case(a, [], drop, gives: .reaches("a")),
            Case([], drop, a, gives: .reaches("a")),
            // A selection of a program that drops counts for nothing.
            Case(a + drop, [], gives: .refused),
            Case([], a + drop, gives: .refused),
            Case(a + drop, [], a, gives: .reaches("a")),
        ]
        return fixture(
            "verdicts-together", variant,
            "All programs run, in the order they were attached in; a selection wins over every drop, and without one any drop refuses.",
            cases)
    }

    private static func selections(_ variant: Variant) -> Fixture {
        let drop = ScriptOperation.verdict(.drop)
        let cases = [
            // What one selected, the next one finds, and must say that it means to replace it.
            Case(
                [.select("a")], [.select("b")], gives: .reaches("a"),
                records: [
                    "first": ["2 result": "0", "2 selected": "a"],
                    "second": ["1 selected": "a", "2 result": "EEXIST", "2 selected": "a"],
                    "third": ["1 selected": "a"],
                ]),
            Case(
                [.select("a")], [.select("b", flags: [.replace])], gives: .reaches("b"),
                records: [
                    "first": ["1 selected": "none", "2 selected": "a"],
                    "second": ["1 selected": "a", "2 result": "0", "2 selected": "b"],
                    "third": ["1 selected": "b"],
                ]),
            Case(
                [.select("a")], [.select("b", flags: [.replace])], [.select("a", flags: [.replace])],
                gives: .reaches("a"),
                records: ["third": ["1 selected": "b", "2 result": "0", "2 selected": "a"]]),
            Case(
                [.select("a")], [.select("a", flags: [.replace])], [.select("b", flags: [.replace])],
                gives: .reaches("b"),
                records: ["third": ["1 selected": "a", "2 result": "0"]]),
            // No selection is remembered of a program that ends with none: an earlier one cannot be cleared, although
            // that program itself sees none.
            Case(
                [.select("a")], [.select(nil, flags: [.replace])], gives: .reaches("a"),
                records: [
                    "second": ["1 selected": "a", "2 result": "0", "2 selected": "none"],
                    "third": ["1 selected": "a"],
                ]),
            Case(
                [.select("a")], [.select(nil, flags: [])], gives: .reaches("a"),
                records: ["second": ["2 result": "EEXIST", "2 selected": "a"]]),
            Case(
                [.select("a")], [.select(nil, flags: [.replace]), drop], gives: .reaches("a"),
                records: ["third": ["1 selected": "a"]]),
            Case(
                [.select("a")], [.select(nil, flags: [.replace]), .select("b")], gives: .reaches("b"),
                records: ["second": ["2 selected": "none", "3 result": "0"], "third": ["1 selected": "b"]]),
            Case(
                [.select("a")], [.select("b", flags: [.replace])], [.select(nil, flags: [.replace])],
                gives: .reaches("b"),
                records: ["third": ["1 selected": "b", "2 selected": "none"]]),
            // Nor is that of one that drops.
            Case(
                [.select("a"), drop], [.select("b")], gives: .reaches("b"),
                records: ["second": ["1 selected": "none", "2 result": "0"], "third": ["1 selected": "b"]]),
            Case(
                [.select("a")], [.select("b", flags: [.replace]), drop], gives: .reaches("a"),
                records: ["second": ["2 result": "0", "2 selected": "b"], "third": ["1 selected": "a"]]),
            Case(
                [.select("a")], [.select("b", flags: [.replace]), drop], [.select("b", flags: [.replace])],
                gives: .reaches("b"), records: ["third": ["1 selected": "a", "2 result": "0"]]),
            Case(
                [], [.select("a"), drop], [], gives: .refused,
                records: ["second": ["2 result": "0"], "third": ["1 selected": "none"]]),
        ]
        return fixture(
            "selections-together", variant,
            "The last selection wins; a later program sees it and must replace it, and can clear it neither with no socket nor by dropping.",
            cases)
    }

    private static func attached(_ program: String, _ variant: Variant) -> Step {
        var step = ScriptedLookups(variant: variant).attach(program)
        step.label = nil
        return step
    }
}
