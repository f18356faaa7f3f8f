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
        case namespace, socket, connection, program, link, flood
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
        // What is expected to fail makes nothing.
        let makes = step.expect.allSatisfy { if case .fails = $0.outcome { false } else { true } }
        switch step.action {
        case .namespace(let name): try make(.namespace, name)
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
        case .probe(let probe): try use(.namespace, probe.from)
        case .sweep(let sweep): try use(.namespace, sweep.from)
        case .connect(let connection):
            try use(.namespace, connection.from)
            if makes { try make(.connection, connection.name) }
        case .exchange(let name): try use(.connection, name)
        case .load(let load): if makes { try make(.program, load.name) }
        case .attach(let attachment):
            try use(.program, attachment.program)
            try use(.namespace, attachment.namespace)
            if makes { try make(.link, attachment.link) }
        case .detach(let link):
            try use(.link, link)
            made[.link]?.remove(link)
        case .register(let registration), .unregister(let registration):
            try use(.program, registration.dispatcher)
            try use(.socket, registration.socket)
        case .bind(let binding), .unbind(let binding): try use(.program, binding.dispatcher)
        case .testRun(let run): try use(.program, run.program)
        case .flood(let flood):
            try use(.namespace, flood.from)
            made[.flood, default: []].insert(flood.name)
        case .drain(let name), .drops(let name), .arrivals(let name): try use(.socket, name)
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

    private mutating func make(_ kind: Kind, _ name: String) throws(FixtureError) {
        guard made[kind, default: []].insert(name).inserted else {
            throw .duplicateName(fixture: fixture, step: step, kind: kind.rawValue, name: name)
        }
    }

    private func use(_ kind: Kind, _ name: String) throws(FixtureError) {
        let known = made[kind] ?? []
        if known.contains(name) { return }
        if kind == .socket, name.hasSuffix("]"), ranges.contains(String(name.prefix { $0 != "[" })) { return }
        throw .unknownName(fixture: fixture, step: step, kind: kind.rawValue, name: name, known: known.sorted())
    }
}
