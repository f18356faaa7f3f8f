import Addressing

/// How a policy fared with a query.
public struct PolicyExplanation: Hashable, Sendable, CustomStringConvertible {
    /// The policy's name.
    public var policy: String
    /// What keeps it from holding; nil if it holds, and answers.
    public var mismatch: Configuration.Match.Attribute?
    /// The same in words, with what was asked for and what there was.
    public var reason: String

    public var description: String { "\(policy): \(reason)" }
}

extension Service {
    /// What becomes of a query for addresses, and why.
    public struct Explanation: Hashable, Sendable {
        /// The zone that the name is in; nil if in none, and the query is refused.
        public var zone: DomainName?
        /// Whether the name is a name server's, whose addresses are fixed.
        public var isNameserver = false
        /// The policies that were tried, in order: the last one answers if it has no mismatch. None for a name server.
        public var policies: [PolicyExplanation] = []
        /// The pool that answers, and whether it has addresses of the family asked for.
        public var pool: String?
        public var poolHasFamily = false
        /// How many bits of the client's address decided (RFC 7871).
        public var scope = 0
    }

    /// Explains what a query would be answered with: by the same tables, and the same matching, that answer queries.
    ///
    /// - Parameters:
    ///   - client: the client's subnet as a query states it, or its address as a /32 or /128.
    ///   - label: the label of the listener.
    public func explain(
        name: DomainName, type: Configuration.QueryType, client: Prefix,
        label: String = Configuration.Listener.defaultLabel
    ) -> Explanation {
        var explanation = Explanation()
        let queryName = QueryName(name)
        let match = tables.zones.names.find(queryName)
        guard match.zone >= 0 else { return explanation }
        let zone = configuration.zones[match.zone]
        explanation.zone = zone.name
        guard match.host < 0 else {
            explanation.isNameserver = true
            return explanation
        }
        let network = ClientNetwork(client.address, length: client.length)
        let account = zone.account ?? Configuration.Zone.defaultAccount
        for (index, policy) in configuration.policies.enumerated() {
            let mismatch =
                policy.match.fixedMismatch(label: label, account: account, type: type)
                ?? tables.policies.mismatch(index, queryName, network, scope: &explanation.scope)
            let found =
                switch mismatch {
                case .label: label
                case .account: account
                case .type: type.rawValue
                case .client: client.description
                case .suffix: name.description
                case nil: ""
                }
            explanation.policies.append(
                PolicyExplanation(
                    policy: policy.name, mismatch: mismatch,
                    reason: mismatch.map { "\($0.rawValue) is \(found), not \(policy.match.wanted($0))" }
                        ?? "matches, and answers from \(policy.pool)"))
            guard mismatch != nil else {
                explanation.pool = policy.pool
                let pool = configuration.pools.first { $0.name == policy.pool }
                explanation.poolHasFamily = pool?.addresses.section(type == .a ? .ipv4 : .ipv6) != nil
                break
            }
        }
        return explanation
    }
}

extension Configuration.Match {
    /// The values that an attribute may have, in words.
    fileprivate func wanted(_ attribute: Attribute) -> String {
        let values: [String] =
            switch attribute {
            case .label: labels
            case .account: accounts
            case .client: clients.map { "in \($0)" }
            case .type: types.map(\.rawValue)
            case .suffix: suffixes.map { "at or below \($0)" }
            }
        return values.joined(separator: " or ")
    }
}
