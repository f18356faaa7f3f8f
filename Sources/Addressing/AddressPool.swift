/// Prefixes that addresses are drawn from, of one family or both.
///
/// Without weights, every address of a family is as likely as any other. With them, each prefix is
/// chosen in proportion to its weight, and then an address of it uniformly.
public struct AddressPool: Hashable, Sendable {
    public let members: [Member]
    /// Addresses that are never drawn.
    public let exclusions: [Prefix]
    /// Whether the first and the last address of each IPv4 prefix shorter than /31 are never drawn.
    public let excludesEdges: Bool

    /// What IPv4 addresses are drawn from; nil if the pool has none.
    public let ipv4: Section?
    /// What IPv6 addresses are drawn from; nil if the pool has none.
    public let ipv6: Section?

    /// A prefix of a pool.
    public struct Member: Hashable, Sendable {
        public var prefix: Prefix
        /// How often it is chosen, relative to the others of its family: 1 or more. All have one or none has.
        public var weight: UInt32?

        public init(_ prefix: Prefix, weight: UInt32? = nil) {
            self.prefix = prefix
            self.weight = weight
        }
    }

    /// Makes a pool.
    ///
    /// - Throws: ``AddressPoolError`` for prefixes that overlap, weights of some and not of others, and exclusions
    ///   that lie outside or leave nothing.
    public init(
        _ members: [Member], excluding exclusions: [Prefix] = [], excludingEdges: Bool = false
    ) throws(AddressPoolError) {
        guard !members.isEmpty else { throw .empty }
        if let mapped = members.first(where: \.prefix.isMapped) { throw .mapped(mapped.prefix) }
        self.members = members
        self.exclusions = exclusions
        self.excludesEdges = excludingEdges

        // Sorted by their first address, prefixes that overlap are neighbours: two of them overlap only if one holds the other.
        let sorted = members.map(\.prefix).sorted { ($0.address, $0.length) < ($1.address, $1.length) }
        for (first, second) in zip(sorted, sorted.dropFirst()) where first.contains(second) {
            throw .overlap(first, second)
        }
        for exclusion in exclusions where !sorted.contains(where: { $0.contains(exclusion) || exclusion.contains($0) })
        {
            throw .exclusionOutside(exclusion)
        }
        var exclusions = exclusions
        if excludingEdges {
            for prefix in sorted where prefix.family == .ipv4 && prefix.length < 31 {
                exclusions += [Prefix(prefix.address), Prefix(prefix.last)]
            }
        }
        ipv4 = try Section(.ipv4, members, exclusions)
        ipv6 = try Section(.ipv6, members, exclusions)
    }

    /// A pool of one prefix.
    public init(_ prefix: Prefix) {
        members = [Member(prefix)]
        exclusions = []
        excludesEdges = false
        ipv4 = prefix.family == .ipv4 ? Section(prefix) : nil
        ipv6 = prefix.family == .ipv6 ? Section(prefix) : nil
    }

    @inlinable
    public func section(_ family: AddressFamily) -> Section? {
        family == .ipv4 ? ipv4 : ipv6
    }

    /// Whether `address` can be drawn.
    public func contains(_ address: IPAddress) -> Bool {
        section(address.family)?.contains(address) ?? false
    }
}

extension AddressPool.Member: CustomStringConvertible {
    public var description: String { weight.map { "\(prefix) (weight \($0))" } ?? "\(prefix)" }
}

/// What is wrong with a pool.
public enum AddressPoolError: Error, Hashable, Sendable, CustomStringConvertible {
    case empty
    case overlap(Prefix, Prefix)
    case weightOfSome(missing: Prefix)
    case weightOutOfRange(Prefix)
    case exclusionOutside(Prefix)
    case nothingLeft(Prefix)
    /// Of IPv4 addresses in IPv6 form, which nobody can be told to connect to.
    case mapped(Prefix)

    public var description: String {
        switch self {
        case .empty: "a pool needs at least one prefix"
        case .overlap(let first, let second):
            first == second ? "\(first) is in the pool twice" : "\(first) holds \(second): leave one of them out"
        case .weightOfSome(let missing):
            "\(missing) has no weight, and others of its family have: give all of them one, or none"
        case .weightOutOfRange(let prefix): "\(prefix) has the weight 0: leave it out, or give it 1 or more"
        case .exclusionOutside(let exclusion): "\(exclusion) is excluded, but in none of the pool's prefixes"
        case .mapped(let prefix): "\(prefix) holds IPv4 addresses in IPv6 form: write the IPv4 prefix"
        case .nothingLeft(let prefix): "nothing of \(prefix) is left by what is excluded"
        }
    }
}
