import Addressing
import Lab
import PolicyDNS

/// One namespace in which names are served by policy, and sites at the addresses answered.
///
/// No server's socket is bound to an address that is asked: the dispatcher steers `resolvers` to the name server, and
/// pools to wherever a fixture wants them.
struct NameScene {
    let family: AddressFamily
    /// Clients in a namespace of their own, one link away, after all: where the path matters.
    var outside = false

    var plan: AddressPlan { AddressPlan(family: family) }
    var home: String { outside ? "client" : "server" }
    var features: [Feature] {
        [.skLookup] + (outside ? [.devicePair] : []) + (family == .ipv6 ? [.ipv6] : [])
    }
    var type: QuestionType { family == .ipv4 ? .a : .aaaa }

    /// What policies answer from: 256 addresses, and as many others.
    var pool: Prefix { plan.service }
    var otherPool: Prefix { plan.unbound }
    /// Where the name server is asked.
    var resolvers: Prefix { plan.second }
    var resolver: Endpoint { Endpoint(resolvers.host(53), 53) }

    // MARK: what is there

    func network(local prefixes: [Prefix]) -> [Step] {
        outside
            ? Scenery.network(plan, local: prefixes)
            : [Step(.namespace("server"))] + prefixes.map { Step(.localPrefix(.init(namespace: "server", prefix: $0))) }
    }

    /// The name server's sockets, `NAME-udp` and `NAME-tcp`: at an address that clients reach, and do not ask.
    func sockets(
        _ name: String = "names", at address: IPAddress? = nil, transports: [TransportProtocol] = [.udp, .tcp],
        options: [SocketOption] = []
    ) -> [Step] {
        transports.map { transport in
            // A steered UDP socket answers from the port that it is bound to.
            Step(
                .socket(
                    SocketDescription(
                        "\(name)-\(transport.rawValue)", in: "server", transport,
                        bind: Endpoint(address ?? (outside ? plan.serverAddress : plan.loopback), 53),
                        options: [.freeBind] + options)))
        }
    }

    static func served(_ name: String = "names", label: String? = nil) -> [NameService.ServedSocket] {
        TransportProtocol.allCases.map { .init("\(name)-\($0.rawValue)", label: label) }
    }

    func serve(
        _ configuration: Configuration, _ name: String = "names", on sockets: [NameService.ServedSocket]? = nil,
        answersFrom: NameService.AnswerSource? = nil
    ) -> Step {
        Step(
            .nameService(
                NameService(
                    name, on: sockets ?? NameScene.served(name), configuration, answersFrom: answersFrom)),
            label: "serve-\(name)")
    }

    /// The listener of all sites.
    func web(_ sites: HostNames) -> [Step] {
        [
            Step(.socket(SocketDescription("web", in: "server", .tcp, bind: Endpoint(plan.loopback, 8080)))),
            NameScene.sites(sites),
        ]
    }

    static func sites(_ sites: HostNames) -> Step { Step(.sites(SiteService(on: "web", sites)), label: "sites") }

    /// Puts the sockets of a name server under its name.
    static func register(_ name: String = "names") -> [Step] {
        TransportProtocol.allCases.map { transport in
            Step(
                .register(Registration("dispatcher", label: name, socket: "\(name)-\(transport.rawValue)")),
                label: "register-\(name)-\(transport.rawValue)")
        }
    }

    static func bind(_ prefix: Prefix, to label: String) -> [Step] {
        TransportProtocol.allCases.map { transport in
            Step(
                .bind(Binding("dispatcher", transport, prefix, ports: PortRange(53), to: label)),
                label: "bind-\(label)-\(transport.rawValue)")
        }
    }

    static func bindWeb(_ prefix: Prefix, label: String = "bind-web") -> Step {
        Step(.bind(Binding("dispatcher", .tcp, prefix, ports: .all, to: "web")), label: label)
    }

    static func unbindWeb(_ prefix: Prefix) -> Step {
        Step(.unbind(Binding("dispatcher", .tcp, prefix, ports: .all, to: "web")))
    }

    // MARK: what is asked

    func survey(
        named name: String? = nil, over transport: TransportProtocol = .udp, to: Prefix? = nil, _ hosts: HostNames,
        queries: Int, recursion: Bool? = nil, within: Prefix, _ facts: [String: String]
    ) -> Step {
        let common = [
            "answered": "\(queries)", "addresses answered": "\(queries)", "rcodes": "NOERROR", "outside": "0",
            "from another endpoint": "0",
        ]
        return Step(
            .nameSurvey(
                NameSurvey(
                    name, from: home, transport, to: to ?? Prefix(resolver.address), hosts, type, queries: queries,
                    recursion: recursion, within: within)),
            expect: [Expectation(.facts(common.merging(facts) { $1 }))])
    }

    func query(
        over transport: TransportProtocol = .udp, to: Endpoint? = nil, _ name: String, _ type: QuestionType? = nil,
        payload: Int? = nil, recursion: Bool? = nil, retry: Bool? = nil, within: [Prefix] = [],
        _ facts: [String: String]
    ) -> Step {
        Step(
            .nameQuery(
                NameQuery(
                    from: home, transport, to: to ?? resolver, name, type ?? self.type, payload: payload,
                    recursion: recursion, retry: retry, within: within)),
            expect: [Expectation(.facts(["from": "the endpoint asked"].merging(facts) { $1 }))])
    }

    func visit(
        as name: String? = nil, _ sites: HostNames, by selector: SiteSelector, within: Prefix,
        _ facts: [String: String] = [:]
    ) -> Step {
        Step(
            .visit(
                SiteVisits(
                    name, from: home, resolver: resolver, sites, by: selector,
                    port: selector == .host ? 80 : 443, within: within)),
            expect: [
                Expectation(
                    .facts(
                        ["unresolved": "0", "outside": "0", "served by": "web"]
                            .merging(NameScene.visited(sites.count)) { $1 }.merging(facts) { $1 }))
            ])
    }

    static func revisit(
        _ visits: String, over connections: SiteRevisits.Connections, _ facts: [String: String]
    ) -> Step {
        Step(.revisit(SiteRevisits(visits, over: connections)), expect: [Expectation(.facts(facts))])
    }

    /// So many sites answered, and each was the one meant.
    static func visited(_ count: Int) -> [String: String] {
        ["visited": "\(count)", "wrong site": "0", "refused": "0", "broken": "0", "unanswered": "0"]
    }

    func fixture(
        _ name: String, variant: String? = nil, _ summary: String, because: [String], requires: [Feature] = [],
        _ steps: [Step], sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: "dns/\(name)", variant: variant ?? family.rawValue, summary: summary, because: because,
            requires: features + requires, steps: steps, sabotages: sabotages)
    }
}

/// A configuration with one zone, `example.com`, whose names are answered from one pool.
extension Configuration {
    static func answering(
        from prefix: Prefix, strategy: Strategy = .random, excluding: [Prefix] = []
    ) -> Configuration {
        var policy = Policy(name: "all", pool: "pool")
        policy.strategy = strategy
        return Configuration(
            zones: [.of("example.com")], pools: [.of("pool", prefix, excluding: excluding)], policies: [policy])
    }

    func identified(as server: String) -> Configuration {
        var changed = self
        changed.identity.server = server
        return changed
    }
}

extension Configuration.Zone {
    static func of(_ name: String, account: String? = nil, nameservers: [String] = ["ns.example.net"]) -> Self {
        Self(name: domain(name), account: account, nameservers: nameservers.map { .init(name: domain($0)) })
    }
}

extension Configuration.Pool {
    static func of(_ name: String, _ prefix: Prefix, excluding: [Prefix] = []) -> Self {
        guard let pool = try? AddressPool([.init(prefix)], excluding: excluding) else {
            preconditionFailure("pool \(name) of the catalogue is none")
        }
        return Self(name: name, addresses: pool)
    }
}

/// A name that is written in this program.
func domain(_ text: String) -> DomainName {
    guard let name = try? DomainName(text: text) else { preconditionFailure("'\(text)' in the catalogue is no name") }
    return name
}

extension Sabotage {
    /// The name server answers otherwise.
    static func serving(_ name: String, _ step: Step) -> Sabotage {
        Sabotage(name, replace: [step.label ?? "": [step]])
    }
}
