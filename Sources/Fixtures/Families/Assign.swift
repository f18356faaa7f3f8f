import Addressing
import Lab

/// What `bpf_sk_assign` takes, what it refuses and in which order, and what comes of it.
enum Assign {
    static let fixtures: [Fixture] =
        Variant.all.flatMap { [selection($0), unsuitable($0)] } + TransportProtocol.allCases.map(acrossFamilies)

    private static let because = [
        "commit e9ddbb7707ff: BPF_PROG_TYPE_SK_LOOKUP and bpf_sk_assign for it", "bpf-helpers(7): bpf_sk_assign",
    ]

    /// What one script does with a new packet.
    private struct Case {
        var script: [ScriptOperation]
        var outcome: Outcome
        /// The results of the script's operations, and the socket that is selected after each.
        var results: [(String, String)]

        init(_ script: [ScriptOperation], _ outcome: Outcome, _ results: [(String, String)]) {
            self.script = script
            self.outcome = outcome
            self.results = results
        }

        func steps(_ lookups: ScriptedLookups) -> [Step] {
            var facts = ["runs": "1", "1 selected": "none"]
            for (index, result) in results.enumerated() {
                facts["\(index + 2) result"] = result.0
                facts["\(index + 2) selected"] = result.1
                if result.1 != "none" { facts["\(index + 2) state"] = lookups.selectableState }
            }
            return [lookups.script("first", script), lookups.probe(outcome), lookups.recorded("first", facts)]
        }
    }

    private static func selection(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        let cases = [
            Case([], .reaches("ordinary"), []),
            Case([.select("a")], .reaches("a"), [("0", "a")]),
            Case([.select("b", flags: [.replace])], .reaches("b"), [("0", "b")]),
            Case([.select("a", flags: [.noReuseport])], .reaches("a"), [("0", "a")]),
            // A selection gives way only to BPF_SK_LOOKUP_F_REPLACE, to another as to itself.
            Case([.select("a"), .select("b")], .reaches("a"), [("0", "a"), ("EEXIST", "a")]),
            Case([.select("a"), .select("a")], .reaches("a"), [("0", "a"), ("EEXIST", "a")]),
            Case([.select("a"), .select("b", flags: [.noReuseport])], .reaches("a"), [("0", "a"), ("EEXIST", "a")]),
            Case([.select("a"), .select("b", flags: [.replace])], .reaches("b"), [("0", "a"), ("0", "b")]),
            Case(
                [.select("a"), .select("b", flags: [.replace, .noReuseport])], .reaches("b"),
                [("0", "a"), ("0", "b")]),
            Case(
                [.select("a"), .select("b", flags: [.replace]), .select("a")], .reaches("b"),
                [("0", "a"), ("0", "b"), ("EEXIST", "b")]),
            // No socket is a selection like any other, and leaves the packet to ordinary lookup.
            Case([.select(nil, flags: [])], .reaches("ordinary"), [("0", "none")]),
            Case([.select(nil, flags: []), .select("a")], .reaches("a"), [("0", "none"), ("0", "a")]),
            Case([.select("a"), .select(nil, flags: [])], .reaches("a"), [("0", "a"), ("EEXIST", "a")]),
            Case([.select("a"), .select(nil, flags: [.replace])], .reaches("ordinary"), [("0", "a"), ("0", "none")]),
            Case(
                [.select("a"), .select(nil, flags: [.replace]), .select("b")], .reaches("b"),
                [("0", "a"), ("0", "none"), ("0", "b")]),
            // A flag that is not defined is refused, whatever comes with it, and changes nothing.
            Case([.select("a", flags: [.undefined])], .reaches("ordinary"), [("EINVAL", "none")]),
            Case([.select(nil, flags: [.undefined])], .reaches("ordinary"), [("EINVAL", "none")]),
            Case(
                [.select("a"), .select("b", flags: [.replace, .undefined])], .reaches("a"),
                [("0", "a"), ("EINVAL", "a")]),
            Case(
                [.select("a"), .select(nil, flags: [.replace, .undefined])], .reaches("a"),
                [("0", "a"), ("EINVAL", "a")]),
            // A selection counts only with the verdict pass.
            Case([.select("a"), .verdict(.pass)], .reaches("a"), [("0", "a"), ("0", "a")]),
            Case([.select("a"), .verdict(.drop)], .refused, [("0", "a"), ("0", "a")]),
            Case([.verdict(.drop)], .refused, [("0", "none")]),
            Case([.select("nobody")], .reaches("ordinary"), [("empty slot", "none")]),
        ]
        return Fixture(
            name: "assign/selections-and-their-flags", variant: variant.id,
            summary:
                "A selected socket gets the packet; another selection needs REPLACE, no socket is one too, and an undefined flag changes nothing.",
            because: because, requires: [.skLookup] + variant.features,
            steps: lookups.network() + [
                lookups.socket("a", port: 8001), lookups.socket("b", port: 8002), lookups.load("first"),
                lookups.attach("first"),
            ] + lookups.register("a", with: ["first"], label: "register-a")
                + lookups.register("b", with: ["first"], label: "register-b") + cases.flatMap { $0.steps(lookups) },
            sabotages: [
                Sabotage("program-not-attached", omit: ["attach-first"]),
                Sabotage("nothing-to-select", omit: ["register-a"]),
                Sabotage(
                    "one-socket-twice",
                    replace: ["register-b": [Step(.register(Registration("first", label: "b", socket: "a")))]]),
            ])
    }

    /// Sockets that no packet of the variant can be given, and the order in which reasons are found.
    private static func unsuitable(_ variant: Variant) -> Fixture {
        let lookups = ScriptedLookups(variant: variant)
        let other: TransportProtocol = variant.transport == .tcp ? .udp : .tcp
        let otherFamily: AddressFamily = variant.family == .ipv4 ? .ipv6 : .ipv4
        func socket(
            _ name: String, _ transport: TransportProtocol, _ family: AddressFamily, port: UInt16,
            connect: Endpoint? = nil
        ) -> Step {
            Step(
                .socket(
                    SocketDescription(
                        name, in: "server", transport, bind: Endpoint(.loopback(family), port),
                        options: family == .ipv6 ? [.v6Only] : [], connect: connect)))
        }
        // Connected sockets of either protocol: a TCP one is the client's end of a connection.
        let peer = Endpoint(.loopback(variant.family), 8100)
        let connected: [Step] = [
            socket("peer", .tcp, variant.family, port: 8100),
            Step(
                .connect(Connection("established", from: "server", .tcp, to: peer)),
                expect: [Expectation(.reaches("peer"))]),
            socket("connected", .udp, variant.family, port: 8101, connect: peer),
        ]
        let ownConnected = variant.transport == .tcp ? "established" : "connected"
        let otherConnected = variant.transport == .tcp ? "connected" : "established"
        func refuses(_ label: String, flags: [SelectionFlag] = [], _ errno: String) -> [Case] {
            [
                Case([.select(label, flags: flags)], .reaches("ordinary"), [(errno, "none")]),
                // And leaves a selection as it was, replacing or not: these reasons come before EEXIST.
                Case([.select("a"), .select(label, flags: flags)], .reaches("a"), [("0", "a"), (errno, "a")]),
                Case(
                    [.select("a"), .select(label, flags: flags + [.replace])], .reaches("a"),
                    [("0", "a"), (errno, "a")]),
            ]
        }
        let cases =
            refuses("other-protocol", "EPROTOTYPE") + refuses("other-family", "EAFNOSUPPORT")
            + refuses(ownConnected, "ESOCKTNOSUPPORT")
            // Undefined flags are found first, then the state, then the protocol, then the family.
            + refuses("other-protocol", flags: [.undefined], "EINVAL")
            + refuses("other-family", flags: [.undefined], "EINVAL")
            + refuses(ownConnected, flags: [.undefined], "EINVAL") + refuses(otherConnected, "ESOCKTNOSUPPORT")
            + refuses("other-protocol-and-family", "EPROTOTYPE")
        let labels = ["other-protocol", "other-family", "other-protocol-and-family", "established", "connected"]
        return Fixture(
            name: "assign/refuses-unsuitable-sockets", variant: variant.id,
            summary:
                "A socket of another protocol or family, or one that is connected, is refused with its errno, in a fixed order, and ordinary lookup goes on.",
            because: because + ["commit 40a34121ac1d: only listening TCP and unconnected UDP sockets"],
            requires: [.skLookup, .ipv6],
            steps: lookups.network() + [
                lookups.socket("a", port: 8001),
                socket("other-protocol", other, variant.family, port: 8002),
                socket("other-family", variant.transport, otherFamily, port: 8003),
                socket("other-protocol-and-family", other, otherFamily, port: 8004),
            ] + connected + [lookups.load("first"), lookups.attach("first")]
                + (["a"] + labels).flatMap { lookups.register($0, with: ["first"], label: "register-\($0)") }
                + cases.flatMap { $0.steps(lookups) },
            sabotages: [
                Sabotage("program-not-attached", omit: ["attach-first"]),
                Sabotage(
                    "suitable-socket",
                    replace: [
                        "register-other-family": [
                            Step(.register(Registration("first", label: "other-family", socket: "a")))
                        ]
                    ]),
            ])
    }

    /// IPv4 packets and IPv6 sockets: all but those that are V6ONLY may serve them.
    private static func acrossFamilies(_ transport: TransportProtocol) -> Fixture {
        let variant = Variant(transport: transport, family: .ipv4)
        let lookups = ScriptedLookups(variant: variant)
        func socket(_ name: String, _ address: String, port: UInt16, _ option: SocketOption) -> Step {
            let bind = Endpoint(literal("\(address)/128").address, port)
            return Step(
                .socket(SocketDescription(name, in: "server", transport, bind: bind, options: [option])),
                label: "open-\(name)")
        }
        let cases = [
            Case([.select("dual-stack")], .reaches("dual-stack"), [("0", "dual-stack")]),
            Case([.select("mapped")], .reaches("mapped"), [("0", "mapped")]),
            // Binding to an IPv6 address makes a socket V6ONLY, whatever its option says.
            Case([.select("loopback")], .reaches("ordinary"), [("EAFNOSUPPORT", "none")]),
            Case([.select("v6only")], .reaches("ordinary"), [("EAFNOSUPPORT", "none")]),
            Case(
                [.select("dual-stack"), .select("v6only", flags: [.replace])], .reaches("dual-stack"),
                [("0", "dual-stack"), ("EAFNOSUPPORT", "dual-stack")]),
        ]
        return Fixture(
            name: "assign/ipv6-sockets-serve-ipv4", variant: transport.rawValue,
            summary:
                "An IPv4 packet may be given to an IPv6 socket that is bound to :: or to a v4-mapped address, unless it is V6ONLY.",
            because: because + ["ipv6(7): IPV6_V6ONLY", "RFC 3493 section 5.3"], requires: [.skLookup, .ipv6],
            steps: lookups.network() + [
                socket("dual-stack", "::", port: 8001, .dualStack),
                socket("mapped", "::ffff:127.0.0.1", port: 8002, .dualStack),
                socket("loopback", "::1", port: 8003, .dualStack),
                socket("v6only", "::", port: 8004, .v6Only), lookups.load("first"), lookups.attach("first"),
            ]
                + ["dual-stack", "mapped", "loopback", "v6only"].flatMap {
                    lookups.register($0, with: ["first"])
                } + cases.flatMap { $0.steps(lookups) },
            sabotages: [
                Sabotage("program-not-attached", omit: ["attach-first"]),
                Sabotage(
                    "v6only-is-dual-stack",
                    replace: ["open-v6only": [socket("v6only", "::", port: 8004, .dualStack)]]),
            ])
    }
}
