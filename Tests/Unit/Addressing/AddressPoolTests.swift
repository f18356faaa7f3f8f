import Testing

@testable import Addressing

/// Gives out stated words, and counts them.
struct ScriptedBits: RandomBits {
    var words: [UInt32]
    var drawn = 0

    init(_ words: [UInt32]) { self.words = words }

    mutating func next32() -> UInt32 {
        defer { drawn += 1 }
        return words[drawn % words.count]
    }
}

@Suite struct AddressPoolTests {
    private func prefix(_ text: String) throws -> Prefix { try Prefix(text: text) }

    private func members(_ texts: String...) throws -> [AddressPool.Member] { try texts.map { .init(try prefix($0)) } }

    @Test("a prefix of one address draws nothing", arguments: ["192.0.2.7/32", "2001:db8::7/128"])
    func hostPrefix(_ text: String) throws {
        var source = ScriptedBits([0xFFFF_FFFF])
        let only = try prefix(text)
        let address = AddressPool(only).section(only.family)?.draw(from: &source)
        #expect(address == only.address)
        #expect(source.drawn == 0)
    }

    @Test("prefix bits are the prefix's and host bits the source's, at every length", arguments: AddressFamily.allCases)
    func everyLength(_ family: AddressFamily) throws {
        let words: [UInt32] = [0x89AB_CDEF, 0x0123_4567, 0xFEDC_BA98, 0x7654_3210]
        let random = words.enumerated().reduce(UInt128(0)) { $0 | UInt128($1.element) << UInt128(32 * $1.offset) }
        for length in 0...family.width {
            let hostBits = family.width - length
            let mask = hostBits == 0 ? 0 : UInt128.max >> UInt128(128 - hostBits)
            let all = family == .ipv4 ? UInt128(UInt32.max) : UInt128.max
            // A pattern that is neither all ones nor all zeros in any byte.
            let pattern = UInt128(0x5A5A_5A5A_5A5A_5A5A) << 64 | 0x5A5A_5A5A_5A5A_5A5A
            let network = IPAddress(family: family, bits: pattern & all & ~mask)
            let pool = AddressPool(try Prefix(network, length: length))
            var generator = AddressGenerator(ScriptedBits(words))
            #expect(generator.address(family, in: pool)?.bits == network.bits | random & mask, "/\(length)")
            #expect(generator.source.drawn == (hostBits + 31) / 32, "/\(length)")
            #expect(generator.address(family == .ipv4 ? .ipv6 : .ipv4, in: pool) == nil)
        }
    }

    @Test("prefixes that hold all of IPv6 are a pool, whose addresses no number of 128 bits counts")
    func allOfIPv6() throws {
        let words: [UInt32] = [0x89AB_CDEF, 0x0123_4567, 0xFEDC_BA98, 0x7654_3210]
        let section = try #require(try AddressPool(members("::/1", "8000::/1")).ipv6)
        var source = ScriptedBits(words)
        #expect(section.draw(from: &source).bits == 0x7654_3210_FEDC_BA98_0123_4567_89AB_CDEF)
        let halves = [AddressPool.Member(try prefix("8000::/1"), weight: 1), .init(try prefix("::/1"), weight: 1)]
        let weighted = try #require(try AddressPool(halves).ipv6)
        for section in [section, weighted] {
            #expect(section.count == nil)
            #expect(section.contains(.v6(0)) && section.contains(.v6(.max)))
        }
        #expect(section.address(at: .max) == .v6(.max))
        #expect(weighted.address(at: 0) == .v6(1 << 127))
        #expect(weighted.address(at: .max) == .v6(1 << 127 - 1))
    }

    @Test(
        "every address of a prefix is drawn exactly once when the source gives every value once",
        arguments: [24, 20, 16])
    func exhaustion(_ length: Int) throws {
        let pool = AddressPool(try Prefix(.v4(0x0A00_0000), length: length))
        let count = 1 << (32 - length)
        var seen = [Int](repeating: 0, count: count)
        // The high bits are noise that must not matter.
        var source = ScriptedBits((0..<UInt32(count)).map { $0 | 0xABCD_0000 & ~UInt32(count - 1) })
        for _ in 0..<count {
            guard case .v4(let bits)? = pool.ipv4?.draw(from: &source) else { continue }
            seen[Int(bits & UInt32(count - 1))] += 1
            #expect(bits >> UInt32(32 - length) == 0x0A00_0000 >> UInt32(32 - length))
        }
        #expect(seen.allSatisfy { $0 == 1 })
        #expect(source.drawn == count)
    }

    @Test("each address that is not excluded is drawn equally often, and the others never")
    func exclusions() throws {
        let pool = try AddressPool(
            members("192.0.2.0/24"), excluding: [prefix("192.0.2.64/26"), prefix("192.0.2.3/32")], excludingEdges: true)
        let section = try #require(pool.ipv4)
        let allowed = (0..<256).filter { !(64..<128).contains($0) && ![0, 3, 255].contains($0) }
        #expect(section.count == UInt128(allowed.count))
        var seen = [Int](repeating: 0, count: 256)
        var source = ScriptedBits((0..<256).map { UInt32($0) })
        while source.drawn < 256 {
            guard case .v4(let bits) = section.draw(from: &source), source.drawn <= 256 else { continue }
            seen[Int(bits & 255)] += 1
        }
        for host in 0..<256 {
            #expect(seen[host] == (allowed.contains(host) ? 1 : 0), "\(host)")
            #expect(pool.contains(.v4(0xC000_0200 | UInt32(host))) == allowed.contains(host), "\(host)")
        }
    }

    @Test("prefixes without weights share by size, so that every address is as likely as any other")
    func sharesBySize() throws {
        let section = try #require(try AddressPool(members("192.0.2.0/30", "198.51.100.0/29", "2001:db8::/64")).ipv4)
        #expect(section.count == 12)
        var seen: [IPAddress: Int] = [:]
        var source = ScriptedBits((0..<16).map { UInt32($0) })
        for _ in 0..<12 { seen[section.draw(from: &source), default: 0] += 1 }
        #expect(seen.count == 12 && seen.values.allSatisfy { $0 == 1 })
        #expect(Set((0..<12).map { section.address(at: $0) }) == Set(seen.keys))
        #expect(section.address(at: 12) == section.address(at: 0))
    }

    @Test("weights choose between prefixes in exact proportion")
    func weights() throws {
        let pool = try AddressPool([
            .init(prefix("192.0.2.1/32"), weight: 1), .init(prefix("192.0.2.2/32"), weight: 2),
            .init(prefix("192.0.2.3/32"), weight: 5),
        ])
        var source = ScriptedBits((0..<8).map { UInt32($0) })
        var seen: [UInt32: Int] = [:]
        for _ in 0..<8 {
            guard case .v4(let bits)? = pool.ipv4?.draw(from: &source) else { continue }
            seen[bits & 255, default: 0] += 1
        }
        #expect(seen == [1: 1, 2: 2, 3: 5])
    }

    @Test("all of IPv6 less one address is drawn from, and its last number is the last address")
    func almostEverything() throws {
        let section = try #require(try AddressPool(members("::/0"), excluding: [prefix("::/128")]).ipv6)
        #expect(section.count == UInt128.max)
        #expect(section.address(at: 0) == IPAddress("::1"))
        #expect(section.address(at: UInt128.max - 1) == .v6(UInt128.max))
        var source = ScriptedBits([UInt32.max, UInt32.max, UInt32.max, UInt32.max, 0])
        // The first number is one too high, and rejected.
        #expect(section.draw(from: &source) == IPAddress("ffff:ffff:ffff:ffff:ffff:ffff:0:1"))
    }

    @Test("the last and the first of IPv6 are no neighbours, and neighbours are, in whichever order they are stated")
    func wrapsNowhere() throws {
        let apart = try #require(
            try AddressPool(members("ffff::/16", "::/16", "1::/16"), excluding: [prefix("1::1/128")]).ipv6)
        #expect(apart.address(at: 0) == IPAddress("ffff::"))
        #expect(apart.address(at: 1 << 112) == IPAddress("::"))
        #expect(apart.address(at: (2 << 112) + 1) == IPAddress("1::2"))
        let numbers: [UInt128] = [0, (1 << 112) - 1, 1 << 112, (2 << 112) - 1, 2 << 112, (3 << 112) - 2]
        for number in numbers { #expect(apart.contains(apart.address(at: number))) }
        #expect(!apart.contains(IPAddress("1::1") ?? .loopback(.ipv6)))
    }

    @Test("what is wrong with a pool is said")
    func refusals() throws {
        #expect(throws: AddressPoolError.empty) { try AddressPool([]) }
        let wide = try prefix("192.0.2.0/24")
        let narrow = try prefix("192.0.2.128/25")
        #expect(throws: AddressPoolError.overlap(wide, narrow)) { try AddressPool([.init(narrow), .init(wide)]) }
        #expect(throws: AddressPoolError.overlap(wide, wide)) { try AddressPool([.init(wide), .init(wide)]) }
        let other = try prefix("198.51.100.0/24")
        #expect(throws: AddressPoolError.weightOfSome(missing: other)) {
            try AddressPool([.init(wide, weight: 1), .init(other)])
        }
        #expect(throws: AddressPoolError.weightOutOfRange(wide)) { try AddressPool([.init(wide, weight: 0)]) }
        #expect(throws: AddressPoolError.exclusionOutside(other)) { try AddressPool([.init(wide)], excluding: [other]) }
        let mapped = try prefix("::ffff:10.0.0.0/104")
        #expect(throws: AddressPoolError.mapped(mapped)) { try AddressPool([.init(mapped)]) }
        #expect(throws: AddressPoolError.nothingLeft(narrow)) { try AddressPool([.init(narrow)], excluding: [wide]) }
    }

    @Test("a prefix with host bits set is refused, and its canonical form named")
    func hostBits() {
        #expect(throws: AddressingError.hostBitsSet(text: "192.0.2.1/24", canonical: "192.0.2.0/24")) {
            try Prefix(text: "192.0.2.1/24")
        }
    }
}
