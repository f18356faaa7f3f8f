import Addressing
import Testing

@testable import SocketLookup

@Suite("A whole set of bindings, flattened")
struct FlatteningTests {
    @Test("has the elements that one binding after the other would have", arguments: BindingTableTests.universes)
    func likeTheTable(base: String) throws {
        let universe = try BindingTableTests.Universe(base: Prefix(text: base), ports: [0, 1, 2, 5, 80, 65534, 65535])
        for seed: UInt64 in 0..<40 {
            var random = BindingTableTests.SplitMix(seed: seed)
            var table = BindingTable()
            var bindings: [Binding] = []
            for _ in 0..<60 {
                let match = try universe.match(&random)
                let binding = Binding(
                    match, to: String(UInt8.random(in: 0..<5, using: &random)),
                    otherwise: Bool.random(using: &random) ? .drop : .pass)
                guard !bindings.contains(where: { $0.match == match }) else { continue }
                let target = Target(
                    counter: UInt32(bindings.count), label: binding.label, otherwise: binding.otherwise)
                do throws(SocketLookupError) {
                    table.commit(try table.changes(binding: match, to: target))
                } catch {
                    guard case .tie = error else { throw error }
                    #expect(throws: error, "seed \(seed)") { try elements(of: bindings + [binding]) }
                    continue
                }
                bindings.append(binding)
            }
            let flattened = try elements(of: bindings)
            #expect(flattened == Dictionary(uniqueKeysWithValues: table.elements.map { ($0.key, $0.table) }))
        }
    }

    @Test("decides thousands of probes as the sentence about precedence does")
    func oracle() throws {
        var random = BindingTableTests.SplitMix(seed: 7)
        var oracle = BindingTableTests.Oracle()
        var bindings: [Binding] = []
        let universe = try BindingTableTests.Universe(base: Prefix(text: "10.0.0.0/8"), ports: Array(0..<40))
        while bindings.count < 3000 {
            let length = Int.random(in: 8...32, using: &random)
            let bits = UInt32.random(in: 0..<1 << 12, using: &random) << 12 | 0x0A00_0000
            let mask = UInt32.max << UInt32(32 - length)
            let match = try Match(
                .udp, Prefix(.v4(bits & mask), length: length), universe.match(&random).ports)
            let ties = oracle.bindings.keys.contains { other in
                other.prefix == match.prefix && other.ports.count == match.ports.count
                    && other.ports.first <= match.ports.last && match.ports.first <= other.ports.last
            }
            if ties { continue }
            let target = Target(counter: UInt32(bindings.count), label: "\(bindings.count)", otherwise: .drop)
            oracle.bindings[match] = target
            bindings.append(Binding(match, to: target.label))
        }
        let flattened = try elements(of: bindings)
        var found = 0
        for _ in 0..<4000 {
            let bits = UInt32.random(in: 0..<1 << 12, using: &random) << 12 | 0x0A00_0000
            let endpoint = Endpoint(.v4(bits), UInt16.random(in: 0..<42, using: &random))
            var decided: Target?
            for length in (0...32).reversed() {
                let prefix = try Prefix(.v4(bits & (length == 0 ? 0 : .max << UInt32(32 - length))), length: length)
                guard let table = flattened[BindingTable.Key(protocol: .udp, prefix: prefix)] else { continue }
                decided = table.target(for: endpoint.port)
                break
            }
            try #require(decided == oracle.target(for: .udp, endpoint), "\(endpoint)")
            found += decided == nil ? 0 : 1
        }
        #expect(found > 1000, "the probes hit too little to say anything")
    }

    @Test("names the later of two bindings that tie, wherever they are in the list")
    func ties() throws {
        let prefix = try Prefix(text: "192.0.2.0/24")
        let first = Binding(Match(.tcp, prefix, try PortRange(10, through: 20)), to: "first")
        let between = Binding(Match(.tcp, prefix, try PortRange(1, through: 100)), to: "between")
        let second = Binding(Match(.tcp, prefix, try PortRange(15, through: 25)), to: "second")
        #expect(throws: SocketLookupError.tie(second.match, with: first.match, label: "first")) {
            try elements(of: [first, between, second])
        }
        #expect(throws: SocketLookupError.tie(first.match, with: second.match, label: "second")) {
            try elements(of: [second, between, first])
        }
        #expect(throws: SocketLookupError.duplicate(first.match)) { try elements(of: [first, between, first]) }
    }

    private func elements(of bindings: [Binding]) throws(SocketLookupError) -> [BindingTable.Key: PortTable] {
        var elements: [BindingTable.Key: PortTable] = [:]
        let numbered = bindings.enumerated().map { ($0.element, UInt32($0.offset)) }
        try Flattening.elements(of: numbered) { key, table in elements[key] = table }
        return elements
    }
}
