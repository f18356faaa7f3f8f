import Addressing

/// A set of bindings, and the tables that answer for them with one longest-prefix match.
///
/// The most specific prefix with a matching range wins, then the narrowest range. A longest-prefix
/// match alone would stop at a prefix that has no range for the port, so each node's table holds what it
/// inherits as well.
struct BindingTable: Sendable {
    /// Where bindings can hang: in the kernel, one element.
    struct Key: Hashable, Sendable, Comparable {
        var `protocol`: TransportProtocol
        var prefix: Prefix

        /// A prefix comes right before all that lie in it.
        static func < (left: Key, right: Key) -> Bool {
            if left.protocol != right.protocol { return left.protocol == .tcp }
            if left.prefix.address != right.prefix.address { return left.prefix.address < right.prefix.address }
            return left.prefix.length < right.prefix.length
        }

        func contains(_ other: Key) -> Bool { other.protocol == `protocol` && prefix.contains(other.prefix) }
    }

    struct Node: Hashable, Sendable {
        var own: [PortRange: Target]
        /// Own and inherited.
        var table: PortTable
    }

    /// One node's change. Each is atomic in the kernel, and takes every address from its old table to
    /// its new one; so in any order no address is without its binding.
    struct Change: Hashable, Sendable {
        var key: Key
        var old: Node?
        /// Nil removes the node.
        var new: Node?
    }

    private var keys: [Key] = []  // ascending
    private var nodes: [Key: Node] = [:]

    init() {}

    /// The kernel's elements, wider prefixes before those in them.
    var elements: [(key: Key, table: PortTable)] {
        keys.compactMap { key in nodes[key].map { (key, $0.table) } }
    }

    /// All bindings.
    var bindings: [(match: Match, target: Target)] {
        keys.flatMap { key in
            (nodes[key]?.own ?? [:]).sorted { $0.key.first < $1.key.first }
                .map { (Match(key.protocol, key.prefix, $0.key), $0.value) }
        }
    }

    /// The target that a match has.
    func target(of match: Match) -> Target? {
        nodes[Key(protocol: match.protocol, prefix: match.prefix)]?.own[match.ports]
    }

    /// What changes when a match gets a target, whether it had another before or none. Nothing is changed yet.
    func changes(binding match: Match, to target: Target) throws(SocketLookupError) -> [Change] {
        if match.prefix.isMapped { throw .mappedPrefix(match) }
        let key = Key(protocol: match.protocol, prefix: match.prefix)
        var own = nodes[key]?.own ?? [:]
        for (range, other) in own where range != match.ports && range.count == match.ports.count {
            if range.first <= match.ports.last && match.ports.first <= range.last {
                throw .tie(match, with: Match(match.protocol, match.prefix, range), label: other.label)
            }
        }
        own[match.ports] = target
        return try changes(at: key, own: own)
    }

    /// What changes when a match no longer leads to a label. Nothing is changed yet.
    func changes(unbinding match: Match, from label: String) throws(SocketLookupError) -> [Change] {
        let key = Key(protocol: match.protocol, prefix: match.prefix)
        guard var own = nodes[key]?.own, let bound = own.removeValue(forKey: match.ports) else {
            throw .notBound(match)
        }
        guard bound.label == label else { throw .boundElsewhere(match, to: bound.label, not: label) }
        return try changes(at: key, own: own)
    }

    mutating func commit(_ changes: [Change]) {
        for change in changes {
            let index = position(of: change.key)
            let present = index < keys.count && keys[index] == change.key
            if change.new == nil, present { keys.remove(at: index) }
            if change.new != nil, !present { keys.insert(change.key, at: index) }
            nodes[change.key] = change.new
        }
    }

    /// What the kernel's longest-prefix match finds: for tests, and to explain a decision.
    func target(for protocol: TransportProtocol, _ endpoint: Endpoint) -> Target? {
        let host = Key(protocol: `protocol`, prefix: Prefix(endpoint.address))
        return (nodes[host] ?? ancestor(of: host))?.table.target(for: endpoint.port)
    }

    /// The most specific first, so that a wide binding shows only once its exceptions are in place.
    private func changes(at key: Key, own: [PortRange: Target]) throws(SocketLookupError) -> [Change] {
        let inherited = ancestor(of: key)?.table ?? PortTable()
        let table = PortTable(own, over: inherited)
        let new = own.isEmpty ? nil : Node(own: own, table: table)
        var changes = [Change(key: key, old: nodes[key], new: new)]
        // The path from `key` down to the node in hand. An emptied node's table is what it inherits.
        var path = [(key: key, table: table)]
        for descendant in keys[position(after: key)...] {
            guard key.contains(descendant) else { break }
            guard var node = nodes[descendant] else { continue }
            while path.count > 1, let deepest = path.last, !deepest.key.contains(descendant) { path.removeLast() }
            let old = node
            node.table = PortTable(node.own, over: path[path.count - 1].table)
            path.append((descendant, node.table))
            if node != old { changes.append(Change(key: descendant, old: old, new: node)) }
        }
        return changes.reversed()
    }

    /// The node of the longest prefix that contains `key`'s and is not its own.
    private func ancestor(of key: Key) -> Node? {
        var length = key.prefix.length
        while length > 0 {
            length -= 1
            if let node = nodes[Key(protocol: key.protocol, prefix: key.prefix.shortened(to: length))] { return node }
        }
        return nil
    }

    /// The first index whose key is not below `key`.
    private func position(of key: Key) -> Int {
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func position(after key: Key) -> Int {
        let index = position(of: key)
        return index < keys.count && keys[index] == key ? index + 1 : index
    }
}

extension Prefix {
    /// The prefix of `length` bits, no more than its own, that contains it.
    fileprivate func shortened(to length: Int) -> Prefix {
        let host = UInt128(family.width - length)
        // A shift by all 128 bits gives 0, so /0 is right too. Host bits are cleared, so this cannot throw.
        let network = IPAddress(family: family, bits: (address.bits >> host) << host)
        return (try? Prefix(network, length: length)) ?? self
    }
}
