import Addressing
import Foundation
import PolicyDNS
import Testing
import YAMLReading

@testable import Fixtures
@testable import Lab

/// A configuration that leaves little to defaults.
private func configuration() throws -> Configuration {
    var policy = Configuration.Policy(name: "all", pool: "p")
    policy.ttl = 30
    policy.strategy = .roundRobin
    policy.match.labels = ["east"]
    var configuration = Configuration(
        zones: [
            .init(
                name: try DomainName(text: "example.com"),
                nameservers: [.init(name: try DomainName(text: "ns.example"))])
        ],
        pools: [
            .init(
                name: "p",
                addresses: try AddressPool(
                    [.init(try Prefix(text: "192.0.2.0/24"))], excluding: [try Prefix(text: "192.0.2.8/29")]))
        ], policies: [policy])
    configuration.listeners = [.init(address: try Endpoint(text: "192.0.2.1:53"), label: "east")]
    configuration.identity.server = "n"
    return configuration
}

/// A fixture with every action and every outcome.
private func everything() throws -> Fixture {
    let v4 = try Endpoint(text: "192.0.2.1:53")
    let v6 = try Endpoint(text: "[2001:db8::1]:53")
    let prefix = try Prefix(text: "2001:db8::/32")
    let bounds = Bounds(atLeast: 3, atMost: nil)
    let lines = [
        DispatcherBinding(.tcp, prefix, .all, to: "web: #x"),
        DispatcherBinding(.udp, Prefix(v4.address), PortRange(53), to: "two words", otherwise: .pass),
        DispatcherBinding(.tcp, prefix, PortRange(80), to: ""),
    ]
    let actions: [Action] = [
        .namespace("server"),
        .devicePair(
            DevicePair(
                .init(namespace: "a", device: "e0", addresses: ["198.51.100.1/24"]),
                .init(namespace: "b", device: "e1", addresses: []))),
        .addAddress(AddressAssignment(namespace: "a", address: "192.0.2.1/24")),
        .removeAddress(AddressAssignment(namespace: "a", address: "192.0.2.1/24")),
        .localPrefix(LocalPrefix(namespace: "a", prefix: prefix)),
        .route(Route(namespace: "a", to: prefix, via: v6.address)),
        .sysctl(SystemControl(namespace: "a", key: "net.ipv4.ip_nonlocal_bind", value: "1")),
        .socket(SocketDescription("web", in: "a", .tcp, bind: v6)),
        .socket(
            SocketDescription(
                "dns", in: "a", .udp, bind: v4, options: [.reusePort, .dualStack], listen: false, connect: v6,
                receiveBuffer: 4096)),
        .sockets(SocketRange("many", in: "a", .udp, prefix: prefix, port: 53)),
        .binds(
            BindSequence(
                in: "a", .tcp, port: 0,
                [
                    BindAttempt(v4.address),
                    BindAttempt(v4.address, options: [.reusePort, .freeBind], listen: .atOnce),
                    BindAttempt(.mapped(1), options: [.v6Only], listen: .later),
                ],
                probes: [
                    BindAttempt(
                        v6.address, port: 7, options: [.reusePort], listen: .atOnce, user: 1000, device: "lo",
                        localPorts: PortRange(9), connect: v6, becomes: .timeWait)
                ])),
        .close("web"), .probe(Probe(from: "b", .udp, to: v4, source: v6, fence: v4)),
        .sweep(Sweep(from: "b", .tcp, addresses: prefix, ports: .all, stride: 7)),
        .connect(Connection("c", from: "b", .tcp, to: v4)), .exchange("c"),
        .choosePorts(PortChoice(in: "a", .tcp, to: v4, count: 3)),
        .choosePorts(PortChoice(in: "a", .udp, to: v6, count: 3, localPorts: PortRange(53))),
        .probe(Probe(from: "b", .udp, to: v4, lite: true)),
        .socket(SocketDescription("l", in: "a", .udp, bind: v4, lite: true)),
        .load(ProgramLoad("d", object: "dispatch")),
        .load(
            ProgramLoad(
                "s", object: "script",
                script: [
                    .select("web"), .select("web", flags: [.replace, .noReuseport, .undefined]),
                    .select(nil, flags: []), .onlyProtocol(.udp), .onlyFamily(.ipv6), .onlyLocalPort(53),
                    .onlyRemotePort(1024), .verdict(.drop), .verdict(.pass),
                ],
                capabilities: [.bpf, .netAdmin, .sysAdmin, .perfmon])),
        .script(ScriptChange("s", [])), .recorded("s"), .ran(["s", "d"]),
        .attach(Attachment("l", program: "d", to: "a")), .detach("l"),
        .attach(Attachment("m", program: "d", to: "a", copies: 64, flags: 1, capabilities: [])),
        .attachWithoutLink(LinklessAttachment("d", to: "a")), .detachWithoutLink(LinklessAttachment("d", to: "a")),
        .updateLink(LinkUpdate("l", to: "s")),
        .updateLink(LinkUpdate("l", to: "s", replacing: "d", capabilities: [.bpf])),
        .linkInformation("l"), .query(ProgramQuery("a")), .query(ProgramQuery("a", room: 2, flags: 1)),
        .pinLink(LinkPin("l", at: "p")), .openLink(LinkPin("o", at: "p")), .unpin("p"), .letGoOfLink("o"),
        .removeNamespace("b"),
        .register(Registration("d", label: "yes", socket: "web")),
        .unregister(Registration("d", label: "1", socket: "web")),
        .bind(Binding("d", .tcp, prefix, ports: PortRange(53), to: "null", otherwise: .pass)),
        .unbind(Binding("d", .tcp, prefix, ports: .all, to: "web")),
        .testRun(TestRun("d", .tcp, addresses: prefix, ports: .all, remote: v6)),
        .testRunContext(
            ContextRun(
                "d", ContextFields(.udp, remote: v6, local: v6), size: 80, byte: ContextByte(at: 79, 255), sizeOut: 0,
                repetitions: 3, flags: 1, cpu: 2, batchSize: 4, dataIn: 5, dataOut: 6)),
        .testRunContext(ContextRun("d", nil)), .context(ContextReading("d", in: "a", lookup: 2)),
        .verify(
            Verification(
                [
                    "leaked": .init([try Instruction(text: "r1 = map sockets")], reason: "Unreleased: \"x\""),
                    "null": .init([try Instruction(text: "*(u32 *)(r10 - 4) = -1")]),
                ], type: .socketFilter, attachType: .none, license: "Proprietary")),
        .contextAccesses(ContextAccesses(.storeImmediate, from: -8, through: 80)),
        .flood(Flood("f", from: "b", to: v4, datagrams: 10)), .drain("web"), .drops("web"), .arrivals("web"),
        .setOption(OptionChange(.deferAccept, of: "web")), .attachReuseport(GroupProgram("d", to: "web")),
        .attachReuseportFilter(GroupFilter(picking: 1, to: "web")), .detachReuseport("web"), .backlog("web"),
        .spread(Spread(from: "b", .tcp, to: v6, among: ["web"])),
        .register(Registration("d", label: "l", socket: "web", only: .empty)),
        .sockets(SocketRange("same", in: "a", .udp, prefix: prefix, port: 53, copies: 3)),
        .childNamespace(ChildNamespace("c", from: "a")),
        .icmpError(IcmpError(.tooBig, in: "a", about: "c", .server, to: v4, mtu: 1400)),
        .icmpError(IcmpError(.portUnreachable, in: "a", about: "web")),
        .socket(
            SocketDescription(
                "odd", in: "a", .tcp, bind: v4, bound: false, backlog: 0, fastOpen: 5, device: "lo", join: v6.address)),
        .call(SocketCall(.shutdownRead, on: "web")),
        .call(SocketCall(.close, on: "c", .server)), .call(SocketCall(.connect, on: "web", endpoint: v6, backlog: 3)),
        .socketDiag(SocketQuery(in: "a", .udp, local: v4, remote: v4)),
        .countSockets(SocketCount(in: "a", until: 3)), .endpoints("c"),
        .connect(Connection("d", from: "b", .udp, to: v4, connected: true, fastOpen: false, question: false)),
        .mapEntry(MapEntry(.update, 3, of: "hash", in: "d", socket: "c", .client, flags: .noExist)),
        .mapEntry(MapEntry(.update, 3, of: "hash", in: "d", file: MapEntry.File.none)),
        .mapEntry(MapEntry(.lookUp, 3, of: "hash", in: "d")), .unload("d"),
        .nameService(
            NameService(
                "n", on: [.init("dns"), .init("web", label: "east")], try configuration(), answersFrom: .picked)),
        .nameServiceReload(NameServiceReload("n", try configuration())),
        .nameQuery(
            NameQuery(
                from: "b", .tcp, to: v6, "example.com", .soa, payload: 512, recursion: true, retry: true,
                within: [prefix])),
        .nameSurvey(
            NameSurvey(
                "s", from: "b", .tcp, to: prefix, HostNames(3, below: "example.com"), .aaaa, queries: 9,
                recursion: true, within: prefix)),
        .compareSurveys(["s", "t"]), .sites(SiteService(on: "web", HostNames(2, below: "example.com"))),
        .visit(
            SiteVisits(
                "v", from: "b", resolver: v4, HostNames(2, below: "example.com"), by: .serverName, port: 443,
                within: prefix)),
        .revisit(SiteRevisits("v", over: .kept)),
        .dispatcher(DispatcherStep(.load("dispatch"), in: "a", by: .process, killedAfter: "load-pinned-maps")),
        .dispatcher(DispatcherStep(.unload, in: "a", beside: .looking)),
        .dispatcher(DispatcherStep(.upgrade("dispatch_next"), in: "a", by: .group)),
        .dispatcher(DispatcherStep(.bind(lines), in: "a")), .dispatcher(DispatcherStep(.unbind(lines), in: "a")),
        .dispatcher(DispatcherStep(.replace([]), in: "a")),
        .dispatcher(DispatcherStep(.register(DispatcherSockets("web: #x", ["web"], file: .pipe)), in: "a")),
        .dispatcher(DispatcherStep(.join(DispatcherSockets("", [])), in: "a")),
        .dispatcher(DispatcherStep(.unregister(DispatcherSockets("w", ["web"])), in: "a")),
        .dispatcher(DispatcherStep(.drain(DispatcherSockets("w", ["c"])), in: "a")),
        .dispatcher(DispatcherStep(.tell(.metrics), in: "a")), .dispatcher(DispatcherStep(.unpin("info"), in: "a")),
        .dispatcherChanges(
            DispatcherChanges(
                in: "a", [.unload, .replace(lines)], rounds: 3, probes: [Probe(from: "b", .udp, to: v4, source: v6)])),
        .dispatcherModel(
            DispatcherModel(
                in: "a", by: .testRun, seed: .max, sets: 1, bindings: 2, probes: 3,
                labels: ["web": ["a", "b"], "x": []])),
        .dispatcherModel(
            DispatcherModel(
                in: "a", by: .packets, seed: 0, sets: 1, bindings: 2, probes: 3, labels: [:], .udp, .ipv6)),
        .daemon(Daemon("r", in: "a", run: "cat $CONFIGURATION", configuration: "x:\n  y: \"z\"\n", sockets: ["dns"])),
        .exec(Command(in: "a", "echo 'x: #y' \"z\"\nexit 3")),
    ]
    let outcomes: [Outcome] = [
        .succeeds, .fails(.addressInUse, call: "bind"), .fails(.connectionRefused, call: nil), .reaches("web"),
        .refused, .silent,
        .answers([AnswerSpan(v4, through: v4, "web[=]"), AnswerSpan(v6, through: v6, "refused")]), .answers([]),
        .count(.exactly(3)), .count(bounds), .received(["b": bounds, "a": .exactly(0)]), .received([:]),
        .exits(3, output: "x: #y"), .exits(0, output: nil), .facts(["runs": "1", "a b": "x: #y"]),
    ]
    let bare = outcomes.map { Step(.namespace("x"), expect: [Expectation($0)]) }
    let versioned = outcomes.map {
        Step(
            .namespace("x"),
            expect: [
                Expectation($0, until: VersionSet(KernelVersion(5, 20))),
                Expectation(
                    $0, since: VersionSet(KernelVersion(5, 20), KernelVersion(5, 10, 135)), because: "commit 1234567"),
            ])
    }
    return Fixture(
        name: "all/of-it", variant: "5",
        summary: "Everything: a 'quoted' text, \(String(repeating: "long ", count: 40))",
        because: ["RFC 1035 §4.1", "- not a list", "{nor: this}"], tags: ["true", "x"],
        requires: [.skLookup, .testRun],
        steps: actions.enumerated().map { Step($1, label: $0 % 2 == 0 ? "step-\($0)" : nil, eventually: $0 % 3 == 0) }
            + bare + versioned,
        sabotages: [
            Sabotage("none", omit: ["step-0"]),
            Sabotage("other", replace: ["step-4": [Step(.close("x"))], "step-2": [], "step-8": bare]),
        ])
}

@Test("a fixture survives being written as YAML and read back")
func roundTrip() throws {
    let fixture = try everything()
    let text = try FixtureFile.encode(fixture)
    #expect(try FixtureFile.parse(text, file: "x.yaml") == fixture)
    // Dictionaries have no order; files that are compared and stored must have one.
    #expect(try FixtureFile.encode(fixture) == text)
}

@Test("every built-in fixture survives being written as YAML and read back", arguments: Catalogue.all.map(\.id))
func roundTripOfTheCatalogue(id: String) throws {
    let fixture = try #require(Catalogue.all.first { $0.id == id })
    #expect(try FixtureFile.decode(FixtureFile.encode(fixture), file: "x.yaml") == fixture)
}

@Test("the YAML form is laid out for people")
func layout() throws {
    let fixture = Fixture(
        name: "order/plain", variant: "udp-ipv4", summary: "The ordinary lookup decides.",
        because: ["bpf_sk_lookup(7)"],
        requires: [.skLookup],
        steps: [
            Step(.namespace("server")),
            Step(
                .socket(SocketDescription("web", in: "server", .udp, bind: try Endpoint(text: "127.0.0.1:53"))),
                label: "listen"),
            Step(
                .probe(Probe(from: "server", .udp, to: try Endpoint(text: "127.0.0.1:53"))),
                expect: [Expectation(.reaches("web"))]),
        ],
        sabotages: [Sabotage("nobody-listens", omit: ["listen"])])
    #expect(
        try FixtureFile.encode(fixture) == """
            name: order/plain
            variant: udp-ipv4
            summary: The ordinary lookup decides.
            because:
            - bpf_sk_lookup(7)
            requires: [sk-lookup]
            steps:
            - namespace: server
            - socket: {name: web, namespace: server, protocol: udp, bind: '127.0.0.1:53', listen: true}
              label: listen
            - probe: {from: server, protocol: udp, to: '127.0.0.1:53'}
              expect: {reaches: web}
            sabotages:
            - name: nobody-listens
              omit: [listen]

            """)
}

@Test("what a step or an expectation says stays on a line where it fits, and lists of mappings do not")
func nestedLayout() throws {
    let end = DevicePair.End(namespace: "a", device: "e0", addresses: ["198.51.100.1/24"])
    let fixture = Fixture(
        name: "a/b", summary: "Text.", because: [],
        steps: [
            Step(.devicePair(DevicePair(end, end))),
            Step(.drain("web"), expect: [Expectation(.received(["b": .exactly(20), "a": Bounds(atLeast: 1)]))]),
            Step(
                .drops("web"),
                expect: [
                    Expectation(.count(.exactly(0)), until: VersionSet(KernelVersion(5, 20))),
                    Expectation(.silent, since: VersionSet(KernelVersion(5, 20))),
                ]),
        ])
    #expect(
        try FixtureFile.encode(fixture) == """
            name: a/b
            summary: Text.
            steps:
            - device-pair:
                ends:
                - {namespace: a, device: e0, addresses: [198.51.100.1/24]}
                - {namespace: a, device: e0, addresses: [198.51.100.1/24]}
            - drain: web
              expect: {received: {a: {at-least: 1}, b: {at-least: 20, at-most: 20}}}
            - drops: web
              expect:
              - {count: {at-least: 0, at-most: 0}, until: '5.20'}
              - {outcome: silent, since: '5.20'}

            """)
}

/// Lines 1 to 4 of a file; its steps follow.
private let head = "name: a/b\nsummary: Text.\n# why\nsteps:\n"

@Test(
    "a mistake is told with its line and column, and what was probably meant",
    arguments: [
        ("nmae: a/b\nsummary: x\nsteps: []\n", "1:1: unknown key 'nmae'; did you mean 'name'?"),
        ("name: a/b\nsteps:\n- namespace: x\n", "1:1: the key 'summary' is missing here"),
        (head + "- namespace: x\nsabotage: []\n", "6:1: unknown key 'sabotage'; did you mean 'sabotages'?"),
        (head + "- namespace: x\n- prob: {from: x}\n", "6:3: unknown key 'prob'; did you mean 'probe'?"),
        (
            head + "- probe: {from: x, protocol: udp, to: '192.0.2.1:53', sorce: '192.0.2.2:9'}\n",
            "5:55: unknown key 'sorce'; did you mean 'source'?"
        ),
        (
            head
                + "- socket:\n    name: web\n    namespace: x\n    protocol: udp\n    bind: 192.0.2.1:53\n    option: [reuseport]\n",
            "10:5: unknown key 'option'; did you mean 'options'?"
        ),
        (
            head + "- probe: {from: x, protocol: udp, to: 192.0.2.1}\n",
            "5:39: '192.0.2.1' is not an endpoint: write 192.0.2.1:53 or [2001:db8::1]:53"
        ),
        (head + "- namespace: x\n  expect: {reachs: web}\n", "6:12: unknown key 'reachs'; did you mean 'reaches'?"),
        (
            head + "- namespace: x\n  expect: refusd\n",
            "6:11: 'refusd' is not an outcome: write succeeds, refused or silent, or a mapping"
        ),
        (
            head + "- namespace: x\n  expect: {fails: EADDRINUS}\n",
            "6:19: 'EADDRINUS' is not an errno: write its name, such as EADDRINUSE"
        ),
        (head + "- namespace: [x]\n", "5:14: expected text, found a list"),
        (head + "- namespace:\n", "5:13: expected text, found nothing"),
        (
            head + "- flood: {name: f, from: x, to: '192.0.2.1:5', datagrams: many, bytes: 32}\n",
            "5:59: expected a whole number from -9223372036854775808 to 9223372036854775807, found 'many'"
        ),
        (
            head + "- binds: {namespace: x, protocol: udp, port: 7, sockets: ['::1 reuseprt']}\n",
            "5:59: 'reuseprt' is neither a socket option nor 'listening' at the end"
        ),
        ("name: a/b\nsummary: x\nsteps: 5\n", "3:8: expected a list, found '5'"),
        ("- a\n", "1:1: expected a mapping (key: value), found a list"),
        ("name: a/b\nname: c/d\n", "1:1: the mapping that begins here has the key 'name' twice"),
        ("name: [a\n", "2:1: not YAML: while parsing a flow sequence did not find expected ',' or ']'"),
    ])
func mistakes(text: String, expected: String) {
    let error = #expect(throws: YAMLFileError.self) { try FixtureFile.decode(text, file: "bug.yaml") }
    #expect(error?.description == "bug.yaml:\(expected)")
}

@Test("a mistake that belongs to no place is told with the file")
func mistakesOfTheWhole() throws {
    func message(_ text: String) -> String? {
        #expect(throws: YAMLFileError.self) { try FixtureFile.decode(text, file: "bug.yaml") }?.description
    }
    #expect(message("") == "bug.yaml: holds no fixture")
    #expect(
        message("name: nonsense\nsummary: x\nsteps:\n- namespace: x\n")
            == "bug.yaml: 'nonsense' is not a fixture name: write family/name in lower-case words joined by -")
    let missing = #expect(throws: YAMLFileError.self) { try FixtureFile.read("/nonexistent/bug.yaml") }
    #expect(
        missing?.line == nil
            && missing?.description.hasPrefix("/nonexistent/bug.yaml: cannot be read: No such file or directory")
                == true
    )
}

@Test("versions, ports and names need no quotation marks")
func bareScalars() throws {
    let text =
        head + """
            - namespace: 7
            - sweep: {from: x, protocol: udp, addresses: 192.0.2.0/24, ports: 53}
              expect:
              - {outcome: refused, until: 5.20}
              - {outcome: silent, since: [5.20, 5.10.135]}
            """
    let fixture = try FixtureFile.parse(text, file: "x.yaml")
    #expect(fixture.steps[0].action == .namespace("7"))
    #expect(fixture.steps[1].expect[0].until == VersionSet(KernelVersion(5, 20)))
    #expect(fixture.steps[1].expect[1].since == VersionSet(KernelVersion(5, 20), KernelVersion(5, 10, 135)))
}
