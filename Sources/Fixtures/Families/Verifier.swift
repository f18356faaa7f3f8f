import Addressing
import Lab

/// What the verifier lets a program do, and what it refuses, and why.
enum Verifier {
    static let fixtures: [Fixture] = [
        contextLoads, contextStores, immediateStores, atomicStores, signedLoads, contextPointer, selectedSocket,
        maybeNoSocket, references, uncheckedReference, assignment, returnValues, helpersRefused, helpersAllowed,
        castingHelpers,
        attachTypes, licenses, otherTypeNotAttached,
    ]

    // MARK: Programs

    /// A program, and what should be said about it.
    private struct Case {
        var name: String
        var instructions: [Instruction]
        /// EACCES or EINVAL; nil for a program that is accepted.
        var errno: String?
        var reason: String?

        var verdict: String { errno.map { errno in reason.map { "\(errno): \($0)" } ?? errno } ?? "accepted" }
    }

    private static func accepted(_ name: String, _ lines: [String]) -> Case {
        Case(name: name, instructions: instructions(lines), errno: nil, reason: nil)
    }

    private static func refused(
        _ name: String, _ lines: [String], _ errno: String = "EACCES", _ reason: String? = nil
    ) -> Case {
        Case(name: name, instructions: instructions(lines), errno: errno, reason: reason)
    }

    private static func instructions(_ lines: [String]) -> [Instruction] {
        lines.map { line in
            guard let instruction = try? Instruction(text: line) else {
                preconditionFailure("'\(line)' in the catalogue is no instruction")
            }
            return instruction
        }
    }

    private static let pass = ["r0 = 1", "exit"]

    private static func verify(
        _ cases: [Case], type: Verification.ProgramType = .skLookup,
        attachType: Verification.AttachType = .skLookup, license: String = "GPL"
    ) -> Verification {
        Verification(
            Dictionary(
                uniqueKeysWithValues: cases.map { ($0.name, .init($0.instructions, reason: $0.reason)) }),
            type: type, attachType: attachType, license: license)
    }

    private static func facts(_ cases: [Case]) -> Outcome {
        .facts(Dictionary(uniqueKeysWithValues: cases.map { ($0.name, $0.verdict) }))
    }

    /// A step for programs that are judged alike by every kernel.
    private static func step(_ cases: [Case], label: String = "verify") -> Step {
        Step(.verify(verify(cases)), label: label, expect: [Expectation(facts(cases))])
    }

    /// The same names with each other's programs: what is said about one is then said about another.
    private static func exchanged(_ cases: [Case], expect: [Expectation]) -> Sabotage {
        let others = zip(cases, cases.dropFirst() + cases.prefix(1)).map { own, other in
            Case(name: own.name, instructions: other.instructions, errno: own.errno, reason: own.reason)
        }
        return Sabotage(
            "programs-exchanged", replace: ["verify": [Step(.verify(verify(others)), label: "verify", expect: expect)]])
    }

    private static func fixture(
        _ name: String, _ summary: String, because: [String], requires: [Feature] = [], _ cases: [Case],
        expect: [Expectation]? = nil
    ) -> Fixture {
        let expect = expect ?? [Expectation(facts(cases))]
        return Fixture(
            name: "verifier/\(name)", summary: summary, because: because, requires: [.skLookup] + requires,
            steps: [Step(.verify(verify(cases)), label: "verify", expect: expect)],
            sabotages: [exchanged(cases, expect: expect)])
    }

    // MARK: The context

    private static let layout = [
        "linux/bpf.h, struct bpf_sk_lookup", "commit e9ddbb7707ff: sk_lookup_is_valid_access()",
    ]
    private static let ingressBecause = "commit f89315650ba3: ingress_ifindex"
    private static let ingressSince = VersionSet(KernelVersion(5, 17))
    /// One past the last field, aligned, and some more.
    private static let beyond: Int16 = 87

    private static let widths = [1, 2, 4, 8]

    private static func accesses(
        _ kind: ContextAccesses.Kind, widths: [Int] = widths, fields: [ContextLayout.Field] = [], from: Int16 = 0,
        _ reason: (Int) -> String
    ) -> Outcome {
        var facts: [String: String] = [:]
        for width in widths {
            let name = "u\(8 * width)"
            facts["\(name) accepted at"] = ContextAccesses.describe(
                offsets: ContextLayout.loads(width: width, of: fields))
            facts["\(name) refused elsewhere"] = "EACCES: \(reason(width))"
        }
        return .facts(facts)
    }

    private static func invalidAccess(_ width: Int) -> String { "invalid bpf_context access off=OFFSET size=\(width)" }

    /// Steps for the offsets before the context and from its begin on, and a sabotage in which others are asked for.
    private static func accesses(
        _ kind: ContextAccesses.Kind, _ name: String, _ summary: String, because: [String], inside: [Expectation],
        before: [Expectation], instead: ContextAccesses
    ) -> Fixture {
        Fixture(
            name: "verifier/\(name)", summary: summary, because: because, requires: [.skLookup],
            steps: [
                Step(
                    .contextAccesses(ContextAccesses(kind, from: 0, through: beyond)), label: "verify", expect: inside),
                Step(.contextAccesses(ContextAccesses(kind, from: -8, through: -1)), expect: before),
            ],
            sabotages: [
                Sabotage("other-accesses", replace: ["verify": [Step(.contextAccesses(instead), expect: inside)]])
            ])
    }

    private static let contextLoads = accesses(
        .load, "context-loads",
        "A field of the context may be loaded whole or in part, aligned; ctx->sk only whole; nothing before, between or behind.",
        because: layout,
        inside: [
            Expectation(
                accesses(.load, fields: ContextLayout.fields, invalidAccess), until: ingressSince,
                because: ingressBecause),
            Expectation(
                accesses(.load, fields: ContextLayout.fields + [ContextLayout.ingressIndex], invalidAccess),
                since: ingressSince, because: ingressBecause),
        ],
        before: [Expectation(accesses(.load, invalidAccess))],
        instead: ContextAccesses(.load, from: 1, through: beyond))

    private static let contextStores = accesses(
        .store, "context-stores", "No store of a register into the context is accepted, of any width, at any offset.",
        because: layout, inside: [Expectation(accesses(.store, invalidAccess))],
        before: [Expectation(accesses(.store, invalidAccess))],
        instead: ContextAccesses(.load, from: 0, through: beyond))

    private static let immediateStores: Fixture = {
        let since = VersionSet(KernelVersion(6, 3))
        let because = "commit 0d80a619c113: such stores are judged like those of registers"
        let expect = [
            Expectation(
                accesses(.storeImmediate) { _ in "BPF_ST stores into R1 ctx is not allowed" }, until: since,
                because: because),
            Expectation(accesses(.storeImmediate, invalidAccess), since: since, because: because),
        ]
        return accesses(
            .storeImmediate, "context-stores-of-immediate-values",
            "No store of an immediate value into the context is accepted, of any width, at any offset.",
            because: layout, inside: expect, before: expect,
            instead: ContextAccesses(.load, from: 0, through: beyond))
    }()

    private static let atomicStores: Fixture = {
        let since = VersionSet(KernelVersion(5, 12))
        let because = "commit 91c960b0056e: BPF_XADD became one of the BPF_ATOMIC operations"
        func outcome(_ name: String) -> Outcome {
            accesses(.atomic, widths: [4, 8]) { _ in "\(name) stores into R1 ctx is not allowed" }
        }
        let expect = [
            Expectation(outcome("BPF_XADD"), until: since, because: because),
            Expectation(outcome("BPF_ATOMIC"), since: since, because: because),
        ]
        return accesses(
            .atomic, "context-atomic-operations", "No atomic operation on the context is accepted.",
            because: layout, inside: expect, before: expect,
            instead: ContextAccesses(.load, from: 0, through: beyond))
    }()

    private static let signedLoads: Fixture = {
        let since = VersionSet(KernelVersion(6, 6))
        let because = "commit 1f9a1ea821ff: loads that extend the sign"
        let places = [("s8", 36), ("s8", 63), ("s16", 8), ("s16", 36), ("s32", 16), ("s32", 60)]
        func cases(_ lines: (String, Int) -> [String]) -> [Case] {
            places.map { width, offset in
                refused("\(width) at \(offset)", lines(width, offset) + pass, "EINVAL", "BPF_LDX uses reserved fields")
            }
        }
        let unknown = cases { ["r0 = *(\($0) *)(r1 + \($1))"] }
        let known = unknown.map { Case(name: $0.name, instructions: $0.instructions) }
        let expect = [
            Expectation(facts(unknown), until: since, because: because),
            Expectation(facts(known), since: since, because: because),
        ]
        return Fixture(
            name: "verifier/context-loads-that-extend-the-sign",
            summary: "A load that extends the sign is accepted of a field, once the kernel knows such loads.",
            because: [because], requires: [.skLookup],
            steps: [Step(.verify(verify(unknown)), label: "verify", expect: expect)],
            sabotages: [
                Sabotage(
                    "other-programs",
                    replace: ["verify": [Step(.verify(verify(cases { _, _ in ["r0 = r2"] })), expect: expect)]])
            ])
    }()

    private static let contextPointer = fixture(
        "context-pointer",
        "The context is accessed by the pointer that the program was given, not by one that was moved; a field is a number, and no way to memory.",
        because: layout + ["commit f1174f77b50c: pointers and what may be done to them"],
        [
            accepted("read twice", ["r2 = r1", "r0 = *(u32 *)(r2 + 8)", "r0 = *(u32 *)(r1 + 60)"] + pass),
            accepted("moved there and back", ["r1 += 8", "r1 += -8", "r0 = *(u32 *)(r1 + 8)"] + pass),
            refused(
                "moved", ["r1 += 8", "r0 = *(u32 *)(r1 + 0)"] + pass, "EACCES",
                "dereference of modified ctx ptr R1 off=8 disallowed"),
            refused(
                "moved by a variable",
                ["r2 = *(u32 *)(r1 + 60)", "r2 &= 4", "r1 += r2", "r0 = *(u32 *)(r1 + 8)"] + pass, "EACCES",
                "variable ctx access var_off=(0x0; 0x4) disallowed"),
            refused(
                "address as a pointer", ["r2 = *(u32 *)(r1 + 16)", "r0 = *(u8 *)(r2 + 0)"] + pass, "EACCES",
                "R2 invalid mem access '"),
            refused("register not set", ["r0 = r2"] + pass, "EACCES", "R2 !read_ok"),
        ])

    // MARK: Sockets

    /// Loads ctx->sk into r1 and, if there is one, does these; `r6` is the context.
    private static func withSelected(_ lines: [String]) -> [String] {
        ["r6 = r1", "r1 = *(u64 *)(r6 + 0)", "r0 = 1", "if r1 == 0 goto +\(lines.count)"] + lines + pass
    }

    private static let selectedSocket = fixture(
        "selected-socket",
        "ctx->sk is NULL or a socket: it is checked before use, read only, not moved, not released, not returned.",
        because: ["commit e9ddbb7707ff: ctx->sk is PTR_TO_SOCKET_OR_NULL", "linux/bpf.h, struct bpf_sock"],
        [
            accepted("read", withSelected(["r2 = *(u32 *)(r1 + 4)"])),
            accepted("address read by halves", withSelected(["r2 = *(u16 *)(r1 + 24)", "r2 = *(u8 *)(r1 + 31)"])),
            accepted("assigned", withSelected(["r2 = r1", "r1 = r6", "r3 = 1", "call sk_assign"])),
            refused(
                "read unchecked", ["r1 = *(u64 *)(r1 + 0)", "r0 = *(u32 *)(r1 + 4)"] + pass, "EACCES",
                "R1 invalid mem access 'sock_or_null'"),
            refused(
                "moved", withSelected(["r1 += 4"]), "EACCES", "R1 pointer arithmetic on sock prohibited"),
            refused(
                "moved unchecked", ["r1 = *(u64 *)(r1 + 0)", "r1 += 4"] + pass, "EACCES",
                "R1 pointer arithmetic on sock_or_null prohibited"),
            refused(
                "read beyond its end", withSelected(["r2 = *(u32 *)(r1 + 80)"]), "EACCES",
                "R1 invalid sock access off=80 size=4"),
            refused(
                "written", withSelected(["*(u32 *)(r1 + 16) = r0"]), "EACCES", "R1 cannot write into sock"),
            refused("released", withSelected(["call sk_release"]), "EINVAL"),
            refused(
                "returned", ["r0 = *(u64 *)(r1 + 0)", "exit"], "EINVAL",
                "At program exit the register R0 is not a known value (sock_or_null)"),
        ])

    private static let maybeNoSocket: Fixture = {
        let program = ["r6 = r1", "r2 = *(u64 *)(r6 + 0)", "r3 = 1", "call sk_assign"] + pass
        let name = "assigned unchecked"
        // The series was taken into stable kernels with the fix of CVE-2022-0500.
        let since = VersionSet(KernelVersion(5, 17), KernelVersion(5, 16, 11), KernelVersion(5, 15, 37))
        let because =
            "commits 48946bd6a5d6, c25b2ae13603, 20b2aff4bc15: PTR_MAYBE_NULL of an argument and of a register"
        let refusal = refused(name, program, "EACCES", "R2 type=sock_or_null expected=sock")
        return Fixture(
            name: "verifier/selected-socket-assigned-unchecked",
            summary:
                "bpf_sk_assign takes a socket or NULL, and so takes ctx->sk unchecked, once the verifier sees that.",
            because: [because], requires: [.skLookup],
            steps: [
                Step(
                    .verify(verify([refusal])), label: "verify",
                    expect: [
                        Expectation(facts([refusal]), until: since, because: because),
                        Expectation(facts([accepted(name, program)]), since: since, because: because),
                    ])
            ],
            sabotages: [
                Sabotage(
                    "another-pointer",
                    replace: [
                        "verify": [
                            Step(
                                .verify(
                                    verify([
                                        refused(name, ["r2 = r1", "r3 = 1", "call sk_assign"] + pass, "EACCES", "ctx")
                                    ])),
                                expect: [
                                    Expectation(facts([refusal]), until: since, because: because),
                                    Expectation(facts([accepted(name, program)]), since: since, because: because),
                                ])
                        ]
                    ])
            ])
    }()

    /// Looks a socket up in a sockmap, which acquires it, and does these; `r6` is the context.
    private static func withLookup(_ lines: [String]) -> [String] {
        [
            "r6 = r1", "*(u32 *)(r10 - 4) = 0", "r2 = r10", "r2 += -4", "r1 = map sockets", "call map_lookup_elem",
        ] + lines + pass
    }

    /// The same, and these only if there is a socket, which is then in `r7` too.
    private static func withSocket(_ lines: [String]) -> [String] {
        withLookup(["if r0 == 0 goto +\(lines.count + 1)", "r7 = r0"] + lines)
    }

    private static let release = ["r1 = r7", "call sk_release"]
    private static let assign = ["r1 = r6", "r2 = r7", "r3 = 0", "call sk_assign"]

    private static let references = fixture(
        "socket-references",
        "A socket that a lookup in a map acquired is released once, on every path, and not used after; nothing else can be released.",
        because: ["commit 0126240f448d: sockets looked up in a sockmap are referenced", "commit fd978bf7fd31"],
        [
            accepted("released", withSocket(release)),
            accepted("assigned and released", withSocket(assign + release)),
            refused("leaked", withLookup([]), "EINVAL", "Unreleased reference"),
            refused("assigned and kept", withSocket(assign), "EINVAL", "Unreleased reference"),
            refused(
                "released on one path",
                withSocket(["r2 = *(u32 *)(r6 + 8)", "if r2 == 2 goto +2"] + release), "EINVAL",
                "Unreleased reference"),
            refused("released unchecked", withLookup(["r1 = r0", "call sk_release"]), "EACCES", "R1 type="),
            refused("released twice", withSocket(release + release), "EACCES", "R1 type="),
            refused(
                "read after its release", withSocket(release + ["r0 = *(u32 *)(r7 + 4)"]), "EACCES",
                "R7 invalid mem access '"),
            refused("assigned after its release", withSocket(release + assign), "EACCES", "R2 type="),
            refused("context released", ["call sk_release"] + pass, "EACCES", "R1 type=ctx expected="),
            refused("number released", ["r1 = 0", "call sk_release"] + pass, "EACCES", "R1 type="),
        ])

    private static let uncheckedReference: Fixture = {
        let program = withLookup(["r7 = r0"] + assign + ["if r7 == 0 goto +2"] + release)
        let name = "assigned unchecked"
        let since = VersionSet(KernelVersion(7, 3))
        let because = "measured: 7.2.12 refuses, 7.3.4 accepts"
        let refusal = refused(name, program, "EACCES", "R2 type=map_value_or_null expected=sock")
        let expect = [
            Expectation(facts([refusal]), until: since, because: because),
            Expectation(facts([accepted(name, program)]), since: since, because: because),
        ]
        return Fixture(
            name: "verifier/looked-up-socket-assigned-unchecked",
            summary:
                "A socket from a sockmap is a socket for bpf_sk_assign only after the check for NULL, up to Linux 7.2.",
            because: [because], requires: [.skLookup],
            steps: [Step(.verify(verify([refusal])), label: "verify", expect: expect)],
            sabotages: [
                Sabotage(
                    "never-released",
                    replace: [
                        "verify": [
                            Step(
                                .verify(
                                    verify([
                                        refused(name, withLookup(["r7 = r0"]), "EINVAL", "Unreleased reference")
                                    ])),
                                expect: expect)
                        ]
                    ])
            ])
    }()

    private static let assignment = fixture(
        "assignment", "bpf_sk_assign takes the context, a socket or NULL, and any flags; nothing else stands for them.",
        because: ["commit e9ddbb7707ff: bpf_sk_lookup_assign_proto"],
        [
            accepted("no socket", ["r2 = 0", "r3 = 0", "call sk_assign"] + pass),
            accepted("any flags", ["r2 = 0", "r3 = *(u32 *)(r1 + 8)", "call sk_assign"] + pass),
            accepted("result returned", ["r2 = 0", "r3 = 0", "call sk_assign", "r0 &= 1", "exit"]),
            refused(
                "context as socket", ["r2 = r1", "r3 = 0", "call sk_assign"] + pass, "EACCES",
                "R2 type=ctx expected=sock"),
            refused("number as socket", ["r2 = 1", "r3 = 0", "call sk_assign"] + pass, "EACCES", "R2 type="),
            refused(
                "stack as socket", ["r2 = r10", "r2 += -8", "r3 = 0", "call sk_assign"] + pass, "EACCES",
                "R2 type=fp expected=sock"),
            refused(
                "socket as context", ["r1 = *(u64 *)(r1 + 0)", "r2 = 0", "r3 = 0", "call sk_assign"] + pass, "EACCES",
                "R1 type=sock_or_null expected=ctx"),
            refused(
                "moved context", ["r1 += 8", "r2 = 0", "r3 = 0", "call sk_assign"] + pass, "EACCES",
                "dereference of modified ctx ptr R1 off=8 disallowed"),
            refused("flags not set", ["r2 = 0", "call sk_assign"] + pass, "EACCES", "R3 !read_ok"),
        ])

    // MARK: The verdict

    private static let returnValues = fixture(
        "return-values", "A program returns 0 (drop) or 1 (pass), and nothing that could be another value.",
        because: ["commit e9ddbb7707ff: check_return_code() for BPF_PROG_TYPE_SK_LOOKUP"],
        {
            let outside = "At program exit the register R0 has "
            return [
                accepted("0", ["r0 = 0", "exit"]), accepted("1", ["r0 = 1", "exit"]),
                accepted("one bit of the context", ["r0 = *(u32 *)(r1 + 8)", "r0 &= 1", "exit"]),
                refused("2", ["r0 = 2", "exit"], "EINVAL", outside),
                refused("-1", ["r0 = -1", "exit"], "EINVAL", outside),
                refused("1 in the upper half", ["r0 = 1", "r0 <<= 32", "exit"], "EINVAL", outside),
                refused("two bits of the context", ["r0 = *(u32 *)(r1 + 8)", "r0 &= 3", "exit"], "EINVAL", outside),
                refused("a word of the context", ["r0 = *(u32 *)(r1 + 8)", "exit"], "EINVAL", outside),
                refused(
                    "2 on one path", ["r0 = *(u32 *)(r1 + 8)", "if r0 == 2 goto +1", "r0 = 1", "exit"], "EINVAL",
                    outside),
                refused(
                    "the context", ["r0 = r1", "exit"], "EINVAL",
                    "At program exit the register R0 is not a known value (ctx)"),
                refused("nothing", ["exit"], "EACCES", "R0 !read_ok"),
            ]
        }())

    // MARK: Helpers

    private static let helpersBecause = ["commit e9ddbb7707ff: sk_lookup_func_proto()", "bpf-helpers(7)"]

    /// Sends an event of eight bytes to user space.
    private static let event =
        [
            "*(u64 *)(r10 - 8) = 0", "r2 = map events", "r3 = 0", "r4 = r10", "r4 += -8", "r5 = 8",
            "call perf_event_output",
        ] + pass

    private static let helpersRefused = fixture(
        "helpers-refused", "Helpers of packets, of socket lookups and of other hooks are not for these programs.",
        because: helpersBecause,
        [
            "skb_load_bytes": 26, "skb_store_bytes": 9, "redirect": 23, "redirect_map": 51, "sk_lookup_tcp": 84,
            "sk_lookup_udp": 85, "skc_lookup_tcp": 99, "sk_fullsock": 95, "tcp_sock": 96, "get_listener_sock": 98,
            "get_socket_cookie": 46, "get_netns_cookie": 122, "setsockopt": 49, "getsockopt": 57,
            "sk_select_reuseport": 82, "sk_storage_get": 107,
        ].sorted { $0.key < $1.key }.map { name, number in
            refused(name, ["call \(name)"] + pass, "EINVAL", "bpf_\(name)#\(number)")
        } + [accepted("none of them", pass)])

    private static let helpersAllowed = fixture(
        "helpers-allowed",
        "Beside its own helpers a program has those of maps, time, events and tail calls.",
        because: helpersBecause,
        [
            "ktime_get_ns", "ktime_get_boot_ns", "get_prandom_u32", "get_smp_processor_id", "get_numa_node_id",
            "jiffies64",
        ]
        .map { accepted($0, ["call \($0)"] + pass) }
            + [
                accepted(
                    "map_lookup_elem",
                    [
                        "*(u32 *)(r10 - 4) = 0", "r2 = r10", "r2 += -4", "r1 = map array", "call map_lookup_elem",
                        "if r0 == 0 goto +1", "r1 = *(u64 *)(r0 + 0)",
                    ] + pass),
                accepted(
                    "map_update_elem",
                    [
                        "*(u32 *)(r10 - 4) = 0", "*(u64 *)(r10 - 16) = 0", "r2 = r10", "r2 += -4", "r3 = r10",
                        "r3 += -16", "r4 = 0", "r1 = map array", "call map_update_elem",
                    ] + pass),
                accepted(
                    "map_delete_elem",
                    ["*(u32 *)(r10 - 4) = 0", "r2 = r10", "r2 += -4", "r1 = map array", "call map_delete_elem"] + pass),
                accepted("perf_event_output", event),
                accepted("tail_call", ["r2 = map programs", "r3 = 0", "call tail_call"] + pass),
                refused("redirect, which is none", ["call redirect"] + pass, "EINVAL", "bpf_redirect#23"),
            ])

    private static let castingHelpers = fixture(
        "helpers-that-cast-sockets",
        "Where the kernel has its own type information, a program may cast a socket to what it is.",
        because: helpersBecause + ["commit 0d4ddce300b5: bpf_skc_to_*"], requires: [.typeInformation],
        [
            "skc_to_tcp6_sock", "skc_to_tcp_sock", "skc_to_tcp_timewait_sock", "skc_to_tcp_request_sock",
            "skc_to_udp6_sock",
        ].map { accepted($0, withSocket(["r1 = r7", "call \($0)"] + release)) }
            + [refused("sk_fullsock, which does not", ["call sk_fullsock"] + pass, "EINVAL", "bpf_sk_fullsock#95")])

    // MARK: Loading and attaching

    private static let attachTypes: Fixture = {
        let program = accepted("pass", pass)
        let refusal = refused("pass", pass, "EINVAL")
        func load(_ type: Verification.ProgramType, _ attachType: Verification.AttachType, _ found: Case) -> Step {
            Step(
                .verify(verify([program], type: type, attachType: attachType)),
                label: "\(type.rawValue)-\(attachType.rawValue)",
                expect: [Expectation(facts([found]))])
        }
        return Fixture(
            name: "verifier/attach-type",
            summary:
                "A program is loaded only if it says that it will be attached as BPF_SK_LOOKUP, which no other type may say.",
            because: ["commit e9ddbb7707ff: bpf_prog_load_check_attach()"], requires: [.skLookup],
            steps: [
                load(.skLookup, .skLookup, program), load(.skLookup, .none, refusal),
                load(.skLookup, .flowDissector, refusal), load(.skLookup, .skReuseportSelect, refusal),
            ],
            sabotages: [
                Sabotage(
                    "right-type",
                    replace: ["sk-lookup-none": [load(.skLookup, .skLookup, refusal)]])
            ])
    }()

    private static let licenses: Fixture = {
        let own = [
            accepted("sk_assign", ["r2 = 0", "r3 = 0", "call sk_assign"] + pass),
            accepted("sk_release", withSocket(release)), accepted("perf_event_output", event),
        ]
        let restricted = refused(
            "perf_event_output", event, "EINVAL",
            "cannot call GPL-restricted function from non-GPL compatible program")
        func load(_ license: String, _ cases: [Case], label: String, expect: [Case]? = nil) -> Step {
            Step(
                .verify(verify(cases, license: license)), label: label, expect: [Expectation(facts(expect ?? cases))])
        }
        let others = Array(own.prefix(2)) + [restricted]
        return Fixture(
            name: "verifier/license",
            summary:
                "A program under any licence may select and release sockets; helpers that want the GPL, such as the one for events, it may not call.",
            because: ["commit e9ddbb7707ff: bpf_sk_lookup_assign_proto is not gpl_only"], requires: [.skLookup],
            steps: [load("GPL", own, label: "free"), load("Proprietary", others, label: "restricted")],
            sabotages: [
                Sabotage("free-after-all", replace: ["restricted": [load("GPL", others, label: "restricted")]])
            ])
    }()

    private static let otherTypeNotAttached: Fixture = {
        let plan = AddressPlan(family: .ipv4)
        func attach(_ name: String) -> Step {
            Step(
                .attach(Attachment("link", program: name, to: "server")), label: "attach",
                expect: [
                    Expectation(
                        .fails(.invalidArgument, call: "bpf(BPF_LINK_CREATE)"))
                ])
        }
        return Fixture(
            name: "verifier/other-type-not-attached",
            summary: "A socket filter cannot be attached to a namespace, and changes nothing there.",
            because: ["commit e9ddbb7707ff: netns_bpf_link_create()", "bpf(2)"], requires: [.skLookup],
            steps: [
                Step(.namespace("server")), Step(.load(ProgramLoad("filter", object: "filter"))),
                Step(.load(ProgramLoad("drop", object: "drop"))),
                Step(
                    .socket(
                        SocketDescription("web", in: "server", .udp, bind: Endpoint(plan.loopback, 80)))),
                attach("filter"),
                Step(
                    .probe(Probe(from: "server", .udp, to: Endpoint(plan.loopback, 80))),
                    expect: [Expectation(.reaches("web"))]),
            ],
            sabotages: [Sabotage("of-the-right-type", replace: ["attach": [attach("drop")]])])
    }()
}
