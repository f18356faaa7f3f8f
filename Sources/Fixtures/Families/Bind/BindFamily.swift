import Addressing
import Lab

/// What every fixture about bind() begins with, and the worlds in which it must not conform.
enum BindFamily {
    static let fixtures: [Fixture] =
        BindConflicts.fixtures + BindAddresses.fixtures + BindLeftovers.fixtures + BindOwners.fixtures
        + BindPorts.fixtures

    /// What becomes of a socket once it is bound.
    enum Kind: String, CaseIterable {
        case tcpListening = "tcp-listening"
        case tcpBound = "tcp-bound"
        case udp

        var transport: TransportProtocol { self == .udp ? .udp : .tcp }
        var listen: BindAttempt.Listening { self == .tcpListening ? .atOnce : .never }

        static func of(_ transport: TransportProtocol) -> [Kind] { allCases.filter { $0.transport == transport } }
    }

    static func because(for transport: TransportProtocol) -> [String] {
        let manual = ["bind(2)", "socket(7)", transport == .tcp ? "tcp(7)" : "udp(7)", "ipv6(7), RFC 3493 §5.3"]
        return manual + [
            transport == .tcp ? "commits da5e36308d9f, 28044fc1d495" : "commits 72289b96c943, d894ba18d4e4"
        ]
    }

    /// A step whose expectation is what the rules say, and what kernels with a known fault find instead.
    static func step(_ sequence: BindSequence) -> Step {
        let right = Outcome.facts(BindRules().facts(of: sequence))
        for fault in BindFault.allCases where fault.concerns(sequence) {
            let wrong = Outcome.facts(BindRules(fault: fault).facts(of: sequence))
            if wrong != right {
                return Step(
                    .binds(sequence),
                    expect: [
                        Expectation(right, until: fault.since, because: fault.because),
                        Expectation(wrong, since: fault.since, until: fault.until, because: fault.because),
                        Expectation(right, since: fault.until, because: fault.becauseOfUntil),
                    ])
            }
        }
        return Step(.binds(sequence), expect: [Expectation(right)])
    }

    /// A fixture in one namespace, `host`, each of whose steps is a case for the rules.
    ///
    /// Its sabotages are worlds in which the rules give another answer: see ``SabotagedWorld``.
    static func fixture(
        _ name: String, variant: String? = nil, _ summary: String, because: [String], _ sequences: [BindSequence]
    ) -> Fixture {
        let uses6 = sequences.contains { sequence in
            (sequence.sockets + sequence.probes).contains { $0.address.family == .ipv6 }
        }
        var steps = sequences.map(step)
        var sabotages: [Sabotage] = []
        for world in SabotagedWorld.allCases {
            guard let index = sequences.firstIndex(where: world.isNoticed) else { continue }
            let label = "case-\(index + 1)"
            steps[index].label = label
            let changed = Step(.binds(world.changed(sequences[index])), expect: steps[index].expect)
            sabotages.append(Sabotage(world.rawValue, replace: [label: [changed]]))
        }
        return Fixture(
            name: "bind/\(name)", variant: variant, summary: summary, because: because, requires: uses6 ? [.ipv6] : [],
            steps: [Step(.namespace("host"))] + steps, sabotages: sabotages)
    }
}

/// A change to the sockets of a case that the rules answer differently.
enum SabotagedWorld: String, CaseIterable {
    case firstSocketClosed = "first-socket-closed"
    case firstSocketIPv6Only = "first-socket-ipv6-only"
    case firstSocketUnshared = "first-socket-unshared"
    case allShare = "all-share"
    case noneIPv6Only = "none-ipv6-only"

    func changed(_ sequence: BindSequence) -> BindSequence {
        var changed = sequence
        switch self {
        case .firstSocketClosed: changed.sockets[0].becomes = .closed
        case .firstSocketIPv6Only:
            if sequence.sockets[0].address == .wildcard(.ipv6) { changed.sockets[0].options.append(.v6Only) }
        case .firstSocketUnshared:
            changed.sockets[0].options.removeAll { $0 == .reuseAddress || $0 == .reusePort }
        case .allShare:
            for index in changed.sockets.indices { changed.sockets[index].options.append(.reusePort) }
            for index in changed.probes.indices { changed.probes[index].options.append(.reusePort) }
        case .noneIPv6Only:
            for index in changed.sockets.indices { changed.sockets[index].options.removeAll { $0 == .v6Only } }
        }
        return changed
    }

    func isNoticed(_ sequence: BindSequence) -> Bool {
        let changed = changed(sequence)
        return changed != sequence && BindRules().facts(of: sequence) != BindRules().facts(of: changed)
    }
}
