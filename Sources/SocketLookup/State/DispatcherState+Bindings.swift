import Addressing
import CLinux
import Glibc
import SystemPackage

/// What one set of bindings has that another has not.
public struct BindingDifference: Hashable, Sendable {
    public var added: [Binding] = []
    public var removed: [Binding] = []
    /// The same match with another label or fallback.
    public var changed: [Change] = []

    public struct Change: Hashable, Sendable {
        public var old: Binding
        public var new: Binding
    }

    public var isEmpty: Bool { added.isEmpty && removed.isEmpty && changed.isEmpty }

    /// In the order of the new set, and removals in that of the old one.
    public init(from old: [Binding], to new: [Binding]) {
        let before = Dictionary(old.map { ($0.match, $0) }, uniquingKeysWith: { first, _ in first })
        let after = Set(new.map(\.match))
        for binding in new {
            if let present = before[binding.match] {
                if present != binding { changed.append(Change(old: present, new: binding)) }
            } else {
                added.append(binding)
            }
        }
        removed = old.filter { !after.contains($0.match) }
    }
}

extension Binding {
    /// Refuses a set that no dispatcher could have, without one at hand.
    ///
    /// - Throws: ``SocketLookupError/tie(_:with:label:)``, ``SocketLookupError/duplicate(_:)``,
    ///   ``SocketLookupError/mappedPrefix(_:)`` or ``SocketLookupError/unsuitableLabel(_:)``.
    public static func check(_ bindings: [Binding]) throws(SocketLookupError) {
        for binding in bindings { try LabelNames.check(binding.label) }
        try Flattening.elements(of: bindings.map { ($0, 0) }) { (_, _) throws(SocketLookupError) in }
    }
}

extension DispatcherState {
    /// The bindings in force, in the order in which they were given.
    public func bindings() throws(SocketLookupError) -> [Binding] { try records(names: names.all()).map(\.binding) }

    /// Adds bindings; those whose match is bound already move to their new label.
    ///
    /// - Throws: as ``replace(with:)``.
    @discardableResult
    public func bind(_ bindings: [Binding]) throws(SocketLookupError) -> BindingDifference {
        let moved = Dictionary(bindings.map { ($0.match, $0) }, uniquingKeysWith: { _, last in last })
        guard moved.count == bindings.count else { throw .duplicate(firstDuplicate(in: bindings)) }
        let present = try self.bindings()
        let matches = Set(present.map(\.match))
        return try replace(
            with: present.map { moved[$0.match] ?? $0 } + bindings.filter { !matches.contains($0.match) })
    }

    /// Removes bindings; their addresses and ports fall to the next wider ones.
    ///
    /// - Parameter label: What they must be bound to; nil for any.
    /// - Throws: ``SocketLookupError/notBound(_:)``, ``SocketLookupError/boundElsewhere(_:to:not:)``; then none is
    ///   removed.
    @discardableResult
    public func unbind(_ matches: [Match], from label: String? = nil) throws(SocketLookupError) -> BindingDifference {
        let present = try bindings()
        let labels = Dictionary(present.map { ($0.match, $0.label) }, uniquingKeysWith: { first, _ in first })
        for match in matches {
            guard let bound = labels[match] else { throw .notBound(match) }
            if let label, bound != label { throw .boundElsewhere(match, to: bound, not: label) }
        }
        let removed = Set(matches)
        return try replace(with: present.filter { !removed.contains($0.match) })
    }

    /// What ``replace(with:)`` would change. It throws what that would.
    public func difference(to bindings: [Binding]) throws(SocketLookupError) -> BindingDifference {
        for binding in bindings { try LabelNames.check(binding.label) }
        _ = try elements(of: bindings.map { ($0, 0) })
        return BindingDifference(from: try self.bindings(), to: bindings)
    }

    /// Puts a set of bindings in the place of all that there are, from one lookup to the next.
    ///
    /// A binding that stays, with its match and label, keeps its counters.
    ///
    /// - Throws: ``SocketLookupError/tie(_:with:label:)``, ``SocketLookupError/duplicate(_:)``,
    ///   ``SocketLookupError/mappedPrefix(_:)``, ``SocketLookupError/unsuitableLabel(_:)``, or that there is no room;
    ///   then nothing has changed.
    @discardableResult
    public func replace(with bindings: [Binding]) throws(SocketLookupError) -> BindingDifference {
        for binding in bindings { try LabelNames.check(binding.label) }
        var known = try names.all()
        let present = try records(names: known)
        let difference = BindingDifference(from: present.map(\.binding), to: bindings)
        // A set that names a match twice differs in nothing else, and is to be refused.
        if difference.isEmpty, bindings.count == present.count { return difference }
        let numbered = try number(bindings, present)
        let elements = try elements(of: numbered)

        let numbers = try nameLabels(
            bindings.map(\.label), keeping: Set(present.map(\.binding.label)), known: &known)
        ControlStep.replaceNamedLabels.done()
        try makeCounters(for: numbered, present)
        ControlStep.replaceMadeCounters.done()

        let other = 1 - (try maps.generation())
        let records = try BindingRecords.make(numbered, numbers: numbers)
        defer { close(records) }
        do throws(SocketLookupError) {
            try Pins.pin(records, at: location.state.appending("records-\(other)"))
            ControlStep.replacePinnedRecords.done()
            // An empty set has no trie: a lookup ends there.
            if !elements.isEmpty {
                let elsewhere = elements.map(\.table.intervals.count).filter { $0 > DispatchLayout.intervalsInline }
                var generation = try Generation(elsewhere: elsewhere.reduce(0, +))
                for (key, table) in elements { try generation.write(key, table, numbers: numbers) }
                try generation.put(other, in: maps)
            }
            ControlStep.replacePutTrie.done()
            try maps.setGeneration(other)
        } catch {
            try Recovery.retireGeneration(notInForce: maps, in: location.state)
            throw error
        }
        ControlStep.replaceChangedGeneration.done()
        try Recovery.retireGeneration(notInForce: maps, in: location.state)
        return difference
    }

    func records(
        names: [UInt32: String]
    ) throws(SocketLookupError) -> [(binding: Binding, counter: UInt32)] {
        let map = try Pins.open(
            location.state.appending("records-\(try maps.generation())"), readOnly: access == .looking)
        defer { close(map) }
        return try BindingRecords.read(map, names: names)
    }

    private func firstDuplicate(in bindings: [Binding]) -> Match {
        var seen: Set<Match> = []
        // There is one when this is called; the first binding stands in, so that there is no way to crash.
        return bindings.first { !seen.insert($0.match).inserted }?.match ?? bindings[0].match
    }

    private func elements(
        of bindings: [(binding: Binding, counter: UInt32)]
    ) throws(SocketLookupError) -> [(key: BindingTable.Key, table: PortTable)] {
        var elements: [(key: BindingTable.Key, table: PortTable)] = []
        var elsewhere = 0
        try Flattening.elements(of: bindings) { key, table throws(SocketLookupError) in
            elements.append((key, table))
            if table.intervals.count > DispatchLayout.intervalsInline { elsewhere += table.intervals.count }
            guard elsewhere <= DispatchLayout.intervalLimit else {
                throw .tooManyRanges(count: elsewhere, limit: DispatchLayout.intervalLimit)
            }
        }
        return elements
    }

    /// Gives each binding the counter that it had, or one that nobody has.
    private func number(
        _ bindings: [Binding], _ present: [(binding: Binding, counter: UInt32)]
    ) throws(SocketLookupError) -> [(binding: Binding, counter: UInt32)] {
        let limit = DispatchLayout.countersPerChunk * DispatchLayout.chunkLimit
        guard bindings.count <= limit / 2 else { throw .tooManyBindings(limit: limit / 2) }
        var counters: [Match: (label: String, counter: UInt32)] = [:]
        counters.reserveCapacity(present.count)
        var used = [Bool](repeating: false, count: limit)
        for (binding, counter) in present {
            counters[binding.match] = (binding.label, counter)
            used[Int(counter)] = true
        }
        var next = 0
        return bindings.map { binding in
            if let (label, counter) = counters[binding.match], label == binding.label { return (binding, counter) }
            // Both sets have at most half of the counters, so there is one.
            while used[next] { next += 1 }
            used[next] = true
            return (binding, UInt32(next))
        }
    }

    /// Makes room for the counters, and sets those that are new to zero.
    private func makeCounters(
        for bindings: [(binding: Binding, counter: UInt32)], _ present: [(binding: Binding, counter: UInt32)]
    ) throws(SocketLookupError) {
        let kept = Set(present.map(\.counter))
        let processors = try CounterChunk.processors()
        var chunks = CounterChunks(maps, in: location.state, readOnly: false)
        for (_, counter) in bindings where !kept.contains(counter) {
            let (map, isNew) = try chunks.makeChunk(of: counter)
            if !isNew { try CounterChunk.clear(map, counter % chunks.size, processors: processors) }
        }
        try chunks.putNew()
    }
}
