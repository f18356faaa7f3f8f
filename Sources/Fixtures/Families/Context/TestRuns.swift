import Addressing
import Lab

/// BPF_PROG_TEST_RUN: a program asked without a packet.
enum TestRuns {
    static let fixtures: [Fixture] =
        Variant.all.flatMap { variant in
            [
                refusals(variant), sizes(variant), selection(variant), reuseport(variant), unsuitable(variant),
                programGiven(variant), repetition(variant), agreement(variant),
            ]
        } + TransportProtocol.allCases.map(dualStack)

    private static let because = ["commit 7c32e8f8bc33: bpf_prog_test_run_sk_lookup()"]

    private static func fixture(
        _ name: String, _ variant: Variant, id: String? = nil, _ summary: String, _ steps: [Step],
        because more: [String] = [], sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: "test-run/\(name)", variant: id ?? variant.id, summary: summary, because: because + more,
            requires: [.skLookup, .testRun] + variant.features, steps: [Step(.namespace("server"))] + steps,
            sabotages: sabotages)
    }

    private static func fields(_ variant: Variant) -> ContextFields {
        PacketView.packets(variant.transport, variant.family)[0].fields
    }

    private static func passed(_ more: [String: String] = [:]) -> [Expectation] {
        [
            Expectation(
                .facts(
                    ["returned": "pass", "selected": "none", "context-out": "as given"].merging(more) { $1 }))
        ]
    }

    private static func fails(_ name: String) -> Outcome {
        guard let errno = ErrorNumber(name: name) else { preconditionFailure("'\(name)' is no errno") }
        return .fails(errno, call: "bpf(BPF_PROG_TEST_RUN)")
    }

    private static func refused(_ name: String) -> [Expectation] { [Expectation(fails(name))] }

    private static func run(_ run: ContextRun, label: String? = nil, _ expect: [Expectation]) -> Step {
        Step(.testRunContext(run), label: label, expect: expect)
    }

    private static let ingressSince = VersionSet(KernelVersion(5, 17))
    private static let ingressBecause = "commit f89315650ba3: the context ends after ingress_ifindex, not before"

    // MARK: What is refused

    private static func refusals(_ variant: Variant) -> Fixture {
        func changed(_ change: (inout ContextFields) -> Void) -> ContextRun {
            var fields = fields(variant)
            change(&fields)
            return ContextRun("pass", fields)
        }
        let good = fields(variant)
        // Behind local_port all must be 0. What a kernel does not know it refuses for its size.
        let trailing = [
            Expectation(fails("E2BIG"), until: ingressSince, because: ingressBecause),
            Expectation(fails("EINVAL"), since: ingressSince, because: ingressBecause),
        ]
        func byte(at offset: Int, _ expect: [Expectation]) -> Step {
            run(ContextRun("pass", good, byte: ContextByte(at: offset, 1)), expect)
        }
        let steps =
            [
                Step(.load(ProgramLoad("pass", object: "pass"))), run(ContextRun("pass", good), passed()),
                // The socket is what comes out; each byte of it counts.
                run(changed { $0.cookie = 1 }, label: "cookie", refused("EINVAL")),
            ] + [1, 3, 4, 7].map { byte(at: $0, refused("EINVAL")) }
            + [
                run(changed { $0.localPort = 0 }, passed()), run(changed { $0.localPort = 65535 }, passed()),
                run(changed { $0.localPort = 65536 }, label: "port", refused("ERANGE")),
                run(changed { $0.localPort = .max }, refused("ERANGE")),
            ]
            // AF_UNSPEC, AF_UNIX, and the neighbours of AF_INET and AF_INET6.
            + [0, 1, 3, 9, 11].map { family in
                run(changed { $0.family = family }, label: family == 0 ? "family" : nil, refused("EAFNOSUPPORT"))
            }
            + [run(changed { $0.ingressIndex = 1 }, label: "interface", trailing)]
            + [64, 65, 67, 68, 71].map { byte(at: $0, trailing) }
            + [72, 73, 79].map { offset in
                run(ContextRun("pass", good, size: 80, byte: ContextByte(at: offset, 1)), refused("E2BIG"))
            }
            + [
                run(ContextRun("pass", good, flags: 1), label: "flags", refused("EINVAL")),
                run(ContextRun("pass", good, flags: 2), refused("EINVAL")),
                run(ContextRun("pass", good, cpu: 1), refused("EINVAL")),
                run(ContextRun("pass", good, batchSize: 1), refused("EINVAL")),
                run(ContextRun("pass", good, dataIn: 64), label: "data", refused("EINVAL")),
                run(ContextRun("pass", good, dataOut: 64), refused("EINVAL")),
                run(ContextRun("pass", nil, sizeOut: 0), refused("EINVAL")),
                run(ContextRun("pass", good), passed()),
            ]
        return fixture(
            "refusals", variant,
            "A test-run is refused for a socket given, a port above 65535, another family, an interface, flags, data, or a context that is too long or missing; and gives nothing back.",
            steps,
            sabotages: ["cookie": "EINVAL", "port": "ERANGE", "flags": "EINVAL", "data": "EINVAL"]
                .sorted { $0.key < $1.key }.map { label, errno in
                    Sabotage(
                        "nothing-wrong-with-the-\(label)",
                        replace: [label: [run(ContextRun("pass", good), refused(errno))]])
                })
    }

    private static func sizes(_ variant: Variant) -> Fixture {
        let good = fields(variant)
        func told(_ size: String) -> [String: String] { ["size-out": size] }
        return fixture(
            "context-sizes", variant,
            "A context may be shorter than the kernel's, the rest being 0, or longer by zeros up to a page; as much as there is room for comes back.",
            [
                Step(.load(ProgramLoad("pass", object: "pass"))),
                run(
                    ContextRun("pass", good), label: "whole",
                    [
                        Expectation(passed(told("64"))[0].outcome, until: ingressSince, because: ingressBecause),
                        Expectation(passed(told("72"))[0].outcome, since: ingressSince, because: ingressBecause),
                    ]),
                run(ContextRun("pass", good, size: 64), passed()),
                run(ContextRun("pass", good, size: 12), passed()),
                run(ContextRun("pass", good, size: 10), passed()),
                // The family is not within it, and so 0; as if no context is given but asked for.
                run(ContextRun("pass", good, size: 8), label: "short", refused("EAFNOSUPPORT")),
                run(ContextRun("pass", nil), refused("EAFNOSUPPORT")),
                run(ContextRun("pass", good, size: 80), passed()),
                run(ContextRun("pass", good, size: 4096), passed()),
                run(ContextRun("pass", good, size: 4097), refused("E2BIG")),
                run(ContextRun("pass", good, sizeOut: 0), [Expectation(.facts(["returned": "pass"]))]),
                run(ContextRun("pass", good, sizeOut: 8), refused("ENOSPC")),
                run(ContextRun("pass", good, sizeOut: 96), passed()),
            ],
            sabotages: [
                Sabotage(
                    "long-enough",
                    replace: ["short": [run(ContextRun("pass", good, size: 12), refused("EAFNOSUPPORT"))]])
            ])
    }

    // MARK: What comes back

    private static func scripted(_ lookups: ScriptedLookups, _ sockets: [Step]) -> [Step] {
        sockets + [lookups.load("script")]
    }

    private static func decided(_ returned: String, _ selected: String) -> [Expectation] {
        [Expectation(.facts(["returned": returned, "selected": selected, "context-out": "as given"]))]
    }

    private static func script(_ operations: [ScriptOperation]) -> Step {
        Step(.script(ScriptChange("script", operations)))
    }

    private static func selection(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        let good = ContextRun("script", fields(variant))
        let cases: [([ScriptOperation], String, String)] = [
            ([], "pass", "none"), ([.verdict(.pass)], "pass", "none"), ([.verdict(.drop)], "drop", "none"),
            ([.select("a")], "pass", "a"), ([.select("b")], "pass", "b"),
            ([.select("a"), .select("b")], "pass", "a"),
            ([.select("a"), .select("b", flags: [.replace])], "pass", "b"),
            ([.select("a"), .select(nil, flags: [.replace])], "pass", "none"),
            ([.select(nil, flags: [])], "pass", "none"),
            // What is selected counts only with the verdict pass.
            ([.select("a"), .verdict(.drop)], "drop", "none"),
        ]
        return fixture(
            "verdict-and-selection", variant,
            "A test-run gives back the verdict and the cookie of the selected socket, if one is selected and the verdict is pass.",
            scripted(lookups, [lookups.socket("a", port: 8001), lookups.socket("b", port: 8002)])
                + lookups.register("a", with: ["script"], label: "register-a")
                + lookups.register("b", with: ["script"])
                + cases.flatMap { [script($0), run(good, decided($1, $2))] }
                // Every repetition begins without a selection: else the second would find the first one's.
                + [
                    script([.select("a")]), Step(.recorded("script")),
                    run(ContextRun("script", fields(variant), repetitions: 3), decided("pass", "a")),
                    Step(
                        .recorded("script"),
                        expect: [
                            Expectation(
                                .facts([
                                    "runs": "3", "1 result": "0", "1 selected": "a",
                                    "1 state": lookups.selectableState,
                                ]))
                        ]),
                ],
            sabotages: [
                Sabotage("nothing-to-select", omit: ["register-a"]),
                Sabotage(
                    "another-socket",
                    replace: ["register-a": [Step(.register(Registration("script", label: "a", socket: "b")))]]),
            ])
    }

    private static func reuseport(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        let good = ContextRun("script", fields(variant))
        let member = lookups.socket("member", port: 8001, options: [.reusePort])
        return fixture(
            "reuseport-groups", variant,
            "A test-run cannot say whom of a reuseport group a packet would reach: EOPNOTSUPP, unless the program keeps the group out of it.",
            scripted(
                lookups,
                [
                    Step(member.action, label: "open"), lookups.socket("other", port: 8001, options: [.reusePort]),
                    lookups.socket("alone", port: 8002),
                ])
                + lookups.register("member", with: ["script"]) + lookups.register("alone", with: ["script"])
                + [
                    script([.select("member")]), run(good, label: "group", refused("EOPNOTSUPP")),
                    script([.select("member", flags: [.noReuseport])]), run(good, decided("pass", "member")),
                    script([.select("alone")]), run(good, decided("pass", "alone")),
                    // The flag belongs to the selection, not to the run.
                    script([.select("alone", flags: [.noReuseport]), .select("member", flags: [.replace])]),
                    run(good, refused("EOPNOTSUPP")),
                    script([.select("member"), .verdict(.drop)]), run(good, decided("drop", "none")),
                ],
            because: ["commit 7c32e8f8bc33: reuseport selection is not supported"],
            sabotages: [
                Sabotage(
                    "not-a-group",
                    replace: [
                        "group": [script([.select("alone")]), run(good, refused("EOPNOTSUPP"))]
                    ])
            ])
    }

    private static func unsuitable(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        let other: TransportProtocol = variant.transport == .tcp ? .udp : .tcp
        let otherFamily: AddressFamily = variant.family == .ipv4 ? .ipv6 : .ipv4
        func asked(_ variant: Variant) -> ContextRun { ContextRun("script", fields(variant)) }
        func recorded(_ result: String) -> Step {
            Step(
                .recorded("script"),
                expect: [
                    Expectation(
                        .facts(["runs": "1", "1 result": result, "1 selected": result == "0" ? "a" : "none"]))
                ])
        }
        return fixture(
            "unsuitable-sockets", variant,
            "In a test-run as for a packet, a socket of another protocol or family than the context's cannot be selected.",
            scripted(
                lookups,
                [
                    Step(
                        .socket(
                            SocketDescription(
                                "a", in: "server", variant.transport, bind: Endpoint(.loopback(variant.family), 8001),
                                options: variant.family == .ipv6 ? [.v6Only] : [])))
                ]) + lookups.register("a", with: ["script"], label: "register")
                + [
                    script([.select("a")]), run(asked(variant), decided("pass", "a")), recorded("0"),
                    run(asked(Variant(transport: other, family: variant.family)), decided("pass", "none")),
                    recorded("EPROTOTYPE"),
                    run(asked(Variant(transport: variant.transport, family: otherFamily)), decided("pass", "none")),
                    recorded("EAFNOSUPPORT"),
                ],
            sabotages: [Sabotage("nothing-to-select", omit: ["register"])]
        )
        .requiring(.ipv6)
    }

    private static func dualStack(_ transport: TransportProtocol) -> Fixture {
        let variant = Variant(transport: transport, family: .ipv4)
        let lookups = ScriptedLookups(variant: variant)
        func open(_ option: SocketOption) -> Step {
            Step(
                .socket(
                    SocketDescription(
                        "web", in: "server", transport, bind: Endpoint(.wildcard(.ipv6), 8001), options: [option])),
                label: "open")
        }
        return fixture(
            "dual-stack-socket", variant, id: transport.rawValue,
            "In a test-run as for a packet, a dual-stack socket can be selected in both families.",
            scripted(lookups, [open(.dualStack)]) + lookups.register("web", with: ["script"])
                + [
                    script([.select("web")]),
                    run(ContextRun("script", fields(variant)), decided("pass", "web")),
                    run(
                        ContextRun("script", fields(Variant(transport: transport, family: .ipv6))),
                        decided("pass", "web")),
                ],
            sabotages: [Sabotage("v6only", replace: ["open": [open(.v6Only)]])]
        ).requiring(.ipv6)
    }

    // MARK: What is run

    private static func programGiven(_ variant: Variant) -> Fixture {
        let good = fields(variant)
        func lookups(_ count: Int) -> Step {
            Step(
                .context(ContextReading("seen", in: "server", lookup: 0)),
                expect: [Expectation(.facts(["lookups": "\(count)"]))])
        }
        return fixture(
            "program-given", variant,
            "A test-run runs the program that it is given, once, and none that is attached to a namespace, this or another.",
            [Step(.namespace("other"))]
                + ["pass", "drop"].map { Step(.load(ProgramLoad($0, object: $0))) }
                + [
                    Step(.load(ProgramLoad("seen", object: "context"))),
                    Step(.attach(Attachment("drop", program: "drop", to: "server"))),
                    Step(.attach(Attachment("other", program: "drop", to: "other"))),
                    Step(.attach(Attachment("seen", program: "seen", to: "server"))),
                    run(ContextRun("pass", good), passed()), lookups(0),
                    run(ContextRun("drop", good), decided("drop", "none")), lookups(0),
                    run(ContextRun("seen", good), label: "run", passed()), lookups(1),
                    Step(.detach("drop")), Step(.detach("other")), Step(.detach("seen")),
                    run(ContextRun("drop", good), decided("drop", "none")),
                    run(ContextRun("seen", good), passed()), lookups(2),
                ],
            sabotages: [Sabotage("another-run", replace: ["run": [run(ContextRun("pass", good), passed())]])])
    }

    private static func repetition(_ variant: Variant) -> Fixture {
        let good = fields(variant)
        func lookups(_ count: Int) -> Step {
            Step(
                .context(ContextReading("seen", in: "server", lookup: min(count, 8))),
                expect: PacketView.expectations(
                    PacketView.packets(variant.transport, variant.family)[0].facts
                        .merging(["lookups": "\(count)"]) { $1 }))
        }
        return fixture(
            "repetition", variant,
            "A test-run repeats the program as often as asked, 0 being once, with the same context, and tells how long one run takes.",
            [
                Step(.load(ProgramLoad("seen", object: "context"))),
                run(ContextRun("seen", good), passed()), lookups(1),
                run(ContextRun("seen", good, repetitions: 0), passed()), lookups(2),
                run(ContextRun("seen", good, repetitions: 5), label: "repeat", passed(["duration": "told"])),
                lookups(7),
                run(ContextRun("seen", good, repetitions: 1000), passed(["duration": "told"])), lookups(1007),
            ],
            sabotages: [Sabotage("not-repeated", replace: ["repeat": [run(ContextRun("seen", good), passed())]])])
    }

    private static func agreement(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let asked = plan.service.part(0, bits: 6)
        let ports = PortRange.from(80, to: 83)
        let (last, whole) = (asked.host(-1), asked.host(1))
        func spans(ordinary: String, dropped: String) -> [AnswerSpan] {
            (0..<4).flatMap { index -> [AnswerSpan] in
                let address = asked.host(index)
                func span(_ first: UInt16, _ last: UInt16, _ answer: String) -> AnswerSpan {
                    AnswerSpan(Endpoint(address, first), through: Endpoint(address, last), answer)
                }
                return switch address {
                case whole: [span(80, 83, "web")]
                case last: [span(80, 81, ordinary), span(82, 83, dropped)]
                default: [span(80, 80, ordinary), span(81, 81, "web"), span(82, 83, ordinary)]
                }
            }
        }
        // Of neighbours with one answer a sweep makes one span.
        func joined(_ spans: [AnswerSpan]) -> [AnswerSpan] {
            spans.reduce(into: []) { joined, span in
                if let index = joined.indices.last, joined[index].answer == span.answer {
                    joined[index].last = span.last
                } else {
                    joined.append(span)
                }
            }
        }
        func bind(_ prefix: Prefix, _ ports: PortRange, to label: String) -> Step {
            Scenery.bind(variant, prefix, ports, to: label)
        }
        return fixture(
            "agrees-with-packets", variant,
            "For each endpoint, a test-run of the attached program says what happens to a packet to it.",
            [
                Step(.localPrefix(LocalPrefix(namespace: "server", prefix: plan.service))),
                Scenery.service("web", variant, port: 8001),
            ]
                + Scenery.dispatcher([
                    Scenery.register("web", under: "web"), bind(asked, PortRange(81), to: "web"),
                    // Not all ports: the answer to a client on this very address is looked up too.
                    bind(Prefix(whole), .from(80, to: 89), to: "web"),
                    // Nobody is registered under this label.
                    bind(Prefix(last), .from(80, to: 89), to: "nobody-passes"),
                    bind(Prefix(last), .from(82, to: 83), to: "nobody"),
                ]).map { step in
                    guard case .bind(var binding) = step.action, binding.label == "nobody-passes" else { return step }
                    binding.otherwise = .pass
                    return Step(.bind(binding), label: step.label)
                }
                + [
                    Step(
                        .testRun(
                            TestRun(
                                "dispatcher", variant.transport, addresses: asked, ports: ports,
                                remote: Endpoint(plan.loopback, 40000))),
                        expect: [Expectation(.answers(joined(spans(ordinary: "pass", dropped: "drop"))))]),
                    Step(
                        .sweep(Sweep(from: "server", variant.transport, addresses: asked, ports: ports)),
                        expect: [Expectation(.answers(joined(spans(ordinary: "refused", dropped: "refused"))))]),
                ],
            sabotages: [.programNotAttached])
    }
}

extension Fixture {
    /// The same, where it needs one feature more.
    fileprivate func requiring(_ feature: Feature) -> Fixture {
        var changed = self
        if !requires.contains(feature) { changed.requires.append(feature) }
        return changed
    }
}
