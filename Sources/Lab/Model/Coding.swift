import Addressing

// The JSON and YAML form of a fixture's steps and expectations. A step is a mapping with one key that
// names its action, beside `label` and `expect`; an expectation one with a key that names its outcome.

extension Step: Codable {
    private enum CodingKeys: String, CodingKey { case label, eventually, expect }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        label = try container.decodeIfPresent(String.self, forKey: .label)
        eventually = try container.decodeIfPresent(Bool.self, forKey: .eventually) ?? false
        action = try Action(from: decoder)
        guard container.contains(.expect) else {
            expect = []
            return
        }
        if let several = try? container.nestedUnkeyedContainer(forKey: .expect), several.count != nil {
            expect = try container.decode([Expectation].self, forKey: .expect)
        } else {
            expect = [try container.decode(Expectation.self, forKey: .expect)]
        }
    }

    public func encode(to encoder: any Encoder) throws {
        try action.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(label, forKey: .label)
        if eventually { try container.encode(true, forKey: .eventually) }
        if expect.count == 1 {
            try container.encode(expect[0], forKey: .expect)
        } else if !expect.isEmpty {
            try container.encode(expect, forKey: .expect)
        }
    }
}

extension Action: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case namespace, removeNamespace = "remove-namespace", devicePair = "device-pair", addAddress = "add-address",
            removeAddress = "remove-address"
        case localPrefix = "local-prefix"
        case route, sysctl, socket, sockets, close, binds, setOption = "set-option", probe, sweep, connect, exchange,
            spread,
            load, script, recorded, ran, attach
        case attachWithoutLink = "attach-without-link", detachWithoutLink = "detach-without-link"
        case updateLink = "update-link", linkInformation = "link-information", query, pinLink = "pin-link"
        case openLink = "open-link", unpin, letGoOfLink = "let-go-of-link", detach
        case register, unregister, bind, unbind, testRun = "test-run"
        case attachReuseport = "attach-reuseport", attachReuseportFilter = "attach-reuseport-filter"
        case detachReuseport = "detach-reuseport", backlog, flood, drain, drops, arrivals, exec
        case childNamespace = "child-namespace", icmpError = "icmp-error", call, socketDiag = "socket-diag"
        case countSockets = "count-sockets", endpoints, mapEntry = "map-entry", unload
        case testRunContext = "test-run-context", context, verify, contextAccesses = "context-accesses"
        case choosePorts = "choose-ports"
        case dispatcher, dispatcherChanges = "dispatcher-changes", dispatcherModel = "dispatcher-model"
        case nameService = "dns-serve", nameServiceReload = "dns-reload", nameQuery = "dns-query"
        case nameSurvey = "dns-survey", compareSurveys = "dns-compare", sites = "serve-sites", visit, revisit, daemon
    }

    /// The keys of the YAML form, in the order of the documentation.
    public static var names: [String] { CodingKeys.allCases.map(\.rawValue) }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        guard container.allKeys.count == 1, let key = container.allKeys.first else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription:
                        "a step has exactly one action; the actions are \(Action.names.joined(separator: ", "))"))
        }
        func value<Value: Decodable>() throws -> Value { try container.decode(Value.self, forKey: key) }
        self =
            switch key {
            case .namespace: .namespace(try value())
            case .devicePair: .devicePair(try value())
            case .addAddress: .addAddress(try value())
            case .removeAddress: .removeAddress(try value())
            case .localPrefix: .localPrefix(try value())
            case .route: .route(try value())
            case .sysctl: .sysctl(try value())
            case .socket: .socket(try value())
            case .sockets: .sockets(try value())
            case .close: .close(try value())
            case .binds: .binds(try value())
            case .setOption: .setOption(try value())
            case .probe: .probe(try value())
            case .sweep: .sweep(try value())
            case .connect: .connect(try value())
            case .exchange: .exchange(try value())
            case .spread: .spread(try value())
            case .load: .load(try value())
            case .removeNamespace: .removeNamespace(try value())
            case .script: .script(try value())
            case .recorded: .recorded(try value())
            case .ran: .ran(try value())
            case .attachWithoutLink: .attachWithoutLink(try value())
            case .detachWithoutLink: .detachWithoutLink(try value())
            case .updateLink: .updateLink(try value())
            case .linkInformation: .linkInformation(try value())
            case .query: .query(try value())
            case .pinLink: .pinLink(try value())
            case .openLink: .openLink(try value())
            case .unpin: .unpin(try value())
            case .letGoOfLink: .letGoOfLink(try value())
            case .attach: .attach(try value())
            case .detach: .detach(try value())
            case .register: .register(try value())
            case .unregister: .unregister(try value())
            case .bind: .bind(try value())
            case .unbind: .unbind(try value())
            case .testRun: .testRun(try value())
            case .attachReuseport: .attachReuseport(try value())
            case .attachReuseportFilter: .attachReuseportFilter(try value())
            case .detachReuseport: .detachReuseport(try value())
            case .backlog: .backlog(try value())
            case .testRunContext: .testRunContext(try value())
            case .context: .context(try value())
            case .verify: .verify(try value())
            case .contextAccesses: .contextAccesses(try value())
            case .flood: .flood(try value())
            case .drain: .drain(try value())
            case .drops: .drops(try value())
            case .arrivals: .arrivals(try value())
            case .exec: .exec(try value())
            case .childNamespace: .childNamespace(try value())
            case .icmpError: .icmpError(try value())
            case .call: .call(try value())
            case .socketDiag: .socketDiag(try value())
            case .countSockets: .countSockets(try value())
            case .endpoints: .endpoints(try value())
            case .choosePorts: .choosePorts(try value())
            case .mapEntry: .mapEntry(try value())
            case .unload: .unload(try value())
            case .dispatcher: .dispatcher(try value())
            case .dispatcherChanges: .dispatcherChanges(try value())
            case .dispatcherModel: .dispatcherModel(try value())
            case .nameService: .nameService(try value())
            case .nameServiceReload: .nameServiceReload(try value())
            case .nameQuery: .nameQuery(try value())
            case .nameSurvey: .nameSurvey(try value())
            case .compareSurveys: .compareSurveys(try value())
            case .sites: .sites(try value())
            case .visit: .visit(try value())
            case .revisit: .revisit(try value())
            case .daemon: .daemon(try value())
            }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .namespace(let value): try container.encode(value, forKey: .namespace)
        case .devicePair(let value): try container.encode(value, forKey: .devicePair)
        case .addAddress(let value): try container.encode(value, forKey: .addAddress)
        case .removeAddress(let value): try container.encode(value, forKey: .removeAddress)
        case .localPrefix(let value): try container.encode(value, forKey: .localPrefix)
        case .route(let value): try container.encode(value, forKey: .route)
        case .sysctl(let value): try container.encode(value, forKey: .sysctl)
        case .socket(let value): try container.encode(value, forKey: .socket)
        case .sockets(let value): try container.encode(value, forKey: .sockets)
        case .close(let value): try container.encode(value, forKey: .close)
        case .binds(let value): try container.encode(value, forKey: .binds)
        case .setOption(let value): try container.encode(value, forKey: .setOption)
        case .probe(let value): try container.encode(value, forKey: .probe)
        case .sweep(let value): try container.encode(value, forKey: .sweep)
        case .connect(let value): try container.encode(value, forKey: .connect)
        case .exchange(let value): try container.encode(value, forKey: .exchange)
        case .spread(let value): try container.encode(value, forKey: .spread)
        case .load(let value): try container.encode(value, forKey: .load)
        case .removeNamespace(let value): try container.encode(value, forKey: .removeNamespace)
        case .script(let value): try container.encode(value, forKey: .script)
        case .recorded(let value): try container.encode(value, forKey: .recorded)
        case .ran(let value): try container.encode(value, forKey: .ran)
        case .attachWithoutLink(let value): try container.encode(value, forKey: .attachWithoutLink)
        case .detachWithoutLink(let value): try container.encode(value, forKey: .detachWithoutLink)
        case .updateLink(let value): try container.encode(value, forKey: .updateLink)
        case .linkInformation(let value): try container.encode(value, forKey: .linkInformation)
        case .query(let value): try container.encode(value, forKey: .query)
        case .pinLink(let value): try container.encode(value, forKey: .pinLink)
        case .openLink(let value): try container.encode(value, forKey: .openLink)
        case .unpin(let value): try container.encode(value, forKey: .unpin)
        case .letGoOfLink(let value): try container.encode(value, forKey: .letGoOfLink)
        case .attach(let value): try container.encode(value, forKey: .attach)
        case .detach(let value): try container.encode(value, forKey: .detach)
        case .register(let value): try container.encode(value, forKey: .register)
        case .unregister(let value): try container.encode(value, forKey: .unregister)
        case .bind(let value): try container.encode(value, forKey: .bind)
        case .unbind(let value): try container.encode(value, forKey: .unbind)
        case .testRun(let value): try container.encode(value, forKey: .testRun)
        case .attachReuseport(let value): try container.encode(value, forKey: .attachReuseport)
        case .attachReuseportFilter(let value): try container.encode(value, forKey: .attachReuseportFilter)
        case .detachReuseport(let value): try container.encode(value, forKey: .detachReuseport)
        case .backlog(let value): try container.encode(value, forKey: .backlog)
        case .testRunContext(let value): try container.encode(value, forKey: .testRunContext)
        case .context(let value): try container.encode(value, forKey: .context)
        case .verify(let value): try container.encode(value, forKey: .verify)
        case .contextAccesses(let value): try container.encode(value, forKey: .contextAccesses)
        case .flood(let value): try container.encode(value, forKey: .flood)
        case .drain(let value): try container.encode(value, forKey: .drain)
        case .drops(let value): try container.encode(value, forKey: .drops)
        case .arrivals(let value): try container.encode(value, forKey: .arrivals)
        case .exec(let value): try container.encode(value, forKey: .exec)
        case .childNamespace(let value): try container.encode(value, forKey: .childNamespace)
        case .icmpError(let value): try container.encode(value, forKey: .icmpError)
        case .call(let value): try container.encode(value, forKey: .call)
        case .socketDiag(let value): try container.encode(value, forKey: .socketDiag)
        case .countSockets(let value): try container.encode(value, forKey: .countSockets)
        case .endpoints(let value): try container.encode(value, forKey: .endpoints)
        case .choosePorts(let value): try container.encode(value, forKey: .choosePorts)
        case .mapEntry(let value): try container.encode(value, forKey: .mapEntry)
        case .unload(let value): try container.encode(value, forKey: .unload)
        case .dispatcher(let value): try container.encode(value, forKey: .dispatcher)
        case .dispatcherChanges(let value): try container.encode(value, forKey: .dispatcherChanges)
        case .dispatcherModel(let value): try container.encode(value, forKey: .dispatcherModel)
        case .nameService(let value): try container.encode(value, forKey: .nameService)
        case .nameServiceReload(let value): try container.encode(value, forKey: .nameServiceReload)
        case .nameQuery(let value): try container.encode(value, forKey: .nameQuery)
        case .nameSurvey(let value): try container.encode(value, forKey: .nameSurvey)
        case .compareSurveys(let value): try container.encode(value, forKey: .compareSurveys)
        case .sites(let value): try container.encode(value, forKey: .sites)
        case .visit(let value): try container.encode(value, forKey: .visit)
        case .revisit(let value): try container.encode(value, forKey: .revisit)
        case .daemon(let value): try container.encode(value, forKey: .daemon)
        }
    }
}

extension Expectation: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case outcome, fails, call, reaches, answers, count, received, exits, output, facts, since, until, because
    }

    /// The outcomes that need nothing said beside their name.
    private static let plain: [String: Outcome] = ["succeeds": .succeeds, "refused": .refused, "silent": .silent]

    private static func plain(_ name: String, at path: [any CodingKey]) throws -> Outcome {
        guard let outcome = plain[name] else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: path,
                    debugDescription: "'\(name)' is not an outcome: write succeeds, refused or silent, or a mapping"))
        }
        return outcome
    }

    public init(from decoder: any Decoder) throws {
        if let name = try? decoder.singleValueContainer().decode(String.self) {
            self.init(try Expectation.plain(name, at: decoder.codingPath))
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let outcomes: [CodingKeys] = [.outcome, .fails, .reaches, .answers, .count, .received, .exits, .facts]
        let named = outcomes.filter { container.contains($0) }
        guard named.count == 1 else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription:
                        "an expectation has exactly one of \(outcomes.map(\.rawValue).joined(separator: ", "))"))
        }
        let outcome: Outcome
        switch named[0] {
        case .fails:
            outcome = .fails(
                try container.decode(ErrorNumber.self, forKey: .fails),
                call: try container.decodeIfPresent(String.self, forKey: .call))
        case .reaches: outcome = .reaches(try container.decode(String.self, forKey: .reaches))
        case .answers: outcome = .answers(try container.decode([AnswerSpan].self, forKey: .answers))
        case .count: outcome = .count(try container.decode(Bounds.self, forKey: .count))
        case .received: outcome = .received(try container.decode([String: Bounds].self, forKey: .received))
        case .exits:
            outcome = .exits(
                try container.decode(Int32.self, forKey: .exits),
                output: try container.decodeIfPresent(String.self, forKey: .output))
        case .facts: outcome = .facts(try container.decode([String: String].self, forKey: .facts))
        default:
            outcome = try Expectation.plain(
                container.decode(String.self, forKey: .outcome), at: decoder.codingPath)
        }
        self.init(
            outcome,
            since: try container.decodeIfPresent(VersionSet.self, forKey: .since),
            until: try container.decodeIfPresent(VersionSet.self, forKey: .until),
            because: try container.decodeIfPresent(String.self, forKey: .because))
    }

    public func encode(to encoder: any Encoder) throws {
        let plainName = Expectation.plain.first { $0.value == outcome }?.key
        if let plainName, since == nil, until == nil, because == nil {
            var container = encoder.singleValueContainer()
            try container.encode(plainName)
            return
        }
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch outcome {
        case .succeeds, .refused, .silent: try container.encode(plainName, forKey: .outcome)
        case .fails(let errno, let call):
            try container.encode(errno, forKey: .fails)
            try container.encodeIfPresent(call, forKey: .call)
        case .reaches(let name): try container.encode(name, forKey: .reaches)
        case .answers(let spans): try container.encode(spans, forKey: .answers)
        case .count(let bounds): try container.encode(bounds, forKey: .count)
        case .received(let counts): try container.encode(counts, forKey: .received)
        case .exits(let status, let output):
            try container.encode(status, forKey: .exits)
            try container.encodeIfPresent(output, forKey: .output)
        case .facts(let facts): try container.encode(facts, forKey: .facts)
        }
        try container.encodeIfPresent(since, forKey: .since)
        try container.encodeIfPresent(until, forKey: .until)
        try container.encodeIfPresent(because, forKey: .because)
    }
}
