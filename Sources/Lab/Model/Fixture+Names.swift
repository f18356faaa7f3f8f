import PolicyDNS

extension Fixture {
    /// Checks that every name a step uses was made by an earlier one, and none twice.
    ///
    /// - Parameter includingExpectations: whether the sockets that expectations name are checked, too. In a
    ///   sabotaged world they may be missing: that is what the expectation must notice.
    func checkNames(includingExpectations: Bool = true) throws(FixtureError) {
        var names = Names(fixture: id)
        for (index, step) in steps.enumerated() {
            names.step = index + 1
            try names.follow(step, includingExpectations: includingExpectations)
        }
    }
}

/// What the steps so far have made.
private struct Names {
    private enum Kind: String {
        case namespace, socket, connection, program, link, flood, service, survey, visits, daemon
    }

    let fixture: String
    var step = 0
    private var made: [Kind: Set<String>] = [:]
    /// Ranges of sockets: each stands for `name[address]`.
    private var ranges: Set<String> = []
    /// Sockets that are or were open.
    private var opened: Set<String> = []

    init(fixture: String) { self.fixture = fixture }

    mutating func follow(_ step: Step, includingExpectations: Bool) throws(FixtureError) {
        // What is expected to fail on every kernel makes nothing.
        let makes = step.expect.isEmpty || step.expect.contains { if case .fails = $0.outcome { false } else { true } }
        switch step.action {
        case .namespace(let name): try make(.namespace, name)
        case .removeNamespace(let name):
            try use(.namespace, name)
            made[.namespace]?.remove(name)
        case .devicePair(let pair): for end in pair.ends { try use(.namespace, end.namespace) }
        case .addAddress(let assignment), .removeAddress(let assignment): try use(.namespace, assignment.namespace)
        case .localPrefix(let local): try use(.namespace, local.namespace)
        case .route(let route): try use(.namespace, route.namespace)
        case .sysctl(let control): try use(.namespace, control.namespace)
        case .exec(let command): try use(.namespace, command.namespace)
        case .socket(let socket):
            try use(.namespace, socket.namespace)
            if makes {
                try make(.socket, socket.name)
                opened.insert(socket.name)
            }
        case .sockets(let range):
            try use(.namespace, range.namespace)
            ranges.insert(range.name)
        case .close(let name):
            if made[.connection]?.remove(name) == nil, ranges.remove(name) == nil {
                try use(.socket, name)
                made[.socket]?.remove(name)
            }
        case .binds(let sequence): try use(.namespace, sequence.namespace)
        case .setOption(let change): try use(.socket, change.socket)
        case .probe(let probe): try use(.namespace, probe.from)
        case .sweep(let sweep): try use(.namespace, sweep.from)
        case .connect(let connection):
            try use(.namespace, connection.from)
            if makes { try make(.connection, connection.name) }
        case .exchange(let name): try use(.connection, name)
        case .spread(let spread):
            try use(.namespace, spread.from)
            if includingExpectations { for name in spread.among { try use(.socket, name) } }
        case .load(let load): if makes { try make(.program, load.name) }
        case .script(let change): try use(.program, change.program)
        case .recorded(let name): try use(.program, name)
        case .attachReuseport(let attachment):
            try use(.program, attachment.program)
            try use(.socket, attachment.socket)
        case .attachReuseportFilter(let filter): try use(.socket, filter.socket)
        case .detachReuseport(let name), .backlog(let name): try use(.socket, name)
        case .ran(let names): for name in names { try use(.program, name) }
        case .attach(let attachment):
            try use(.program, attachment.program)
            try use(.namespace, attachment.namespace)
            if makes, let copies = attachment.copies {
                for number in 0..<copies { try make(.link, "\(attachment.link)[\(number + 1)]") }
            } else if makes {
                try make(.link, attachment.link)
            }
        case .attachWithoutLink(let attachment), .detachWithoutLink(let attachment):
            try use(.program, attachment.program)
            try use(.namespace, attachment.namespace)
        case .updateLink(let update):
            try use(.link, update.link)
            try use(.program, update.program)
            if let old = update.replacing { try use(.program, old) }
        case .linkInformation(let link): try use(.link, link)
        case .query(let query): try use(.namespace, query.namespace)
        case .pinLink(let pin): try use(.link, pin.link)
        case .openLink(let pin): if makes { try make(.link, pin.link) }
        case .unpin: break
        case .detach(let link): try use(.link, link)
        case .letGoOfLink(let link):
            try use(.link, link)
            made[.link]?.remove(link)
        case .register(let registration), .unregister(let registration):
            try use(.program, registration.dispatcher)
            if made[.connection]?.contains(registration.socket) != true { try use(.socket, registration.socket) }
        case .bind(let binding), .unbind(let binding): try use(.program, binding.dispatcher)
        case .testRun(let run): try use(.program, run.program)
        case .testRunContext(let run): try use(.program, run.program)
        case .context(let reading):
            try use(.program, reading.program)
            try use(.namespace, reading.namespace)
        case .verify, .contextAccesses: break
        case .flood(let flood):
            try use(.namespace, flood.from)
            made[.flood, default: []].insert(flood.name)
        case .drain(let name), .drops(let name), .arrivals(let name): try use(.socket, name)
        case .childNamespace(let child):
            try use(.namespace, child.parent)
            try make(.namespace, child.name)
        case .icmpError(let error):
            try use(.namespace, error.namespace)
            try use(error.end == nil ? .socket : .connection, error.about)
        case .call(let call): try use(call.end == nil ? .socket : .connection, call.socket)
        case .socketDiag(let query): try use(.namespace, query.namespace)
        case .countSockets(let count): try use(.namespace, count.namespace)
        case .endpoints(let name): try use(.connection, name)
        case .unload(let name):
            try use(.program, name)
            made[.program]?.remove(name)
        case .choosePorts(let choice): try use(.namespace, choice.namespace)
        case .dispatcher(let step):
            try use(.namespace, step.namespace)
            try use(socketsOf: step.operation)
        case .dispatcherChanges(let changes):
            try use(.namespace, changes.namespace)
            for operation in changes.changes { try use(socketsOf: operation) }
            for probe in changes.probes { try use(.namespace, probe.from) }
        case .dispatcherModel(let model):
            try use(.namespace, model.namespace)
            for name in model.labels.sorted(by: { $0.key < $1.key }).flatMap(\.value) { try use(.socket, name) }
        case .nameService(let service):
            for served in service.sockets { try use(.socket, served.socket) }
            try check(service.configuration, labels: service.sockets.compactMap(\.label))
            try make(.service, service.name)
        case .nameServiceReload(let reload):
            try use(.service, reload.service)
            try check(reload.configuration)
        case .nameQuery(let query):
            try use(.namespace, query.from)
            try check(name: query.name)
        case .nameSurvey(let survey):
            try use(.namespace, survey.from)
            try check(name: survey.hosts.name(0))
            if let name = survey.name { try make(.survey, name) }
        case .compareSurveys(let names): for name in names { try use(.survey, name) }
        case .sites(let service): try use(.socket, service.socket)
        case .visit(let visits):
            try use(.namespace, visits.from)
            try check(name: visits.sites.name(0))
            if let name = visits.name { try make(.visits, name) }
        case .revisit(let revisits): try use(.visits, revisits.visits)
        case .daemon(let daemon):
            try use(.namespace, daemon.namespace)
            for socket in daemon.sockets { try use(.socket, socket) }
            try make(.daemon, daemon.name)
        case .mapEntry(let entry):
            try use(.program, entry.program)
            if let socket = entry.socket { try use(entry.end == nil ? .socket : .connection, socket) }
        }
        guard includingExpectations else { return }
        for expectation in step.expect {
            switch expectation.outcome {
            // A connection is answered in the name of its listener, also when that is closed.
            case .reaches(let name): if !opened.contains(name) { try use(.socket, name) }
            case .received(let counts): for name in counts.keys.sorted() { try use(.flood, name) }
            case .succeeds, .fails, .refused, .silent, .answers, .count, .exits, .facts: break
            }
        }
    }

    private func check(_ configuration: Configuration, labels: [String] = []) throws(FixtureError) {
        let service: Service
        do {
            service = try Service(configuration)
        } catch {
            throw .impossible(fixture: fixture, step: step, because: "the configuration: \(error)")
        }
        for label in labels where !service.labels.contains(label) {
            throw .impossible(
                fixture: fixture, step: step, because: "no listener of the configuration has the label '\(label)'")
        }
    }

    private func check(name: String) throws(FixtureError) {
        do {
            _ = try DomainName(text: name)
        } catch {
            throw .impossible(fixture: fixture, step: step, because: "'\(name)': \(error)")
        }
    }

    private mutating func make(_ kind: Kind, _ name: String) throws(FixtureError) {
        guard made[kind, default: []].insert(name).inserted else {
            throw .duplicateName(fixture: fixture, step: step, kind: kind.rawValue, name: name)
        }
    }

    private func use(socketsOf operation: DispatcherOperation) throws(FixtureError) {
        for name in operation.sockets where made[.connection]?.contains(name) != true { try use(.socket, name) }
    }

    private func use(_ kind: Kind, _ name: String) throws(FixtureError) {
        let known = made[kind] ?? []
        if known.contains(name) { return }
        if kind == .socket, name.hasSuffix("]"), ranges.contains(String(name.prefix { $0 != "[" })) { return }
        throw .unknownName(fixture: fixture, step: step, kind: kind.rawValue, name: name, known: known.sorted())
    }
}
