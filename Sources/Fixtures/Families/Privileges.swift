import Addressing
import Lab

/// Who may load a program, and who may attach it.
enum Privileges {
    static let fixtures: [Fixture] = [loading, attaching, attachingWithoutAny]

    private static let denied = Outcome.fails(.notPermitted, call: "bpf_object__load")
    private static let port = Endpoint(.loopback(.ipv4), 80)

    private static func load(_ capabilities: [Capability], _ outcome: Outcome) -> Step {
        let name = (["with"] + capabilities.map(\.rawValue)).joined(separator: "-")
        return Step(
            .load(ProgramLoad(name, object: "drop", capabilities: capabilities)), label: name,
            expect: [Expectation(outcome)])
    }

    private static let loading = Fixture(
        name: "privileges/loading",
        summary: "CAP_BPF is enough to load a program, and nothing else but CAP_SYS_ADMIN is: not CAP_NET_ADMIN.",
        because: [
            "capabilities(7)", "commit 2c78ee898d8f: CAP_BPF",
            "commit e9ddbb7707ff: not among the program types that need CAP_NET_ADMIN",
        ], requires: [.skLookup],
        steps: [
            load([], denied), load([.netAdmin], denied), load([.perfmon], denied), load([.netAdmin, .perfmon], denied),
            load([.bpf], .succeeds), load([.bpf, .netAdmin], .succeeds), load([.sysAdmin], .succeeds),
        ],
        sabotages: [
            Sabotage(
                "all-capabilities",
                replace: ["with": [Step(.load(ProgramLoad("x", object: "drop")), expect: [Expectation(denied)])]])
        ])

    /// A listener that a program may cut off.
    private static let listener: [Step] = [
        Step(.namespace("server")),
        Step(.socket(SocketDescription("web", in: "server", .tcp, bind: port))),
        Step(.load(ProgramLoad("drop", object: "drop"))), Step(.load(ProgramLoad("pass", object: "pass"))),
    ]

    private static func probe(_ outcome: Outcome) -> Step {
        Step(.probe(Probe(from: "server", .tcp, to: port)), expect: [Expectation(outcome)])
    }

    private static let attaching = Fixture(
        name: "privileges/attaching",
        summary:
            "Attaching and updating ask for no CAP_NET_ADMIN: who holds a program and has CAP_BPF takes a namespace's listeners.",
        because: [
            "commit e9ddbb7707ff: attaching checks the type of attachment alone", "capabilities(7)",
        ], requires: [.skLookup],
        steps: listener + [
            probe(.reaches("web")),
            Step(.attach(Attachment("link", program: "drop", to: "server", capabilities: [.bpf])), label: "attach"),
            probe(.refused),
            Step(.updateLink(LinkUpdate("link", to: "pass", capabilities: [.bpf]))), probe(.reaches("web")),
            Step(.updateLink(LinkUpdate("link", to: "drop", capabilities: [.sysAdmin]))), probe(.refused),
            Step(.detach("link")), probe(.reaches("web")),
        ],
        sabotages: [
            Sabotage(
                "pass-all-program",
                replace: [
                    "attach": [Step(.attach(Attachment("link", program: "pass", to: "server")))]
                ])
        ])

    private static let attachingWithoutAny = Fixture(
        name: "privileges/attaching-without-any",
        summary:
            "Where unprivileged bpf(2) is disabled, attaching needs CAP_BPF, and since 5.19 nothing but the program's descriptor.",
        because: ["commit c8644cd0efe7: kernel.unprivileged_bpf_disabled keeps only what makes objects"],
        requires: [.skLookup, .unprivilegedBPFDisabled],
        steps: listener + [
            probe(.reaches("web")),
            Step(
                .attach(Attachment("link", program: "drop", to: "server", capabilities: [])), label: "attach",
                expect: [
                    Expectation(
                        .fails(.notPermitted, call: "bpf(BPF_LINK_CREATE)"), until: VersionSet(KernelVersion(5, 19)),
                        because: "commit c8644cd0efe7"),
                    Expectation(.succeeds, since: VersionSet(KernelVersion(5, 19)), because: "commit c8644cd0efe7"),
                ]),
            Step(
                .probe(Probe(from: "server", .tcp, to: port)),
                expect: [
                    Expectation(
                        .reaches("web"), until: VersionSet(KernelVersion(5, 19)), because: "commit c8644cd0efe7"),
                    Expectation(.refused, since: VersionSet(KernelVersion(5, 19)), because: "commit c8644cd0efe7"),
                ]),
        ],
        sabotages: [
            // Neither is this the answer of the listener, nor is it none.
            Sabotage(
                "another-listener",
                replace: [
                    "attach": [
                        Step(.close("web")),
                        Step(.socket(SocketDescription("other", in: "server", .tcp, bind: port))),
                    ]
                ])
        ])
}
