import Addressing
import Lab

/// Bindings of a pinned dispatcher, added, moved and removed one or a few at a time.
enum DispatcherBindings {
    static let fixtures: [Fixture] = PinnedHost.all.flatMap {
        [
            comeAndGo($0), refusedBindings($0), move($0), refusedUnbindings($0), ranges($0), manyRanges($0),
            precedence($0),
        ]
    }

    private static func comeAndGo(_ host: PinnedHost) -> Fixture {
        let web = host.binding(host.prefix, to: "web")
        let passing = host.binding(host.prefix, to: "web", elsePass: true)
        return host.fixture(
            "bindings-come-and-go",
            "Bound, an address is refused until its label has a socket, or left to ordinary lookup if its binding says so; unbound, ordinary lookup has it again.",
            host.scene() + host.open("web") + [
                host.openOrdinary(host.inLow), host.probe(host.inLow, "ordinary"), host.probe(host.inHigh, .refused),
                PinnedHost.perform(.bind([web]), ["added": "1", "removed": "0", "changed": "0"], label: "bind"),
                host.probe(host.inLow, .refused), host.probe(host.inHigh, .refused),
                PinnedHost.perform(.bind([passing]), ["added": "0", "removed": "0", "changed": "1"], label: "pass"),
                host.probe(host.inLow, "ordinary"), host.probe(host.inHigh, .refused), PinnedHost.tell([passing]),
                PinnedHost.register("web"), host.probe(host.inLow, "web"), host.probe(host.inHigh, "web"),
                host.probe(host.inLow, 81, .refused),
                PinnedHost.perform(.unregister(DispatcherSockets("web", ["web"])), ["sockets": "1"]),
                host.probe(host.inLow, "ordinary"),
                PinnedHost.perform(.bind([web]), ["changed": "1"], label: "drop"), host.probe(host.inLow, .refused),
                PinnedHost.perform(.join(DispatcherSockets("web", ["web"]))), host.probe(host.inLow, "web"),
                PinnedHost.perform(.unbind([web]), ["removed": "1"], label: "unbind"),
                host.probe(host.inLow, "ordinary"), host.probe(host.inHigh, .refused), PinnedHost.tell([]),
                PinnedHost.tell(.status, ["bindings": "0", "sockets": "1"]),
            ],
            sabotages: [
                .without("bind"), .without("pass"), .without("register-web"), .without("unbind"),
                .without("drop"),
            ])
    }

    private static func refusedBindings(_ host: PinnedHost) -> Fixture {
        let web = host.binding(host.prefix, .from(80, to: 89), to: "web")
        let mapped = literal("::ffff:192.0.2.0/120")
        let six = DispatcherBinding(host.variant.transport, mapped, PortRange(80), to: "web")
        let tie = host.binding(host.prefix, .from(85, to: 94), to: "other")
        let match = "\(host.variant.transport.rawValue) \(host.prefix) 80-89"
        let long = String(repeating: "x", count: 64)
        let second = host.binding(host.plan.second, to: "x")
        func unchanged(_ bindings: DispatcherBinding...) -> Step { PinnedHost.tell(bindings) }
        return host.fixture(
            "refused-bindings",
            "A v4-mapped prefix, a label of no bytes or of more than 64, a tie and a set with a match twice are refused, and nothing is changed.",
            host.scene() + host.open("web") + [
                PinnedHost.register("web"), PinnedHost.bind(web),
                PinnedHost.refused(.bind([six]), "v4-mapped prefix"), unchanged(web),
                PinnedHost.refused(.bind([host.binding(host.plan.second, to: "")]), "unsuitable label"),
                PinnedHost.refused(.bind([host.binding(host.plan.second, to: long + "x")]), "unsuitable label"),
                unchanged(web),
                PinnedHost.refused(.bind([tie]), "tie with \(match), bound to 'web'", label: "tie"), unchanged(web),
                PinnedHost.refused(.replace([web, web]), "\(match) is there twice"),
                PinnedHost.refused(.replace([second, web, second]), "\(second.matchText) is there twice"),
                PinnedHost.refused(.bind([second, second]), "\(second.matchText) is there twice"),
                PinnedHost.refused(.replace([web, tie]), "tie with \(match), bound to 'web'"),
                PinnedHost.refused(.bind([second, six]), "v4-mapped prefix"),
                PinnedHost.refused(.register(DispatcherSockets("", ["web"])), "unsuitable label"), unchanged(web),
                host.probe(host.inLow, 85, "web"), host.probe(host.inLow, 90, .refused),
                PinnedHost.perform(.bind([host.binding(host.plan.second, to: long)]), ["added": "1"]),
                unchanged(web, host.binding(host.plan.second, to: long)),
            ],
            sabotages: [
                .without("bind"), .without("register-web"),
                .instead(
                    of: "tie", "narrower",
                    PinnedHost.perform(.bind([host.binding(host.prefix, .from(85, to: 93), to: "other")]))),
            ])
    }

    private static func move(_ host: PinnedHost) -> Fixture {
        let (prefix, low) = (host.prefix, host.low)
        let wider = host.prefix.widened(by: 4)
        func bind(_ prefix: Prefix, _ label: String, _ difference: String, step: String? = nil) -> Step {
            PinnedHost.perform(
                .bind([host.binding(prefix, to: label)]),
                ["added": difference == "added" ? "1" : "0", "changed": difference == "changed" ? "1" : "0"],
                label: step)
        }
        func unbind(_ prefix: Prefix, _ label: String, step: String? = nil) -> Step {
            PinnedHost.perform(.unbind([host.binding(prefix, to: label)]), ["removed": "1"], label: step)
        }
        func probe(_ low: String, _ high: String) -> [Step] {
            [host.probe(host.inLow, low), host.probe(host.inHigh, high)]
        }
        var steps = host.scene() + host.open("a", "b", "c") + PinnedHost.registerEach(["a", "b", "c"])
        let changes: [(Step, [Step])] = [
            (bind(prefix, "a", "added"), probe("a", "a")),
            (bind(prefix, "b", "changed", step: "move"), probe("b", "b")),
            (bind(low, "a", "added", step: "more-specific"), probe("a", "b")),
            (bind(wider, "c", "added", step: "less-specific"), probe("a", "b")),
            (bind(low, "c", "changed"), probe("c", "b")),
            (bind(Prefix(host.inLow), "a", "added"), probe("a", "b")),
            (host.probe(low.host(2), "c"), []),
            (unbind(prefix, "b"), probe("a", "c")),
            (unbind(Prefix(host.inLow), "a"), probe("c", "c")),
            (bind(low, "b", "changed"), probe("b", "c")),
            (unbind(low, "b", step: "last"), probe("c", "c")),
            (unbind(wider, "c"), [host.probe(host.inLow, .refused), host.probe(host.inHigh, .refused)]),
        ]
        for (change, probes) in changes { steps += [change] + probes }
        return host.fixture(
            "bindings-move",
            "A binding moves to another label in one step; a more specific one takes over its part and no more, and a less specific one nothing, until the others go.",
            steps,
            sabotages: [
                .instead(of: "move", "not-moved", bind(prefix, "a", "none")), .without("more-specific"),
                .without("less-specific"),
                .instead(of: "last", "another-removed", bind(low, "b", "none")),
            ])
    }

    private static func refusedUnbindings(_ host: PinnedHost) -> Fixture {
        let (web, narrow) = (host.binding(host.prefix, to: "web"), host.binding(host.low, to: "web"))
        func other(_ change: (inout DispatcherBinding) -> Void) -> DispatcherBinding {
            var other = web
            change(&other)
            return other
        }
        let transport: TransportProtocol = host.variant.transport == .tcp ? .udp : .tcp
        return host.fixture(
            "refused-unbindings",
            "What is not bound, or is bound to another label, is not unbound, and nor is anything that is named with it.",
            host.scene() + host.open("web") + [
                PinnedHost.register("web"), PinnedHost.bind(web), host.probe(host.inLow, "web"),
                PinnedHost.refused(.unbind([narrow]), "not bound", label: "unbind"),
                PinnedHost.refused(.unbind([other { $0.prefix = host.plan.second }]), "not bound"),
                PinnedHost.refused(.unbind([other { $0.ports = PortRange(81) }]), "not bound"),
                PinnedHost.refused(.unbind([other { $0.ports = .from(80, to: 81) }]), "not bound"),
                PinnedHost.refused(.unbind([other { $0.protocol = transport }]), "not bound"),
                PinnedHost.refused(.unbind([other { $0.label = "other" }]), "bound to 'web'"),
                PinnedHost.refused(.unbind([web, narrow]), "not bound"),
                PinnedHost.tell([web]), host.probe(host.inLow, "web"), host.probe(host.inHigh, "web"),
                PinnedHost.perform(.unbind([web]), ["removed": "1"]), PinnedHost.refused(.unbind([web]), "not bound"),
                host.probe(host.inLow, .refused),
            ],
            sabotages: [
                .instead(of: "unbind", "unbound", PinnedHost.perform(.unbind([web]))), .without("register-web"),
            ])
    }

    private static func ranges(_ host: PinnedHost) -> Fixture {
        func binding(_ first: UInt16, _ last: UInt16, _ label: String) -> DispatcherBinding {
            host.binding(host.prefix, .from(first, to: last), to: label)
        }
        let expected: [(UInt16, String)] = [
            (1, "all"), (79, "all"), (80, "web"), (84, "web"), (85, "one"), (86, "web"), (89, "web"), (90, "next"),
            (99, "next"), (100, "all"), (1023, "all"),
        ]
        let probes: [Step] = expected.map { host.probe(host.inLow, $0, $1) }
        let overlapping: [(UInt16, UInt16, String, String)] = [
            (81, 90, "80-89", "web"), (71, 80, "80-89", "web"), (2, 1024, "1-1023", "all"),
            (95, 104, "90-99", "next"),
        ]
        let ties: [Step] = overlapping.map { first, last, other, label in
            let tie = "tie with \(host.variant.transport.rawValue) \(host.prefix) \(other), bound to '\(label)'"
            return PinnedHost.refused(.bind([binding(first, last, "one")]), tie)
        }
        let names = ["all", "web", "one", "next"]
        let first: [Step] = [
            PinnedHost.bind(binding(1, 1023, "all"), binding(80, 89, "web"), binding(85, 85, "one"), label: nil),
            PinnedHost.bind(binding(90, 99, "next"), label: "bind"),
        ]
        let others: [Step] = [
            // On another prefix it is no tie.
            PinnedHost.bind(host.binding(host.low, .from(81, to: 90), to: "one"), label: "elsewhere"),
            host.probe(host.inLow, 81, "one"), host.probe(host.inLow, 80, "web"),
            host.probe(host.inLow, 91, "next"), host.probe(host.inHigh, 81, "web"),
            PinnedHost.perform(.unbind([binding(85, 85, "one")]), ["removed": "1"], label: "unbind"),
            host.probe(host.inHigh, 85, "web"),
        ]
        let beyond = host.probe(host.inLow, 1024, .refused)
        return host.fixture(
            "port-ranges",
            "Of overlapping port ranges the narrowest holds, to its very ends; equally wide ones that overlap are refused, with the name of the other.",
            host.scene() + host.open("all", "web", "one", "next") + PinnedHost.registerEach(names) + first + probes
                + [beyond] + ties + probes + others,
            sabotages: [.without("bind"), .without("elsewhere"), .without("unbind"), .without("register-one")])
    }

    private static func manyRanges(_ host: PinnedHost) -> Fixture {
        let several: [DispatcherBinding] = (0..<40).map { (number: UInt16) -> DispatcherBinding in
            let port: UInt16 = 100 + 3 * number
            return host.binding(host.prefix, PortRange(port), to: number % 2 == 0 ? "even" : "odd")
        }
        let wide = host.binding(host.prefix, .from(100, to: 300), to: "wide")
        func probes(_ between: Outcome) -> [Step] {
            [
                host.probe(host.inLow, 100, "even"), host.probe(host.inLow, 103, "odd"),
                host.probe(host.inLow, 157, "odd"), host.probe(host.inLow, 160, "even"),
                host.probe(host.inLow, 217, "odd"), host.probe(host.inLow, 101, between),
                host.probe(host.inLow, 158, between), host.probe(host.inLow, 218, between),
                host.probe(host.inLow, 99, .refused), host.probe(host.inLow, 301, .refused),
            ]
        }
        let replace = PinnedHost.perform(.replace(several), ["added": "40"], label: "replace")
        let within: [Step] = [
            PinnedHost.bind(host.binding(host.low, PortRange(158), to: "odd"), label: "within"),
            host.probe(host.inLow, 158, "odd"), host.probe(host.inHigh, 158, "wide"),
            host.probe(host.inLow, 160, "even"), host.probe(host.inLow, 159, "wide"),
            host.probe(host.inLow, 217, "odd"),
        ]
        return host.fixture(
            "many-port-ranges",
            "A prefix has as many port ranges as are bound, and each port has its own; one prefix within has them all, and its own on top.",
            host.scene() + host.open("even", "odd", "wide") + PinnedHost.registerEach(["even", "odd", "wide"])
                + [replace] + probes(.refused) + [PinnedHost.bind(wide, label: "wide")] + probes(.reaches("wide"))
                + within,
            sabotages: [
                .without("wide"), .without("within"),
                .instead(
                    of: "replace", "one-less", PinnedHost.perform(.replace(several.dropLast()), ["added": "39"])),
            ])
    }

    private static func precedence(_ host: PinnedHost) -> Fixture {
        let address = host.inLow
        let one = Prefix(address)
        let names = ["wide", "port", "half", "half-port", "host", "other"]
        let transport: TransportProtocol = host.variant.transport == .tcp ? .udp : .tcp
        var foreign = host.binding(one, PortRange(70), to: "other")
        foreign.protocol = transport
        let bindings = [
            host.binding(one, .from(85, to: 1023), to: "host"),
            host.binding(host.prefix, PinnedHost.lowPorts, to: "wide"),
            host.binding(host.low, .from(80, to: 200), to: "half"),
            host.binding(host.prefix, PortRange(80), to: "port"),
            host.binding(host.low, PortRange(80), to: "half-port"),
            host.binding(host.plan.everything, PortRange(86), to: "other"), foreign,
        ]
        let expected: [(IPAddress, UInt16, String)] = [
            // An exact port of the wider prefix, and all of the narrower.
            (host.inHigh, 80, "port"), (host.inHigh, 81, "wide"), (host.low.host(2), 80, "half-port"),
            (host.low.host(2), 81, "half"), (host.low.host(2), 200, "half"), (host.low.host(2), 201, "wide"),
            (address, 80, "half-port"), (address, 84, "half"), (address, 85, "host"), (address, 86, "host"),
            (address, 1023, "host"), (address, 70, "wide"), (host.inHigh, 86, "wide"),
            (host.plan.second.host(1), 86, "other"),
        ]
        let probes: [Step] =
            expected.map { host.probe($0, $1, $2) } + [host.probe(host.plan.second.host(1), 80, .refused)]
        let replace = PinnedHost.perform(.replace(bindings), ["added": "\(bindings.count)"], label: "replace")
        let empty = PinnedHost.perform(.replace([]), ["removed": "\(bindings.count)"])
        let oneByOne: [Step] = bindings.reversed().map { PinnedHost.perform(.bind([$0]), ["added": "1"]) }
        return host.fixture(
            "precedence",
            "The most specific prefix with a range for the port holds, whatever port ranges wider prefixes have, and then the narrowest range; in whatever order they were bound.",
            because: ["paper Figure 4c: matches on protocol, prefix and port"],
            host.scene() + host.open("wide", "port", "half", "half-port", "host", "other")
                + PinnedHost.registerEach(names) + [replace] + probes + [empty] + oneByOne + probes,
            sabotages: [
                .without("register-half-port"), .without("register-other"),
                .instead(
                    of: "replace", "another-prefix",
                    PinnedHost.perform(
                        .replace(
                            bindings.map { binding in
                                var binding = binding
                                if binding.label == "host" { binding.prefix = Prefix(host.low.host(3)) }
                                return binding
                            }))),
            ])
    }
}

extension DispatcherBinding {
    /// As refusals name it.
    var matchText: String { "\(`protocol`.rawValue) \(prefix) \(ports)" }
}

extension Prefix {
    /// The prefix that is `bits` shorter.
    func widened(by bits: Int) -> Prefix {
        let host = UInt128(family.width - length + bits)
        let start = (address.bits >> host) << host
        guard let prefix = try? Prefix(IPAddress(family: family, bits: start), length: length - bits) else {
            preconditionFailure("\(self) has no prefix that is \(bits) bits shorter")
        }
        return prefix
    }
}
