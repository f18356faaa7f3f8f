import Addressing
import CLinux
import Glibc
import SystemPackage

/// Leads packets to sockets by bindings: (protocol, prefix, port range) → label → socket.
///
/// The control plane of `bpf/dispatch.bpf.c`, for one loaded program; attach that to make it effective. It ends with
/// the process: ``DispatcherState`` is what lasts.
/// The most specific prefix with a matching range wins, then the narrowest range. Bindings and sockets
/// may change while packets flow: connected flows stay where they are. Every change is one step: each lookup sees
/// all of it, or nothing.
public final class Dispatcher {
    private let maps: DispatchMaps
    private var table = BindingTable()
    private var index: UInt32 = 0
    // Never given back: a number that returned under another label could lead a packet astray that is
    // between the two maps.
    private var numbers: [String: UInt32] = [:]
    private var countersUsed = 0

    /// - Throws: ``SocketLookupError/notADispatcher(program:because:)`` if its maps are missing or of another shape.
    public init(_ program: Program) throws(SocketLookupError) { maps = try DispatchMaps(program) }

    /// Binds a prefix and port range to a label, or moves them to it in one step if they had another.
    ///
    /// - Throws: ``SocketLookupError/tie(_:with:label:)`` if a range of the same prefix overlaps and is as wide.
    public func bind(
        _ protocol: TransportProtocol, _ prefix: Prefix, _ ports: PortRange, to label: String,
        otherwise: Fallback = .drop
    ) throws(SocketLookupError) {
        let match = Match(`protocol`, prefix, ports)
        let before = table.target(of: match)
        let counter = before?.label == label ? before?.counter : nil
        let target = Target(counter: counter ?? UInt32(countersUsed), label: label, otherwise: otherwise)
        let changes = try table.changes(binding: match, to: target)
        _ = try number(of: label)
        if counter == nil { try makeCounter() }
        try apply(changes)
    }

    /// Removes a binding; its addresses and ports fall to the next wider one.
    public func unbind(
        _ protocol: TransportProtocol, _ prefix: Prefix, _ ports: PortRange, from label: String
    ) throws(SocketLookupError) {
        try apply(table.changes(unbinding: Match(`protocol`, prefix, ports), from: label))
    }

    /// Puts a socket under a label, for its protocol and each family that it serves, in place of what was there.
    ///
    /// TCP sockets must listen, and UDP ones must be bound, before the kernel leads packets to them.
    /// Closing a socket takes it out.
    public func register(_ socket: FileDescriptor, under label: String) throws(SocketLookupError) {
        let facts = try SocketFacts(of: socket)
        let number = try number(of: label)
        var sharings = try maps.sharings(of: number)
        for family in facts.families {
            let kind = DispatchLayout.kind(facts.protocol, family)
            // There is one, in slot 0.
            try maps.put(socket, number, kind, 0, name: label)
            sharings[kind].add(0)
        }
        try maps.setSharings(of: number, sharings)
    }

    /// Takes a socket from under a label, wherever it still is.
    ///
    /// - Throws: ``SocketLookupError/notRegistered(descriptor:label:)`` if it is nowhere under it, which is so
    ///   after another took its place.
    public func unregister(_ socket: FileDescriptor, from label: String) throws(SocketLookupError) {
        let facts = try SocketFacts(of: socket)
        var removed = false
        if let number = numbers[label] {
            var sharings = try maps.sharings(of: number)
            for family in facts.families {
                let kind = DispatchLayout.kind(facts.protocol, family)
                guard try maps.cookie(number, kind, 0) == facts.cookie else { continue }
                sharings[kind].remove(0)
                try maps.setSharings(of: number, sharings)
                try maps.clear(DispatchLayout.slot(number, kind, 0), of: .sockets)
                removed = true
            }
        }
        guard removed else { throw .notRegistered(descriptor: socket.rawValue, label: label) }
    }

    private func number(of label: String) throws(SocketLookupError) -> UInt32 {
        if let number = numbers[label] { return number }
        guard numbers.count < DispatchLayout.labelLimit else {
            throw .tooManyLabels(label, limit: DispatchLayout.labelLimit)
        }
        let number = UInt32(numbers.count)
        numbers[label] = number
        return number
    }

    private func makeCounter() throws(SocketLookupError) {
        let chunk = countersUsed / DispatchLayout.countersPerChunk
        if chunk > 0, countersUsed % DispatchLayout.countersPerChunk == 0 {
            guard chunk < DispatchLayout.chunkLimit else {
                throw .tooManyBindings(limit: DispatchLayout.chunkLimit * DispatchLayout.countersPerChunk)
            }
            let counters = try CounterChunk.make()
            defer { close(counters) }
            try maps.set(UInt32(chunk), of: .counters, to: DispatchLayout.native(counters))
        }
        countersUsed += 1
    }

    /// A changed set is another generation; there is none without an effect.
    private func apply(_ changes: [BindingTable.Change]) throws(SocketLookupError) {
        var changed = table
        changed.commit(changes)
        if changes.contains(where: { $0.old?.table != $0.new?.table }) { try replace(by: changed) }
        table = changed
    }

    private func replace(by table: BindingTable) throws(SocketLookupError) {
        let other = 1 - index
        let elements = table.elements
        if !elements.isEmpty { try Generation(elements, numbers: numbers).put(other, in: maps) }
        try maps.setGeneration(other)
        try maps.waitForLookups()
        try maps.clear(index, of: .tables)
        try maps.clear(index, of: .ranges)
        index = other
    }
}
