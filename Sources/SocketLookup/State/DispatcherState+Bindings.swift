import Addressing
import CLinux
import Glibc
import SystemPackage

/// What one set of bindings has that another has not.
public struct BindingDifference: Hashable, Sendable {
    /// Bindings whose match was not bound before.
    public var added: [Binding] = []
    /// Bindings whose match is bound no more.
    public var removed: [Binding] = []
    /// The same match with another label or fallback.
    public var changed: [Change] = []

    /// A match that is bound before and after.
    public struct Change: Hashable, Sendable {
        /// What it was bound to.
        public var old: Binding
        /// What it is bound to now.
        public var new: Binding
    }

    /// Whether both sets have the same bindings.
    public var isEmpty: Bool { added.isEmpty && removed.isEmpty && changed.isEmpty }

    /// What leads from one set to another: in the order of the new set, and removals in that of the old one.
    public init(from old: [Binding], to new: [Binding]) {
        self.init(from: old, to: new, found: BindingDifference.places(of: new, in: old))
    }

    /// - Parameter found: Where in `old` each of `new` has its match.
    fileprivate init(from old: [Binding], to new: [Binding], found: [Int?]) {
        var stays = [Bool](repeating: false, count: old.count)
        for (binding, place) in zip(new, found) {
            guard let place else {
                added.append(binding)
                continue
            }
            stays[place] = true
            if old[place] != binding { changed.append(Change(old: old[place], new: binding)) }
        }
        removed = old.indices.filter { !stays[$0] }.map { old[$0] }
    }

    /// Where in `old` each of `new` has its match.
    fileprivate static func places(of new: [Binding], in old: [Binding]) -> [Int?] {
        // Hashing is what takes longest of a small change to many bindings, which leaves nearly all where they are.
        if new.count >= old.count, zip(old, new).allSatisfy({ $0.match == $1.match }) {
            let matches = Set(new[old.count...].map(\.match))
            // Unless one of those that come stands among the first as well.
            if !old.contains(where: { matches.contains($0.match) }) {
                return new.indices.map { $0 < old.count ? $0 : nil }
            }
        }
        let places = Dictionary(zip(old.map(\.match), old.indices), uniquingKeysWith: { first, _ in first })
        return new.map { places[$0.match] }
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
        var isPresent: Set<Match> = []
        let kept = present.map { binding in
            guard let binding = moved[binding.match] else { return binding }
            isPresent.insert(binding.match)
            return binding
        }
        return try replace(with: kept + bindings.filter { !isPresent.contains($0.match) })
    }

    /// Removes bindings; their addresses and ports fall to the next wider ones.
    ///
    /// - Parameters:
    ///   - matches: What the bindings match, exactly.
    ///   - label: What they must be bound to; nil for any.
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
        let old = present.map(\.binding)
        let found = BindingDifference.places(of: bindings, in: old)
        let difference = BindingDifference(from: old, to: bindings, found: found)
        // A set that names a match twice differs in nothing else, and is to be refused.
        if difference.isEmpty, bindings.count == present.count { return difference }
        let numbered = try number(bindings, present, found: found)
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
            // An empty set has no table: a lookup ends there.
            if !elements.isEmpty { try Generation(elements, numbers: numbers).put(other, in: maps) }
            ControlStep.replacePutTable.done()
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
        _ bindings: [Binding], _ present: [(binding: Binding, counter: UInt32)], found: [Int?]
    ) throws(SocketLookupError) -> [(binding: Binding, counter: UInt32)] {
        let limit = DispatchLayout.countersPerChunk * DispatchLayout.chunkLimit
        guard bindings.count <= limit / 2 else { throw .tooManyBindings(limit: limit / 2) }
        var used = [Bool](repeating: false, count: limit)
        for (_, counter) in present { used[Int(counter)] = true }
        var next = 0
        return zip(bindings, found).map { binding, place in
            if let place, present[place].binding.label == binding.label { return (binding, present[place].counter) }
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
        var isKept = [Bool](repeating: false, count: DispatchLayout.countersPerChunk * DispatchLayout.chunkLimit)
        for (_, counter) in present { isKept[Int(counter)] = true }
        let processors = try CounterChunk.processors()
        var chunks = CounterChunks(maps, in: location.state, readOnly: false)
        for (_, counter) in bindings where !isKept[Int(counter)] {
            let (map, isNew) = try chunks.makeChunk(of: counter)
            if !isNew { try CounterChunk.clear(map, counter % chunks.size, processors: processors) }
        }
        try chunks.putNew()
    }
}
