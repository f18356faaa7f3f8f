import Addressing

/// The kernel's elements for a whole set of bindings at once.
///
/// The same as ``BindingTable`` finds one binding at a time, in n log n steps: a million take seconds.
enum Flattening {
    /// Calls `body` with each element, wider prefixes before those in them.
    ///
    /// - Throws: ``SocketLookupError/tie(_:with:label:)``, ``SocketLookupError/duplicate(_:)`` and
    ///   ``SocketLookupError/mappedPrefix(_:)`` for the first of the bindings, in their order, that cannot be.
    static func elements(
        of bindings: [(binding: Binding, counter: UInt32)],
        _ body: (BindingTable.Key, PortTable) throws(SocketLookupError) -> Void
    ) throws(SocketLookupError) {
        let keys = bindings.map {
            BindingTable.Key(protocol: $0.binding.match.protocol, prefix: $0.binding.match.prefix)
        }
        // Swift's sort is stable, so within a key the order is the caller's.
        let order = keys.indices.sorted { keys[$0] < keys[$1] }
        var path: [(key: BindingTable.Key, table: PortTable)] = []
        var start = 0
        while start < order.count {
            let key = keys[order[start]]
            var end = start + 1
            while end < order.count, keys[order[end]] == key { end += 1 }
            while let deepest = path.last, !deepest.key.contains(key) { path.removeLast() }
            let table = try self.table(order[start..<end].map { bindings[$0] }, over: path.last?.table)
            path.append((key, table))
            try body(key, table)
            start = end
        }
    }

    /// Of the bindings of one prefix.
    private static func table(
        _ bindings: [(binding: Binding, counter: UInt32)], over inherited: PortTable?
    ) throws(SocketLookupError) -> PortTable {
        for (binding, _) in bindings where binding.match.prefix.isMapped { throw .mappedPrefix(binding.match) }
        func target(_ binding: Binding, _ counter: UInt32) -> Target {
            Target(counter: counter, label: binding.label, otherwise: binding.otherwise)
        }
        // So it is with most of a million.
        if bindings.count == 1, inherited == nil {
            return PortTable(bindings[0].binding.match.ports, target(bindings[0].binding, bindings[0].counter))
        }
        var own: [PortRange: Target] = [:]
        for (binding, counter) in bindings {
            guard own.updateValue(target(binding, counter), forKey: binding.match.ports) == nil else {
                throw .duplicate(binding.match)
            }
        }
        if own.count > 1 { try refuseTies(among: bindings.map(\.binding)) }
        return PortTable(own, over: inherited ?? PortTable())
    }

    /// Of one prefix, and of no range two.
    private static func refuseTies(among bindings: [Binding]) throws(SocketLookupError) {
        let sorted = bindings.enumerated().sorted {
            ($0.element.match.ports.count, $0.element.match.ports.first, $0.offset)
                < ($1.element.match.ports.count, $1.element.match.ports.first, $1.offset)
        }
        // Equally wide ranges that begin in order overlap somewhere only if two neighbours do.
        for (left, right) in zip(sorted, sorted.dropFirst()) {
            let (one, other) = (left.element.match.ports, right.element.match.ports)
            guard one.count == other.count, other.first <= one.last else { continue }
            let (first, second) = left.offset < right.offset ? (left, right) : (right, left)
            throw .tie(second.element.match, with: first.element.match, label: first.element.label)
        }
    }
}
