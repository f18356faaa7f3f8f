import Addressing
import SocketLookup
import SystemPackage

extension World {
    /// Compares a pinned dispatcher with a model that looks at every binding for every packet.
    func compare(_ model: DispatcherModel) throws -> [String: String] {
        let location = try location(of: model.namespace)
        let sockets = try socketsByKind(model.labels)
        let labels = model.labels.keys.sorted() + ["nobody"]
        var random = SeededNumbers(seed: model.seed)
        let source = ModelSource(model)
        var (present, counted): ([SocketLookup.Binding], [Bound: BindingCounters]) = ([], [:])
        var (disagreements, first): (Int, String?) = (0, nil)
        var answers: Set<String> = []
        var strangeCounters: String?
        for _ in 0..<model.sets {
            try Task.checkCancellation()
            reportWork()
            present = source.bindings(labels, using: &random)
            let decision: Decision
            do {
                let state = try DispatcherState(at: location)
                try state.replace(with: present)
                decision = try Decision(state, model)
            }
            // What stays under its label keeps its counters.
            counted = Dictionary(
                present.map { (Bound($0), counted[Bound($0)] ?? BindingCounters()) },
                uniquingKeysWith: { first, _ in first })
            for number in 0..<model.probes {
                if number % 64 == 63 { reportWork() }
                let (transport, endpoint) = source.packet(using: &random)
                let binding = ModelSource.binding(for: transport, endpoint, among: present)
                let socket = binding.flatMap {
                    sockets[Kind(label: $0.label, transport: transport, family: endpoint.address.family)]
                }
                let expected = socket ?? (binding?.otherwise == .drop ? "drop" : "pass")
                if let binding {
                    let bound = Bound(binding)
                    if socket != nil { counted[bound]?.hits += 1 } else { counted[bound]?.misses += 1 }
                }
                let observed: String
                switch model.by {
                case .testRun: observed = try decision.testRun(transport, endpoint, name(ofCookie:))
                case .packets:
                    let own = Endpoint(.loopback(endpoint.address.family), 0)
                    let text = try answer(to: Probe(from: model.namespace, transport, to: endpoint, source: own))
                    // Nobody else has the addresses, so what passes is refused as well.
                    observed = text == "refused" && socket == nil ? expected : text
                }
                answers.insert(observed)
                guard observed != expected else { continue }
                disagreements += 1
                if first == nil {
                    first = "\(transport.rawValue) \(endpoint): \(observed), and not \(expected)"
                }
            }
            for binding in try DispatcherState(at: location, for: .looking).metrics().bindings
            where counted[Bound(binding.binding)] != binding.counters && strangeCounters == nil {
                strangeCounters = "\(binding.binding): \(binding.counters)"
            }
        }
        return [
            "packets": "\(model.sets * model.probes)", "disagreements": "\(disagreements)",
            "first": first ?? "none", "answers": answers.sorted().joined(separator: ", "),
            "counters": strangeCounters ?? "exact",
        ]
    }

    /// What has a counter.
    private struct Bound: Hashable {
        var match: Match
        var label: String

        init(_ binding: SocketLookup.Binding) { (match, label) = (binding.match, binding.label) }
    }

    private struct Kind: Hashable {
        var label: String
        var transport: TransportProtocol
        var family: AddressFamily
    }

    private func socketsByKind(_ labels: [String: [String]]) throws -> [Kind: String] {
        var sockets: [Kind: String] = [:]
        for (label, names) in labels {
            for name in names {
                let facts = try SocketFacts(of: server(name).descriptor.file)
                for family in facts.families {
                    sockets[Kind(label: label, transport: facts.protocol, family: family)] = name
                }
            }
        }
        return sockets
    }
}

/// What the pinned program decides.
private struct Decision {
    private let program: PinnedProgram?

    init(_ state: borrowing DispatcherState, _ model: DispatcherModel) throws {
        program = model.by == .testRun ? try PinnedProgram(of: state) : nil
    }

    func testRun(
        _ transport: TransportProtocol, _ endpoint: Endpoint, _ name: (UInt64) throws -> String
    ) throws -> String {
        guard let program else { return "no program" }
        let remote = Endpoint(IPAddress(family: endpoint.address.family, bits: 1), 1024)
        let result = try program.testRun(LookupContext(transport, remote: remote, local: endpoint))
        if result.cookie != 0 { return try name(result.cookie) }
        return result.returned == 0 ? "drop" : "pass"
    }
}

/// Random bindings and packets of which few bits vary, so that prefixes nest and ranges overlap.
private struct ModelSource {
    private let transports: [TransportProtocol]
    private let families: [AddressFamily]
    private let means: DispatcherModel.Means
    private let count: Int

    init(_ model: DispatcherModel) {
        transports = model.protocol.map { [$0] } ?? TransportProtocol.allCases
        families = model.family.map { [$0] } ?? AddressFamily.allCases
        means = model.by
        count = model.bindings
    }

    func bindings(_ labels: [String], using random: inout SeededNumbers) -> [SocketLookup.Binding] {
        var bindings: [SocketLookup.Binding] = []
        var taken: [Place: [PortRange]] = [:]
        while bindings.count < count {
            let match = match(using: &random)
            let label = labels[random.below(labels.count)]
            let otherwise: Fallback = random.below(2) == 0 ? .drop : .pass
            let place = Place(transport: match.protocol, prefix: match.prefix)
            let ties = taken[place, default: []].contains {
                $0.count == match.ports.count && $0.first <= match.ports.last && match.ports.first <= $0.last
            }
            if ties { continue }
            taken[place, default: []].append(match.ports)
            bindings.append(SocketLookup.Binding(match, to: label, otherwise: otherwise))
        }
        return bindings
    }

    private struct Place: Hashable {
        var transport: TransportProtocol
        var prefix: Prefix
    }

    func packet(using random: inout SeededNumbers) -> (TransportProtocol, Endpoint) {
        let transport = transports[random.below(transports.count)]
        return (transport, Endpoint(address(using: &random), port(using: &random)))
    }

    /// The model: of all that match the one with the longest prefix, and of those the one with the fewest ports.
    static func binding(
        for transport: TransportProtocol, _ endpoint: Endpoint, among bindings: [SocketLookup.Binding]
    ) -> SocketLookup.Binding? {
        var best: SocketLookup.Binding?
        for binding in bindings {
            let match = binding.match
            guard match.protocol == transport, match.ports.contains(endpoint.port),
                match.prefix.family == endpoint.address.family
            else { continue }
            let host = UInt128(match.prefix.family.width - match.prefix.length)
            guard endpoint.address.bits >> host == match.prefix.address.bits >> host else { continue }
            if let held = best?.match,
                (held.prefix.length, -held.ports.count) >= (match.prefix.length, -match.ports.count)
            {
                continue
            }
            best = binding
        }
        return best
    }

    private func match(using random: inout SeededNumbers) -> Match {
        let address = address(using: &random)
        let width = address.family.width
        let lengths = [0, 1, width / 4, width - 8, width - 5, width - 4, width - 3, width - 2, width - 1, width]
        let length = lengths[random.below(lengths.count)]
        let host = UInt128(width - length)
        // The host bits are cleared, so it is a prefix; all of the family stand in.
        let prefix =
            (try? Prefix(IPAddress(family: address.family, bits: (address.bits >> host) << host), length: length))
            ?? Prefix(address)
        let (one, other) = (port(using: &random), port(using: &random))
        let isOne = random.below(2) == 0
        let range = try? PortRange(min(one, other), through: max(one, other))
        let transport = transports[random.below(transports.count)]
        return Match(transport, prefix, isOne ? PortRange(one) : range ?? PortRange(one))
    }

    /// Within the prefixes that fixtures have as their own; by test-run of any others, too.
    private func address(using random: inout SeededNumbers) -> IPAddress {
        let family = families[random.below(families.count)]
        let low = UInt128(random.below(32))
        let isAnywhere = means == .testRun && random.below(3) == 0
        switch (family, isAnywhere) {
        case (.ipv4, false): return IPAddress(family: .ipv4, bits: 0xC000_0200 | low)
        case (.ipv4, true): return IPAddress(family: .ipv4, bits: 0xFFFF_FFE0 | low)
        case (.ipv6, false): return IPAddress(family: .ipv6, bits: 0x2001_0DB8_0002 << 80 | low)
        // ::a.b.c.d, which must not be taken for IPv4.
        case (.ipv6, true): return IPAddress(family: .ipv6, bits: 0xC000_0200 | low)
        }
    }

    /// Low ones for packets: their answers go to ports that no binding has.
    private func port(using random: inout SeededNumbers) -> UInt16 {
        let near = UInt16(1 + random.below(12))
        return means == .packets || random.below(2) == 0 ? near : .max - near
    }
}

/// Splitmix64: enough for a seed that gives the same numbers everywhere.
private struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Without the library's methods, which may draw otherwise in another version.
    mutating func below(_ limit: Int) -> Int { Int(next() >> 33) % limit }
}
