import Addressing

/// How one worker chooses addresses: its generator, and how far it is in each pool.
struct AddressChoice: ~Copyable {
    private var generator = AddressGenerator(SecureRandom())
    /// For round-robin, the next address by pool and family.
    private var next: [UInt64] = []

    /// Hashes of names must not change when the server restarts, so this key is no secret: anybody may know which
    /// address a static policy gives a name.
    private static let nameKey = SipHash.Key(first: 0, second: 0)

    init() {}

    /// Prepares for `count` pools and families, with a random start in each.
    mutating func adopt(_ count: Int) {
        next = (0..<count).map { _ in UInt64(truncatingIfNeeded: generator.source.bits(64)) }
    }

    mutating func reseed() { generator.source.reseed() }

    /// Chooses an address of `section`, which is number `place`.
    @inline(__always)
    mutating func address(
        _ strategy: Configuration.Strategy, of section: borrowing AddressPool.Section, place: Int,
        for name: borrowing QueryName
    ) -> IPAddress {
        switch strategy {
        case .random:
            return generator.address(in: section)
        case .static:
            var bits = DeterminedBits(from: SipHash.hash(name.wire, key: AddressChoice.nameKey))
            return section.draw(from: &bits)
        case .roundRobin:
            let number = next[place]
            next[place] = number &+ 1
            return section.address(at: UInt128(number))
        }
    }
}
