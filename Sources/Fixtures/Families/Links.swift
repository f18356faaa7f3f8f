import Addressing
import Lab

/// Links between programs and network namespaces: how many, in which order, replaced, detached, kept and lost.
enum Links {
    static let fixtures: [Fixture] =
        [refusals, pins]
        + Variant.all.flatMap { [limit($0), order($0), update($0), lifetime($0), isolation($0)] }

    private static let because = [
        "commit e9ddbb7707ff: sk_lookup programs attach by links, up to 64 in a namespace",
        "commit b27f7bb590ba: links of network namespaces", "Documentation/bpf/prog_sk_lookup.rst",
    ]

    private static func fixture(
        _ name: String, _ variant: Variant?, _ summary: String, _ steps: [Step], sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: "links/\(name)", variant: variant?.id, summary: summary, because: because,
            requires: [.skLookup] + (variant?.features ?? []), steps: steps, sabotages: sabotages)
    }

    private static func load(_ name: String, _ object: String) -> Step {
        Step(.load(ProgramLoad(name, object: object)))
    }

    /// Drops what is asked. It leaves the ICMP error that tells of it alone: a client that is not connected is looked up
    /// for that, too, and a program that drops everything keeps it from being told.
    private static let drop = Step(
        .load(ProgramLoad("drop", script: [.onlyLocalPort(ScriptedLookups.port), .verdict(.drop)])))

    private static func attach(_ link: String, _ program: String, to namespace: String = "server") -> Step {
        Step(.attach(Attachment(link, program: program, to: namespace)), label: "attach-\(link)")
    }

    private static func detach(_ link: String) -> Step { Step(.detach(link), label: "detach-\(link)") }

    private static func fails(_ action: Action, _ errno: ErrorNumber, _ call: String) -> Step {
        Step(action, expect: [Expectation(.fails(errno, call: call))])
    }

    private static func update(_ link: String, to program: String, replacing: String? = nil) -> Action {
        .updateLink(LinkUpdate(link, to: program, replacing: replacing))
    }

    /// The namespace's programs, as the kernel lists them.
    private static func attached(_ programs: [String], to namespace: String = "server") -> Step {
        Step(
            .query(ProgramQuery(namespace)),
            expect: [
                Expectation(
                    .facts([
                        "programs": programs.joined(separator: ", "), "count": "\(programs.count)", "flags": "0",
                    ]))
            ])
    }

    private static func information(_ link: String, program: String, namespace: String) -> Step {
        Step(
            .linkInformation(link),
            expect: [
                Expectation(
                    .facts([
                        "program": program, "namespace": namespace, "type": "netns", "attach-type": "sk_lookup",
                        "identified": "yes",
                    ]))
            ])
    }

    private static func limit(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        let full = Array(repeating: "first", count: 64)
        return fixture(
            "sixty-four-in-a-namespace", variant,
            "A namespace takes 64 links and refuses the 65th with E2BIG; each of the 64 runs, and another namespace has its own 64.",
            lookups.network() + [
                lookups.load("first"), lookups.script("first", []),
                Step(.attach(Attachment("link", program: "first", to: "server", copies: 63))),
                attached(Array(full.dropLast())),
                attach("last", "first"), attached(full),
                Step(
                    .attach(Attachment("excess", program: "first", to: "server")), label: "excess",
                    expect: [Expectation(.fails(.tooBig, call: "bpf(BPF_LINK_CREATE)"))]),
                attached(full), lookups.probe(.reaches("ordinary")),
                Step(.ran(["first"]), label: "runs", expect: [Expectation(.facts(["first": "64"]))]),
                Step(.namespace("other")), attach("other", "first", to: "other"), attached(["first"], to: "other"),
                Step(.detach("link[7]")), attached(Array(full.dropLast())),
                Step(.attach(Attachment("again", program: "first", to: "server"))), attached(full),
                lookups.probe(.reaches("ordinary")),
                Step(.ran(["first"]), expect: [Expectation(.facts(["first": "64"]))]),
            ],
            sabotages: [Sabotage("one-less", omit: ["attach-last"])])
    }

    /// What the calls refuse, whoever asks.
    private static let refusals = fixture(
        "refused-calls", nil,
        "Flags that are not defined, programs of another type, attaching and detaching without a link, and queries without room are refused by errno.",
        [
            Step(.namespace("server")), load("pass", "pass"), load("drop", "drop"), load("filter", "filter"),
            fails(
                .attach(Attachment("x", program: "pass", to: "server", flags: 1)), .invalidArgument,
                "bpf(BPF_LINK_CREATE)"),
            fails(.attach(Attachment("x", program: "filter", to: "server")), .invalidArgument, "bpf(BPF_LINK_CREATE)"),
            fails(
                .attachWithoutLink(LinklessAttachment("pass", to: "server")), .invalidArgument, "bpf(BPF_PROG_ATTACH)"),
            fails(
                .detachWithoutLink(LinklessAttachment("pass", to: "server")), .invalidArgument, "bpf(BPF_PROG_DETACH)"),
            attached([]),
            attach("one", "pass"), attach("two", "drop"), attach("three", "pass"),
            fails(
                .attachWithoutLink(LinklessAttachment("pass", to: "server")), .invalidArgument, "bpf(BPF_PROG_ATTACH)"),
            fails(
                .detachWithoutLink(LinklessAttachment("pass", to: "server")), .invalidArgument, "bpf(BPF_PROG_DETACH)"),
            fails(.query(ProgramQuery("server", flags: 1)), .invalidArgument, "bpf(BPF_PROG_QUERY)"),
            fails(.query(ProgramQuery("server", room: 2)), .noSpace, "bpf(BPF_PROG_QUERY)"),
            Step(
                .query(ProgramQuery("server", room: 0)), expect: [Expectation(.facts(["count": "3", "programs": ""]))]),
            Step(
                .query(ProgramQuery("server", room: 3)), label: "query",
                expect: [Expectation(.facts(["count": "3", "programs": "pass, drop, pass", "flags": "0"]))]),
            fails(update("one", to: "filter"), .invalidArgument, "bpf(BPF_LINK_UPDATE)"),
            fails(update("one", to: "drop", replacing: "drop"), .notPermitted, "bpf(BPF_LINK_UPDATE)"),
            // The program that must be there is looked at before the type of the new one.
            fails(update("one", to: "filter", replacing: "drop"), .notPermitted, "bpf(BPF_LINK_UPDATE)"),
            attached(["pass", "drop", "pass"]), detach("one"),
            // A link that is not attached cannot be updated, which is found out last.
            fails(update("one", to: "drop"), .noLink, "bpf(BPF_LINK_UPDATE)"),
            fails(update("one", to: "drop", replacing: "drop"), .notPermitted, "bpf(BPF_LINK_UPDATE)"),
            fails(update("one", to: "filter"), .invalidArgument, "bpf(BPF_LINK_UPDATE)"),
            attached(["drop", "pass"]),
            // Detached once more, it stays as it is.
            Step(.detach("one")), information("one", program: "pass", namespace: "none"),
            information("two", program: "drop", namespace: "server"),
        ], sabotages: [Sabotage("one-link-less", omit: ["attach-three"])])

    /// A link goes some time after its last holder: a pin's file is freed after an RCU grace period.
    private static let gone = Step(
        .query(ProgramQuery("server")), eventually: true,
        expect: [Expectation(.facts(["programs": "", "count": "0"]))])

    private static let pins = fixture(
        "pinned-links-stay", nil,
        "A link goes with its last descriptor unless it is pinned; one that is opened by its pin is the same link, and goes when pin and descriptors have.",
        {
            let lookups = ScriptedLookups(variant: Variant(transport: .udp, family: .ipv6))
            return lookups.network() + [
                load("pass", "pass"), drop, attach("dropping", "drop"),
                lookups.probe(.refused), Step(.letGoOfLink("dropping")), gone,
                lookups.probe(.reaches("ordinary")), attach("pinned", "drop"),
                Step(.pinLink(LinkPin("pinned", at: "kept")), label: "pin"),
                Step(.letGoOfLink("pinned")), attached(["drop"]), lookups.probe(.refused),
                Step(.openLink(LinkPin("opened", at: "kept"))),
                information("opened", program: "drop", namespace: "server"),
                Step(update("opened", to: "pass", replacing: "drop")), lookups.probe(.reaches("ordinary")),
                Step(update("opened", to: "drop")), Step(.unpin("kept")), lookups.probe(.refused),
                Step(.letGoOfLink("opened")), gone, lookups.probe(.reaches("ordinary")),
            ]
        }(),
        sabotages: [
            Sabotage(
                "pass-in-place-of-drop",
                replace: ["attach-pinned": [Step(.attach(Attachment("pinned", program: "pass", to: "server")))]])
        ])

    private static func order(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        let names = ["first", "second", "third", "fourth"]
        func running(_ names: [String]) -> [Step] {
            [attached(names), lookups.probe(.reaches("ordinary")), lookups.ran(names)]
        }
        return fixture(
            "in-the-order-attached", variant,
            "Programs run in the order their links were made in; one that is detached leaves its place, one that is updated keeps it.",
            lookups.network() + names.map(lookups.load) + names.map { lookups.script($0, []) }
                + [lookups.load("fifth"), lookups.script("fifth", [])]
                + names.dropLast().map(lookups.attach) + running(["first", "second", "third"])
                + [detach("second")] + running(["first", "third"])
                + [Step(.ran(["second"]), expect: [Expectation(.facts(["second": "0"]))])]
                + [lookups.attach("fourth")] + running(["first", "third", "fourth"])
                + [Step(update("first", to: "second", replacing: "first"))] + running(["second", "third", "fourth"])
                + [Step(update("third", to: "first"))] + running(["second", "first", "fourth"])
                + [Step(update("fourth", to: "fifth"))] + running(["second", "first", "fifth"])
                // The first of them, and then the last.
                + [detach("first")] + running(["first", "fifth"])
                + [Step(.attach(Attachment("again", program: "second", to: "server")))]
                + running(["first", "fifth", "second"])
                + [Step(.detach("again"))] + running(["first", "fifth"]),
            sabotages: [
                Sabotage(
                    "attached-in-another-order",
                    replace: [
                        "attach-first": [Step(.attach(Attachment("first", program: "second", to: "server")))],
                        "attach-second": [Step(.attach(Attachment("second", program: "first", to: "server")))],
                    ]),
                Sabotage("not-detached", omit: ["detach-second"]),
            ])
    }

    private static func update(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        func alternate(_ times: Int) -> [Step] {
            (0..<times).flatMap { _ in
                [
                    Step(update("link", to: "to-b", replacing: "to-a")), lookups.probe(.reaches("b")),
                    Step(update("link", to: "to-a", replacing: "to-b")), lookups.probe(.reaches("a")),
                ]
            }
        }
        return fixture(
            "updated-for-the-next-packet", variant,
            "An updated link runs its new program from the next packet on and never the old one; a refused update changes nothing.",
            lookups.network() + [
                lookups.socket("a", port: 8001), lookups.socket("b", port: 8002), lookups.load("to-a"),
                lookups.load("to-b"),
            ] + lookups.register("a", with: ["to-a"]) + lookups.register("b", with: ["to-b"])
                + [
                    lookups.script("to-a", [.select("a")]), lookups.script("to-b", [.select("b")]),
                    drop,
                    load("filter", "filter"),
                    Step(.attach(Attachment("link", program: "to-a", to: "server")), label: "attach"),
                    lookups.probe(.reaches("a")),
                    Step(.ran(["to-a", "to-b"]), expect: [Expectation(.facts(["to-a": "1", "to-b": "0"]))]),
                    Step(update("link", to: "to-b"), label: "update"),
                    information("link", program: "to-b", namespace: "server"),
                    lookups.probe(.reaches("b")),
                    Step(.ran(["to-a", "to-b"]), expect: [Expectation(.facts(["to-a": "0", "to-b": "1"]))]),
                    fails(
                        update("link", to: "drop", replacing: "to-a"), .notPermitted,
                        "bpf(BPF_LINK_UPDATE)"),
                    fails(update("link", to: "filter"), .invalidArgument, "bpf(BPF_LINK_UPDATE)"),
                    information("link", program: "to-b", namespace: "server"), attached(["to-b"]),
                    lookups.probe(.reaches("b")),
                    // To the same program as before.
                    Step(update("link", to: "to-b", replacing: "to-b")), lookups.probe(.reaches("b")),
                    Step(update("link", to: "drop")), lookups.probe(.refused),
                    Step(update("link", to: "to-a", replacing: "drop")), lookups.probe(.reaches("a")),
                ] + alternate(4) + [attached(["to-a"])],
            sabotages: [Sabotage("not-updated", omit: ["update"])])
    }

    private static func lifetime(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        return fixture(
            "end-with-their-namespace", variant,
            "A namespace that ends leaves its links without one: they keep their program, cannot be updated (ENOLINK), and disturb no other namespace.",
            lookups.network() + [
                drop, load("pass", "pass"), Step(.namespace("mortal")),
                attach("theirs", "drop", to: "mortal"), attach("theirs-too", "drop", to: "mortal"),
                attach("ours", "drop"), information("theirs", program: "drop", namespace: "mortal"),
                lookups.probe(.refused), Step(.removeNamespace("mortal"), label: "remove"),
                information("theirs", program: "drop", namespace: "none"),
                information("theirs-too", program: "drop", namespace: "none"),
                information("ours", program: "drop", namespace: "server"),
                fails(update("theirs", to: "pass"), .noLink, "bpf(BPF_LINK_UPDATE)"),
                fails(
                    update("theirs", to: "pass", replacing: "pass"), .notPermitted,
                    "bpf(BPF_LINK_UPDATE)"),
                information("theirs", program: "drop", namespace: "none"), Step(.detach("theirs")),
                Step(.letGoOfLink("theirs-too")), Step(.letGoOfLink("theirs")),
                // The switch that all namespaces share counts the links: it must not have been turned off.
                attached(["drop"]), lookups.probe(.refused), Step(update("ours", to: "pass")),
                lookups.probe(.reaches("ordinary")), Step(update("ours", to: "drop")), lookups.probe(.refused),
                Step(.detach("ours")), lookups.probe(.reaches("ordinary")),
            ],
            sabotages: [
                Sabotage("not-removed", omit: ["remove"]),
                Sabotage(
                    "not-attached",
                    replace: [
                        "attach-ours": [Step(.attach(Attachment("ours", program: "pass", to: "server")))]
                    ]),
            ])
    }

    private static func isolation(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        let other = Step(
            .socket(
                SocketDescription("elsewhere", in: "other", variant.transport, bind: lookups.destination)))
        func probeOther(_ outcome: Outcome) -> Step {
            Step(
                .probe(Probe(from: "other", variant.transport, to: lookups.destination)),
                expect: [Expectation(outcome)])
        }
        func ran(_ here: Int, _ there: Int) -> Step {
            Step(
                .ran(["here", "there"]),
                expect: [Expectation(.facts(["here": "\(here)", "there": "\(there)"]))])
        }
        return fixture(
            "of-one-namespace-only", variant,
            "A program runs for the packets of the namespaces that it is attached to and for no other's; detached from one, it stays with the other.",
            lookups.network() + [
                Step(.namespace("other")), other, lookups.load("here"), lookups.load("there"),
                lookups.script("here", [.verdict(.drop)]), lookups.script("there", [.verdict(.drop)]),
                lookups.probe(.reaches("ordinary")), probeOther(.reaches("elsewhere")),
                attach("here", "here"), lookups.probe(.refused), probeOther(.reaches("elsewhere")), ran(1, 0),
                attached(["here"]), attached([], to: "other"),
                Step(.attach(Attachment("there", program: "there", to: "other"))), lookups.probe(.refused),
                probeOther(.refused), ran(1, 1), attached(["there"], to: "other"),
                Step(.detach("here")), lookups.probe(.reaches("ordinary")), probeOther(.refused), ran(0, 1),
                attached([]), attached(["there"], to: "other"),
                // One program in two namespaces, by two links.
                Step(.attach(Attachment("there-too", program: "there", to: "server"))), lookups.probe(.refused),
                probeOther(.refused), ran(0, 2), Step(.detach("there")), lookups.probe(.refused),
                probeOther(.reaches("elsewhere")), ran(0, 1),
            ],
            sabotages: [
                Sabotage(
                    "attached-to-the-other",
                    replace: ["attach-here": [Step(.attach(Attachment("here", program: "here", to: "other")))]])
            ])
    }
}
