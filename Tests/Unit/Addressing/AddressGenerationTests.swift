import Addressing
import Statistics
import Testing

/// A worker's generator in a box, since closures which are kept cannot own what cannot be copied.
private final class Worker<Source: RandomBits & ~Copyable> {
    private var generator: AddressGenerator<Source>

    init(_ source: consuming Source) { generator = AddressGenerator(source) }

    func address(_ family: AddressFamily, in pool: AddressPool) throws -> IPAddress {
        // #require would be a fifth of the time of all draws in a debug build.
        guard let address = generator.address(family, in: pool) else { throw Misdrawn.nothing(family) }
        return address
    }

    /// The host part of an address of the first prefix of `family` in `pool`, all of it.
    func host(_ family: AddressFamily, in pool: AddressPool) throws -> UInt128 {
        let address = try address(family, in: pool)
        for member in pool.members where member.prefix.family == family {
            // The battery sees the host part alone, so what is in front of it is checked here.
            guard member.prefix.contains(address) else { throw Misdrawn.outside(member.prefix, address) }
            return address.bits - member.prefix.address.bits
        }
        throw Misdrawn.nothing(family)
    }
}

private enum Misdrawn: Error {
    case nothing(AddressFamily)
    case outside(Prefix, IPAddress)
}

/// The secure generator with a seed of its own for each worker.
private func worker(_ number: Int) -> Worker<SecureRandom> { Worker(SecureRandom(seed: [0xAD, UInt8(number)])) }

private func pool(
    _ prefixes: String..., excluding exclusions: [String] = [], excludingEdges: Bool = false, weights: [UInt32?] = []
) throws -> AddressPool {
    let members = try prefixes.enumerated().map { index, text in
        AddressPool.Member(try Prefix(text: text), weight: weights.isEmpty ? nil : weights[index])
    }
    return try AddressPool(
        members, excluding: try exclusions.map { try Prefix(text: $0) }, excludingEdges: excludingEdges)
}

private func expectGood(_ source: AddressSource, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let verdict = try AddressBattery.examine(source)
    #expect(verdict.findings.passes, "\(verdict.findings)", sourceLocation: sourceLocation)
}

@Suite("Generated addresses are uniform and independent")
struct AddressGenerationTests {
    /// Which 64 bits of a host part are looked at.
    enum Window: Sendable {
        case low, high

        func of(_ host: UInt128, bits: Int) -> UInt64 {
            UInt64(truncatingIfNeeded: self == .low ? host : host >> UInt128(max(0, bits - 64)))
        }
    }

    @Test(
        "A and AAAA from prefixes of any length, for any name, by two workers",
        arguments: [
            ("192.0.2.0/24", "2001:db8::/64", .low),
            ("198.18.0.0/20", "2001:db8::/48", .low),
            ("198.18.0.0/15", "2001:db8::/48", .high),
            ("0.0.0.0/0", "::/0", .low),
            ("0.0.0.0/0", "::/0", .high),
            ("128.0.0.0/1", "8000::/1", .high),
            ("192.0.2.0/31", "2001:db8::/127", .low),
            ("192.0.2.1/32", "2001:db8::1/128", .low),
            ("192.0.2.16/28", "2001:db8::/95", .low),
        ] as [(String, String, Window)])
    func anyLength(v4: String, v6: String, window: Window) throws {
        let pool = try pool(v4, v6)
        let v4Bits = 32 - (try Prefix(text: v4)).length
        let v6Bits = 128 - (try Prefix(text: v6)).length
        try expectGood(
            AddressSource("\(v4) and \(v6)", v4Bits: v4Bits, v6Bits: min(64, v6Bits)) { number in
                let worker = worker(number)
                return { _ in
                    (
                        v4: UInt64(try worker.host(.ipv4, in: pool)),
                        v6: window.of(try worker.host(.ipv6, in: pool), bits: v6Bits)
                    )
                }
            })
    }

    @Test("the two halves of an IPv6 host part of 128 bits are independent")
    func halves() throws {
        let pool = try pool("::/0")
        try expectGood(
            AddressSource("::/0", v4Bits: 64, v6Bits: 64) { number in
                let worker = worker(number)
                return { _ in
                    let host = try worker.host(.ipv6, in: pool)
                    return (v4: UInt64(host >> 64), v6: UInt64(truncatingIfNeeded: host))
                }
            })
    }

    @Test("prefixes without weights are one range: every address of /25, /26 and /26 is as likely as any other")
    func severalPrefixes() throws {
        let prefixes = try ["192.0.2.0/25", "198.51.100.64/26", "203.0.113.0/26"].map { try Prefix(text: $0) }
        let pool = try AddressPool(prefixes.map { AddressPool.Member($0) })
        let v6 = try pool64()
        try expectGood(
            AddressSource("three prefixes") { number in
                let worker = worker(number)
                return { _ in
                    let address = try worker.address(.ipv4, in: pool)
                    // Numbers 0…127, 128…191 and 192…255.
                    let index = try #require(prefixes.firstIndex { $0.contains(address) })
                    let host = UInt64(address.bits - prefixes[index].address.bits)
                    return (v4: [0, 128, 192][index] + host, v6: UInt64(try worker.host(.ipv6, in: v6)))
                }
            })
    }

    @Test("of equal weights, each prefix is chosen as often, whatever its length, and its addresses are uniform")
    func equalWeights() throws {
        let prefixes = try ["192.0.2.0/25", "2001:db8::/64", "198.51.100.0/27"].map { try Prefix(text: $0) }
        let pool = try AddressPool(prefixes.map { AddressPool.Member($0, weight: 7) })
        try expectGood(
            AddressSource("equal weights", v4Bits: 6) { number in
                let worker = worker(number)
                return { _ in
                    let address = try worker.address(.ipv4, in: pool)
                    let prefix = try #require(prefixes.first { $0.contains(address) })
                    // One bit for the prefix, and the low five of the host part, which both have.
                    let host = UInt64(address.bits - prefix.address.bits) & 31
                    return (
                        v4: (prefix.length == 25 ? 32 : 0) | host, v6: UInt64(try worker.host(.ipv6, in: pool))
                    )
                }
            })
    }

    @Test("of weights 1, 2 and 5, prefixes are chosen in this proportion, and the host part does not tell which")
    func weights() throws {
        let texts = ["192.0.2.0/28", "198.51.100.0/28", "203.0.113.0/28"]
        let prefixes = try texts.map { try Prefix(text: $0) }
        let pool = try pool(texts[0], texts[1], texts[2], weights: [1, 2, 5])
        let worker = worker(0)
        var (chosen, hosts) = ([Int](), [Int]())
        for _ in 0..<AddressBattery.draws {
            let address = try worker.address(.ipv4, in: pool)
            chosen.append(try #require(prefixes.firstIndex { $0.contains(address) }))
            hosts.append(Int(address.bits & 15))
        }
        let counts = try Samples.counts(chosen, cells: 3)
        let findings = Findings(
            [
                try Frequencies.chiSquared(counts: counts, probabilities: [0.125, 0.25, 0.625], subject: "prefixes"),
                try Frequencies.chiSquared(counts: try Samples.counts(hosts, cells: 16), subject: "hosts"),
                try ContingencyTable.independence(chosen, of: 3, hosts, of: 16, subject: "prefix × host"),
            ], familywiseRate: AddressBattery.familywiseRate)
        #expect(findings.passes, "\(findings)")
    }

    @Test("with edges excluded, .0 and .255 are never drawn, and the other 254 addresses equally often")
    func edges() throws {
        let pool = try pool("192.0.2.0/24", excludingEdges: true)
        let worker = worker(0)
        var ranks: [Int] = []
        // A remainder for a rejection would draw two of 254 twice as often, which half as many draws do not show.
        for _ in 0..<2 * AddressBattery.draws { ranks.append(Int(try worker.host(.ipv4, in: pool)) - 1) }
        // Ranks of .0 and .255 are −1 and 254, which are no cells.
        let counts = try Samples.counts(ranks, cells: 254)
        let findings = Findings(
            [
                try Frequencies.chiSquared(counts: counts), try Frequencies.likelihoodRatio(counts: counts),
                try Frequencies.maximumLoad(counts: counts), try Frequencies.minimumLoad(counts: counts),
                try Repetitions.couponCollector(ranks, cells: 254),
                try Runs.aboveAndBelow(ranks.map { $0 >= 127 }),
            ], familywiseRate: AddressBattery.familywiseRate)
        #expect(findings.passes, "\(findings)")
    }

    /// What is drawn of a block that no exclusion touches is uniform on it, so all of the battery applies to it.
    @Test("within a block beside the excluded addresses, all is as without exclusions")
    func besideExclusions() throws {
        let pool = try pool(
            "192.0.2.0/24", "2001:db8::/64", excluding: ["192.0.2.128/26", "192.0.2.17/32", "2001:db8::/66"],
            excludingEdges: true)
        try expectGood(
            AddressSource("192.0.2.64/26 and 2001:db8::4000:0:0:0/66", v4Bits: 6, v6Bits: 62) { number in
                let worker = worker(number)
                return { _ in
                    var (v4, v6): (UInt128, UInt128)
                    repeat { v4 = try worker.host(.ipv4, in: pool) } while !(64..<128).contains(v4)
                    repeat { v6 = try worker.host(.ipv6, in: pool) } while v6 >> 62 != 1
                    return (v4: UInt64(v4 & 63), v6: UInt64(v6 & ((1 << 62) - 1)))
                }
            })
    }

    @Test("two policies that share a pool draw from all of it, and independently")
    func sharedPool() throws {
        let pool = try pool64()
        try expectGood(
            AddressSource("two policies, one pool", v4Bits: 64) { number in
                let worker = worker(number)
                return { _ in
                    (v4: UInt64(try worker.host(.ipv6, in: pool)), v6: UInt64(try worker.host(.ipv6, in: pool)))
                }
            })
    }

    @Test("policies with pools of their own never meet, and what one draws tells nothing of the other")
    func isolatedPools() throws {
        let (first, second) = (try pool("192.0.2.0/25"), try pool("192.0.2.128/25"))
        try expectGood(
            AddressSource("two policies, two pools", v4Bits: 7, v6Bits: 7) { number in
                let worker = worker(number)
                return { _ in
                    (v4: UInt64(try worker.host(.ipv4, in: first)), v6: UInt64(try worker.host(.ipv4, in: second)))
                }
            })
    }

    private func pool64() throws -> AddressPool { try pool("2001:db8::/64") }
}

@Suite("A pool does not hide a bad source")
struct BadSourceTests {
    /// The low half of an LCG of 64 bits, whose lowest bit alternates.
    private struct Congruential: RandomBits {
        var state: UInt64

        mutating func next32() -> UInt32 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt32(truncatingIfNeeded: state)
        }
    }

    /// A generator that gives 31 bits, as rand(3) does.
    private struct ThirtyOneBits: RandomBits {
        var bits: DeterminedBits

        mutating func next32() -> UInt32 { bits.next32() >> 1 }
    }

    private func findings<Source: RandomBits & SendableMetatype>(
        _ source: @escaping @Sendable (_ worker: Int) -> Source
    ) throws -> AddressBattery.Verdict {
        let pool = try pool("192.0.2.0/24", "2001:db8::/64")
        return try AddressBattery.examine(
            AddressSource("a bad source") { number in
                let worker = Worker(source(number))
                return { _ in
                    (v4: UInt64(try worker.host(.ipv4, in: pool)), v6: UInt64(try worker.host(.ipv6, in: pool)))
                }
            })
    }

    @Test("low bits of an LCG")
    func congruential() throws {
        let verdict = try findings { Congruential(state: UInt64($0) + 99) }
        #expect(verdict.findings.failedTests.isSuperset(of: [.bitLags, .serial, .gaps]))
    }

    @Test("31 bits for 32: the top bit of either half of the IPv6 host part never is 1")
    func missingBit() throws {
        let verdict = try findings { ThirtyOneBits(bits: DeterminedBits(from: UInt64($0))) }
        #expect(
            Set(verdict.findings.failures.filter { $0.test == .monobit }.map(\.subject))
                == ["AAAA: bit 31", "AAAA: bit 63"])
    }

    @Test("one seed for two workers")
    func oneSeed() throws {
        let verdict = try findings { _ in DeterminedBits(from: 5) }
        #expect(verdict.accused == [.workersA, .workersAAAA])
        #expect(verdict.findings.failedTests == [.crossBits, .contingency, .collisions])
    }
}
