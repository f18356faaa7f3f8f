import Addressing
import CLinux
import Glibc

/// A visit of a site, and where the site was then.
struct SiteVisit {
    var site: String
    var from: String
    var by: SiteSelector
    var endpoint: Endpoint
    /// The connection, if it was kept.
    var conversation: Conversation?

    var request: [UInt8] {
        switch by {
        case .host: HTTPRequest.bytes(host: site)
        case .serverName:
            // Nobody derives a key from it.
            ClientHello.bytes(serverName: site, random: [UInt8](repeating: 0x5A, count: 32))
        }
    }
}

extension World {
    func serve(_ service: SiteService) throws {
        let server = try server(service.socket)
        guard server.listening else {
            throw ExecutorError.unsuitable("\(service.socket) does not listen, so nobody can visit a site there")
        }
        server.sites = SiteDirectory(service.sites)
    }

    func visit(_ visits: SiteVisits) throws -> Observation {
        if let name = visits.name { try unused(self.visits[name] != nil, "visits", name) }
        let names = (0..<visits.sites.count).map(visits.sites.name)
        let answers = try ask(
            try names.map { try NameQuestion($0, type(for: visits.within.family), to: visits.resolver) },
            from: visits.from)
        var made: [SiteVisit] = []
        var unresolved = 0
        for (name, answer) in zip(names, answers) {
            guard let address = answer?.addresses.first else {
                unresolved += 1
                continue
            }
            made.append(
                SiteVisit(
                    site: name, from: visits.from, by: visits.by, endpoint: Endpoint(address, visits.port)))
        }
        let addresses = made.map(\.endpoint.address)
        // Nobody is visited at an address that was never to be answered: what is there is no business of the fixture.
        let outside = addresses.count { !visits.within.contains($0) }
        let distinct = Set(addresses).count
        var facts = [
            "outside": "\(outside)", "unresolved": "\(unresolved)",
            "most addresses used": visits.within.hostCount.map { distinct * 2 > $0 ? "yes" : "no" } ?? "unknown",
        ]
        if outside == 0 {
            let conversations = try begin(made, keeping: visits.name != nil)
            facts.merge(tell(made, conversations)) { $1 }
            if let name = visits.name {
                for index in made.indices { made[index].conversation = conversations[index] }
                self.visits[name] = made
            }
        }
        return Observation(.facts(facts), log: ["\(distinct) different addresses were answered"] + daemonLog)
    }

    func visit(_ revisits: SiteRevisits) throws -> Observation {
        guard let made = visits[revisits.visits] else {
            throw ExecutorError.unknown(kind: "visits", name: revisits.visits)
        }
        switch revisits.over {
        case .kept:
            let kept = try made.map { visit in
                guard let conversation = visit.conversation else {
                    throw ExecutorError.unsuitable("\(revisits.visits) kept no connections")
                }
                return conversation
            }
            loop.visited = []
            let asked = try converse(made.count, keeping: true) {
                kept[$0].ask(made[$0].request)
                return kept[$0]
            }
            return Observation(.facts(tell(made, asked)))
        case .fresh:
            return Observation(.facts(tell(made, try begin(made, keeping: false))))
        }
    }

    private func begin(_ visits: [SiteVisit], keeping: Bool) throws -> [Conversation] {
        loop.visited = []
        return try converse(visits.count, keeping: keeping) {
            let visit = visits[$0]
            return try talk(from: visit.from, to: visit.endpoint, visit.request) { SiteReply.text($0) != nil }
        }
    }

    /// How visits went. Those that nobody began, as an earlier one got no reply in time, count as unanswered.
    private func tell(_ visits: [SiteVisit], _ conversations: [Conversation]) -> [String: String] {
        var (right, wrong, refused, failed) = (0, 0, 0, 0)
        for (visit, conversation) in zip(visits, conversations) {
            switch conversation.state {
            case .answered where SiteReply.text(conversation.reply) == "site \(visit.site)": right += 1
            case .answered: wrong += 1
            case .failed(let refusal) where refusal.errno == .connectionRefused: refused += 1
            case .failed: failed += 1
            case .connecting, .waiting: break
            }
        }
        return [
            "visited": "\(right)", "wrong site": "\(wrong)", "refused": "\(refused)", "broken": "\(failed)",
            "unanswered": "\(visits.count - right - wrong - refused - failed)",
            "served by": loop.visited.sorted().joined(separator: ", "),
        ]
    }
}

extension Prefix {
    /// The number of addresses, where that is at most 2^24.
    var hostCount: Int? {
        let bits = family.width - length
        return bits <= 24 ? 1 << bits : nil
    }
}
