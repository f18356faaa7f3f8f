import Addressing
import Testing

@testable import SocketLookup

@Suite("The table of prefixes that lookups search")
struct PrefixTableTests {
    @Test("leads every address to its longest prefix", arguments: AddressFamily.allCases, [1, 2, 3, 40, 700])
    func longest(family: AddressFamily, count: Int) throws {
        var random = BindingTableTests.SplitMix(seed: UInt64(count))
        // Few bits differ, so that prefixes contain each other.
        func address() -> IPAddress {
            let free = UInt128.random(in: 0..<1 << 10, using: &random)
            return IPAddress(family: family, bits: free << UInt128(family.width - 20) | free % 7)
        }
        var keys: Set<BindingTable.Key> = []
        while keys.count < count {
            let length = Int.random(in: 0...family.width, using: &random)
            let host = UInt128(family.width - length)
            let network = IPAddress(family: family, bits: (address().bits >> host) << host)
            keys.insert(
                BindingTable.Key(
                    protocol: Bool.random(using: &random) ? .tcp : .udp, prefix: try Prefix(network, length: length)))
        }
        let sorted = keys.sorted()
        let table = PrefixTable(sorted)
        var found = 0
        for _ in 0..<2000 {
            let host = BindingTable.Key(
                protocol: Bool.random(using: &random) ? .tcp : .udp, prefix: Prefix(address()))
            let longest = sorted.indices.filter { sorted[$0].contains(host) }
                .max { sorted[$0].prefix.length < sorted[$1].prefix.length }
            try #require(table.search(host) == longest, "\(host)")
            found += longest == nil ? 0 : 1
        }
        #expect(count < 40 || found > 1000, "the probes hit too little to say anything")
    }

    @Test("takes no more steps than a binary search among the lengths that there are")
    func steps() throws {
        func depth(_ number: Int, _ table: PrefixTable) -> Int {
            guard number > 0 else { return 0 }
            let step = table.steps[number - 1]
            return 1 + max(depth(step.deeper, table), depth(step.shallower, table))
        }
        func table(_ family: AddressFamily, _ lengths: [Int]) throws -> PrefixTable {
            PrefixTable(
                try lengths.map {
                    .init(protocol: .udp, prefix: try Prefix(.wildcard(family), length: $0))
                })
        }
        let udp4 = DispatchLayout.kind(.udp, .ipv4)
        let udp6 = DispatchLayout.kind(.udp, .ipv6)
        for (lengths, steps) in [([24], 1), ([16, 24, 32], 2), (Array(0...32), 6)] {
            let made = try table(.ipv4, lengths)
            #expect(depth(made.first[udp4], made) == steps)
            #expect(made.first[udp6] == 0)
        }
        let made = try table(.ipv6, Array(0...128))
        #expect(depth(made.first[udp6], made) == DispatchLayout.lengthSteps)
        #expect(made.steps.count == 129)
    }

    @Test("puts every node within the places that are looked at")
    func near() throws {
        let base = try Prefix(text: "10.0.0.0/8")
        let prefixes = try (0..<50_000).map { (offset: UInt128) in
            BindingTable.Key(protocol: .tcp, prefix: Prefix(try #require(base.address(at: offset))))
        }
        let table = PrefixTable(prefixes)
        // One length: no markers.
        #expect(table.keys.count == prefixes.count)
        var placed = 0
        for (place, key) in table.places.enumerated() where key >= 0 {
            let distance = place - Int(table.keys[Int(key)].place & table.mask)
            #expect((0..<DispatchLayout.probeCount).contains(distance))
            placed += 1
        }
        #expect(placed == prefixes.count)
        #expect(table.places.count == 131_072 + DispatchLayout.probeCount)
    }

    @Test("without a prefix it has no search")
    func empty() {
        #expect(PrefixTable([]).first == [0, 0, 0, 0])
    }
}
