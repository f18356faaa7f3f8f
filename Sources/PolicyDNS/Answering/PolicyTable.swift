import Addressing

/// The policies, ready for matching.
///
/// What a listener's label, an account and a query type decide is decided beforehand: for each combination there is a
/// list of the policies that remain, up to the first that asks for nothing else.
struct PolicyTable {
    struct Policy {
        var ttl: UInt32
        var strategy: Configuration.Strategy
        /// The index in ``sections`` of the pool's addresses of a family; -1 if it has none.
        var ipv4: Int
        var ipv6: Int
        var clients: Range<Int>
        var suffixes: Range<Int>
    }

    /// A name at or above those that match.
    struct Suffix {
        var name: Range<Int>
        var labels: Int
    }

    private let policies: Table<Policy>
    private let clients: Table<Prefix>
    private let suffixes: Table<Suffix>
    private let names: Table<UInt8>
    private let sections: Table<AddressPool.Section>
    private let candidates: Table<Int>
    /// Which of ``candidates`` there are for each combination.
    private let lists: Table<Range<Int>>
    private let accountCount: Int
    private let labelCount: Int

    /// - Parameters:
    ///   - labels: those of listeners, by index; a query of any other index has a label that no policy asks for.
    ///   - accounts: all that zones have.
    ///   - pools: for each policy the index of its pool.
    init(_ configuration: Configuration, labels: [String], accounts: [String], pools: [Int]) {
        var clients: [Prefix] = []
        var suffixes: [Suffix] = []
        var names: [UInt8] = []
        var policies: [Policy] = []
        var sections: [AddressPool.Section] = []
        let places = configuration.pools.map { pool in
            var place = (ipv4: -1, ipv6: -1)
            if let section = pool.addresses.ipv4 {
                place.ipv4 = sections.count
                sections.append(section)
            }
            if let section = pool.addresses.ipv6 {
                place.ipv6 = sections.count
                sections.append(section)
            }
            return place
        }
        for (policy, pool) in zip(configuration.policies, pools) {
            policies.append(
                Policy(
                    ttl: policy.ttl, strategy: policy.strategy,
                    ipv4: places[pool].ipv4, ipv6: places[pool].ipv6,
                    clients: clients.count..<(clients.count + policy.match.clients.count),
                    suffixes: suffixes.count..<(suffixes.count + policy.match.suffixes.count)))
            clients += policy.match.clients
            for name in policy.match.suffixes {
                suffixes.append(
                    Suffix(name: names.count..<(names.count + name.wire.count), labels: name.labels.count))
                names += name.wire
            }
        }
        var candidates: [Int] = []
        var lists: [Range<Int>] = []
        for label in labels.map(Optional.some) + [nil] {
            for account in accounts {
                for type in Configuration.QueryType.allCases {
                    let start = candidates.count
                    for (index, policy) in configuration.policies.enumerated()
                    where policy.match.fixedMismatch(label: label, account: account, type: type) == nil {
                        candidates.append(index)
                        if policy.match.clients.isEmpty && policy.match.suffixes.isEmpty { break }
                    }
                    lists.append(start..<candidates.count)
                }
            }
        }
        self.policies = Table(policies)
        self.clients = Table(clients)
        self.suffixes = Table(suffixes)
        self.names = Table(names)
        self.sections = Table(sections)
        self.candidates = Table(candidates)
        self.lists = Table(lists)
        accountCount = accounts.count
        labelCount = labels.count
    }

    func deallocate() {
        policies.deallocate()
        clients.deallocate()
        suffixes.deallocate()
        names.deallocate()
        sections.deallocate()
        candidates.deallocate()
        lists.deallocate()
    }

    /// How many pools' families there are, each with a place of its own in a round.
    var sectionCount: Int { sections.count }

    @inline(__always)
    func policy(_ index: Int) -> Policy { policies[index] }

    /// Chooses an address of `family` by what `policy` says; nil if its pool has none.
    @inline(__always)
    func address(
        _ policy: Int, _ family: AddressFamily, for name: borrowing QueryName, choice: inout AddressChoice
    ) -> IPAddress? {
        let place = family == .ipv4 ? policies[policy].ipv4 : policies[policy].ipv6
        guard place >= 0 else { return nil }
        // In place: a copy would count a reference.
        return choice.address(policies[policy].strategy, of: sections[place], place: place, for: name)
    }

    /// The first policy that holds for a query; nil if none does.
    ///
    /// - Parameter scope: raised to the number of bits of the client's address that the outcome depends on.
    @inline(__always)
    func match(
        label: Int, account: Int, _ family: AddressFamily, name: borrowing QueryName, client: ClientNetwork,
        scope: inout Int
    ) -> Int? {
        let label = label >= 0 && label < labelCount ? label : labelCount
        let list = lists[(label * accountCount + account) * 2 + (family == .ipv4 ? 0 : 1)]
        for place in list {
            let policy = candidates[place]
            if mismatch(policy, name, client, scope: &scope) == nil { return policy }
        }
        return nil
    }

    /// The attribute that keeps a policy from holding, of those that only the query decides.
    @inline(__always)
    func mismatch(
        _ index: Int, _ name: borrowing QueryName, _ client: ClientNetwork, scope: inout Int
    ) -> Configuration.Match.Attribute? {
        let policy = policies[index]
        // The name first: where it fails, the client decided nothing, and the scope stays wide.
        if policy.suffixes.count > 0 {
            var found = false
            for place in policy.suffixes where !found {
                found = name.ends(in: names.bytes(suffixes[place].name), labels: suffixes[place].labels)
            }
            if !found { return .suffix }
        }
        if policy.clients.count > 0 {
            for place in policy.clients {
                let (isInside, bits) = client.compare(with: clients[place])
                scope = max(scope, bits)
                if isInside { return nil }
            }
            return .client
        }
        return nil
    }
}

extension Configuration.Match {
    /// What a policy can ask for, by its key in a configuration.
    public enum Attribute: String, Hashable, Sendable, CaseIterable {
        case label, account, client, type, suffix
    }

    /// The first attribute that keeps a policy from holding, of those that no query can change.
    func fixedMismatch(label: String?, account: String, type: Configuration.QueryType) -> Attribute? {
        if !labels.isEmpty, !labels.contains(where: { $0 == label }) { return .label }
        if !accounts.isEmpty, !accounts.contains(account) { return .account }
        if !types.isEmpty, !types.contains(type) { return .type }
        return nil
    }
}
