import Addressing
import CLinux
import Glibc
import SystemPackage

/// A socket under a label, for one protocol and family: a dual-stack one is there twice.
public struct RegisteredSocket: Hashable, Sendable {
    /// What it gets.
    public enum Condition: String, Hashable, Sendable, Codable {
        /// It gets new flows.
        case active
        /// It gets no new flows; connections that it has go on.
        case draining
        /// Its owner closed it: lookups come upon it, count an error, and go on to the others.
        case closed
    }

    /// The name that it is registered under.
    public var label: String
    /// TCP or UDP.
    public var `protocol`: TransportProtocol
    /// Of the packets that this entry is about.
    public var family: AddressFamily
    /// `SO_COOKIE`, as ss(8) shows with `-e` as `sk`; nil for one that was closed.
    public var cookie: UInt64?
    /// Whether it gets new flows.
    public var condition: Condition
    /// Its part of the flows, of 64.
    public var shares: Int

    var kind: Int { DispatchLayout.kind(`protocol`, family) }
}

extension DispatcherState {
    /// All sockets, by label.
    public func sockets() throws(SocketLookupError) -> [RegisteredSocket] {
        var sockets: [RegisteredSocket] = []
        for (number, label) in try names.all().sorted(by: { $0.value < $1.value }) {
            sockets += try self.sockets(number, label).map(\.socket)
        }
        return sockets
    }

    /// Puts sockets under a label in one step: each gets an equal part of the new flows of its protocol and the
    /// families that it serves. A member of a reuseport group stands for the group.
    ///
    /// A socket that was draining gets flows again. Those that were closed are taken out.
    ///
    /// - Parameters:
    ///   - sockets: TCP sockets that listen, and UDP sockets that are bound and have no peer. The caller may close
    ///     its descriptors afterwards, if anybody else has the sockets open.
    ///   - label: 1–64 bytes of UTF-8, bound already or not.
    ///   - replacing: Whether they take the places of the sockets that were there for the same protocols and
    ///     families; if not, they join them.
    /// - Throws: ``SocketLookupError/unsuitableSocket(descriptor:because:)``,
    ///   ``SocketLookupError/tooManySockets(label:limit:)``, or that there is no room for the label; then nothing has
    ///   changed.
    public func register(
        _ sockets: [FileDescriptor], under label: String, replacing: Bool = true
    ) throws(SocketLookupError) {
        try LabelNames.check(label)
        var registrations: [(socket: FileDescriptor, facts: SocketFacts)] = []
        for socket in sockets {
            let facts = try SocketFacts(ofReady: socket, in: location.inode)
            if !registrations.contains(where: { $0.facts.cookie == facts.cookie }) {
                registrations.append((socket, facts))
            }
        }
        guard !registrations.isEmpty else { return }
        var known = try names.all()
        let bound = Set(try records(names: known).map(\.binding.label))
        let number = try nameLabels([label], keeping: bound, known: &known)[label] ?? 0
        ControlStep.registerNamedLabel.done()

        var (sharings, cookies) = try cleaned(number)
        var kept = [Set<Int>](repeating: [], count: DispatchLayout.kindCount)
        var put: [UInt32] = []
        do throws(SocketLookupError) {
            for (socket, facts) in registrations {
                for family in facts.families {
                    let kind = DispatchLayout.kind(facts.protocol, family)
                    let present = cookies[kind].first { $0.value == facts.cookie }?.key
                    guard let slot = present ?? sharings[kind].free else {
                        throw .tooManySockets(label: label, limit: Sharing.limit)
                    }
                    if present == nil {
                        try putReady(socket, number, kind, slot, label)
                        put.append(DispatchLayout.slot(number, kind, slot))
                        cookies[kind][slot] = facts.cookie
                    }
                    sharings[kind].add(slot)
                    kept[kind].insert(slot)
                }
            }
            if replacing {
                for kind in sharings.indices where !kept[kind].isEmpty {
                    for slot in sharings[kind].slots where !kept[kind].contains(slot) { sharings[kind].remove(slot) }
                }
            }
            guard sharings.allSatisfy({ $0.slots.count <= Sharing.limit }) else {
                throw .tooManySockets(label: label, limit: Sharing.limit)
            }
        } catch {
            for slot in put { try maps.clear(slot, of: .sockets) }
            throw error
        }
        ControlStep.registerPutSockets.done()
        try share(number, sharings)
    }

    /// Takes sockets from under a label.
    ///
    /// - Returns: those that were taken, which may be none.
    @discardableResult
    public func unregister(
        from label: String, where isMeant: (RegisteredSocket) -> Bool
    ) throws(SocketLookupError) -> [RegisteredSocket] {
        try change(label, isMeant) { sharing, slot in sharing.remove(slot) }
    }

    /// Gives sockets no new flows, and keeps them listed until they are closed. Established TCP connections, and
    /// connected UDP sockets, are found before any binding is, so they go on.
    ///
    /// - Returns: those that now drain and did not before, which may be none.
    @discardableResult
    public func drain(
        from label: String, where isMeant: (RegisteredSocket) -> Bool
    ) throws(SocketLookupError) -> [RegisteredSocket] {
        try change(label, { $0.condition == .active && isMeant($0) }) { sharing, slot in sharing.drain(slot) }
    }

    private func change(
        _ label: String, _ isMeant: (RegisteredSocket) -> Bool, _ change: (inout Sharing, Int) -> Void
    ) throws(SocketLookupError) -> [RegisteredSocket] {
        guard let number = try names.all().first(where: { $0.value == label })?.key else { return [] }
        let meant = try sockets(number, label).filter { isMeant($0.socket) }
        guard !meant.isEmpty else { return [] }
        var (sharings, _) = try cleaned(number)
        for (socket, slot) in meant { change(&sharings[socket.kind], slot) }
        try share(number, sharings)
        return meant.map(\.socket)
    }

    private func sockets(
        _ number: UInt32, _ label: String
    ) throws(SocketLookupError) -> [(socket: RegisteredSocket, slot: Int)] {
        let sharings = try maps.sharings(of: number)
        var sockets: [(socket: RegisteredSocket, slot: Int)] = []
        for `protocol` in TransportProtocol.allCases {
            for family in AddressFamily.allCases {
                let kind = DispatchLayout.kind(`protocol`, family)
                let sharing = sharings[kind]
                for slot in sharing.slots + sharing.draining.sorted() {
                    let cookie = try maps.cookie(number, kind, slot)
                    if cookie == nil, sharing.draining.contains(slot) { continue }
                    let condition: RegisteredSocket.Condition =
                        cookie == nil ? .closed : sharing.slots.contains(slot) ? .active : .draining
                    let socket = RegisteredSocket(
                        label: label, protocol: `protocol`, family: family, cookie: cookie, condition: condition,
                        shares: sharing.count(of: slot))
                    sockets.append((socket, slot))
                }
            }
        }
        return sockets
    }

    /// A label's sharings without sockets that were closed, and the cookies of the others by slot; sockets in slots
    /// that an interrupted change has left are taken out.
    private func cleaned(_ number: UInt32) throws(SocketLookupError) -> ([Sharing], [[Int: UInt64]]) {
        var sharings = try maps.sharings(of: number)
        var cookies = [[Int: UInt64]](repeating: [:], count: sharings.count)
        for kind in sharings.indices {
            for slot in 0..<Sharing.slotCount {
                let cookie = try maps.cookie(number, kind, slot)
                if !sharings[kind].slots.contains(slot), !sharings[kind].draining.contains(slot) {
                    if cookie != nil { try maps.clear(DispatchLayout.slot(number, kind, slot), of: .sockets) }
                } else if let cookie {
                    cookies[kind][slot] = cookie
                } else {
                    sharings[kind].remove(slot)
                }
            }
        }
        return (sharings, cookies)
    }

    /// Has a label's flows shared anew, and empties the slots that no lookup can come upon any more.
    private func share(_ number: UInt32, _ sharings: [Sharing]) throws(SocketLookupError) {
        try maps.setSharings(of: number, sharings)
        ControlStep.registerSharedFlows.done()
        var unused: [UInt32] = []
        for kind in sharings.indices {
            for slot in 0..<Sharing.slotCount
            where !sharings[kind].slots.contains(slot) && !sharings[kind].draining.contains(slot) {
                if try maps.cookie(number, kind, slot) != nil {
                    unused.append(DispatchLayout.slot(number, kind, slot))
                }
            }
        }
        guard !unused.isEmpty else { return }
        try maps.waitForLookups()
        for slot in unused { try maps.clear(slot, of: .sockets) }
        ControlStep.registerRemovedSockets.done()
    }

    private func putReady(
        _ socket: FileDescriptor, _ number: UInt32, _ kind: Int, _ slot: Int, _ label: String
    ) throws(SocketLookupError) {
        do throws(SocketLookupError) {
            try maps.put(socket, number, kind, slot, name: label)
        } catch {
            guard case .call(_, let number, _, _) = error, number == EOPNOTSUPP || number == EINVAL else { throw error }
            throw .unsuitableSocket(descriptor: socket.rawValue, because: .refused(errno: number))
        }
    }

    /// Gives labels without a number one that nobody uses, and returns the numbers of all that have one.
    ///
    /// - Parameter keeping: Labels that are bound.
    func nameLabels(
        _ labels: [String], keeping bound: Set<String>, known: inout [UInt32: String]
    ) throws(SocketLookupError) -> [String: UInt32] {
        var numbers = Dictionary(known.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
        let wanted = Set(labels)
        var next: UInt32 = 0
        for label in labels where numbers[label] == nil {
            while let name = known[next] {
                // A name that is left over: neither bound, nor with sockets.
                if !bound.contains(name), !wanted.contains(name), try sockets(next, name).isEmpty {
                    numbers[name] = nil
                    break
                }
                next += 1
            }
            guard next < DispatchLayout.labelLimit else {
                throw .tooManyLabels(label, limit: DispatchLayout.labelLimit)
            }
            try maps.setSharings(
                of: next, [Sharing](repeating: Sharing(), count: DispatchLayout.kindCount))
            try names.set(next, to: label)
            known[next] = label
            numbers[label] = next
        }
        return numbers
    }
}
