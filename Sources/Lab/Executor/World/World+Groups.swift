import Addressing
import CLinux
import Glibc
import SocketLookup

/// A loaded program for reuseport groups, and the slots of its labels.
struct LoadedGroupProgram {
    let program: ReuseportProgram
    private(set) var slots: [String: UInt32] = [:]

    init(_ program: ReuseportProgram) { self.program = program }

    /// The label of a slot that the map does not have.
    static let pastTheEnd = "past-the-end"

    /// The slot of a label, which is given one when it is first named.
    mutating func slot(of label: String) throws(ExecutorError) -> UInt32 {
        if label == LoadedGroupProgram.pastTheEnd { return UInt32(ReuseportProgram.slotLimit) }
        if let slot = slots[label] { return slot }
        let slot = UInt32(slots.count)
        guard slot < ReuseportProgram.slotLimit else {
            throw .unsuitable("a reuseport program has \(ReuseportProgram.slotLimit) labels")
        }
        slots[label] = slot
        return slot
    }

    mutating func perform(_ operations: [ScriptOperation]) throws {
        guard operations.count <= ReuseportProgram.operationLimit else {
            throw ExecutorError.unsuitable(
                "a reuseport program's script has at most \(ReuseportProgram.operationLimit) operations")
        }
        var script: [ReuseportProgram.Operation] = []
        for operation in operations {
            switch operation {
            case .select(let label?, let flags) where !flags.contains { $0 != .undefined }:
                script.append(.select(slot: try slot(of: label), flags: flags.isEmpty ? 0 : 1))
            case .verdict(.pass): script.append(.pass)
            case .verdict(.drop): script.append(.drop)
            default: throw ExecutorError.unsuitable("a reuseport program cannot do this: \(operation)")
            }
        }
        try program.perform(script)
    }
}

extension World {
    func prepareGroupProgram(_ load: ProgramLoad, _ program: Program) throws {
        let control = try ReuseportProgram(program)
        var loaded = LoadedGroupProgram(control)
        try loaded.perform(load.script ?? [])
        groupPrograms[load.name] = loaded
    }

    /// Whether a reuseport group's program of that name took the script.
    func changeGroupProgram(_ change: ScriptChange) throws -> Bool {
        guard groupPrograms[change.program] != nil else { return false }
        try groupPrograms[change.program]?.perform(change.operations)
        return true
    }

    /// Whether one took the registration.
    func registerWithGroupProgram(_ registration: Registration) throws -> Bool {
        guard let slot = try groupPrograms[registration.dispatcher]?.slot(of: registration.label) else { return false }
        let flags: UInt64 =
            switch registration.only {
            case nil: 0
            case .empty: 1
            case .full: 2
            }
        let socket = try server(registration.socket).descriptor.file
        try groupPrograms[registration.dispatcher]?.program.put(socket, in: slot, flags: flags)
        return true
    }

    func unregisterFromGroupProgram(_ registration: Registration) throws -> Bool {
        guard let slot = try groupPrograms[registration.dispatcher]?.slot(of: registration.label) else { return false }
        try groupPrograms[registration.dispatcher]?.program.empty(slot)
        return true
    }

    /// What a reuseport group's program saw and did when it ran last, how often it ran since this was last asked, and
    /// what is in its slots; nil if none has that name.
    func recordedByGroupProgram(_ name: String) throws -> [String: String]? {
        guard let loaded = groupPrograms[name] else { return nil }
        let record = try loaded.program.takeRecord()
        var facts = ["runs": "\(record.runs)", "migrations": "\(record.migrations)"]
        if record.runs + record.migrations > 0 {
            facts["protocol"] = World.transports[record.transport] ?? "\(record.transport)"
            facts["ethernet"] = World.ethernet[record.ethernet] ?? "\(record.ethernet)"
            facts["wildcard"] = record.isWildcard ? "yes" : "no"
            facts["length"] = "\(record.length)"
            facts["source port"] = "\(record.sourcePort)"
            facts["destination port"] = "\(record.destinationPort)"
        }
        for (index, result) in record.results.enumerated() {
            facts["\(index + 1) result"] = result == 0 ? "0" : ErrorNumber(returned: result).name
        }
        for (label, slot) in loaded.slots { facts["slot \(label)"] = try occupant(loaded.program.cookie(in: slot)) }
        return facts
    }

    private func occupant(_ cookie: UInt64?) throws -> String {
        guard let cookie else { return "empty" }
        let found = try servers.filter { try $0.value.descriptor.cookie() == cookie }
        return found.keys.first ?? "a socket unknown to the fixture"
    }

    private static let transports: [UInt32: String] = [6: "tcp", 17: "udp"]
    private static let ethernet: [UInt32: String] = [0x0800: "ipv4", 0x86DD: "ipv6"]

    // Not in every libc's headers; the numbers are the kernel's ABI.
    private static let attachProgram: Int32 = 52
    private static let detachProgram: Int32 = 68

    func attach(_ attachment: GroupProgram) throws {
        let descriptor = try server(attachment.socket).descriptor
        let program = try program(attachment.program)
        try descriptor.set(SOL_SOCKET, World.attachProgram, to: program.rawDescriptor)
    }

    func attach(_ attachment: GroupFilter) throws {
        try KernelRefusal.check(
            "setsockopt", clinux_attach_reuseport_filter(server(attachment.socket).descriptor.raw, attachment.member))
    }

    func detachGroupProgram(_ socket: String) throws {
        try server(socket).descriptor.set(SOL_SOCKET, World.detachProgram, to: 0)
    }

    func change(_ change: OptionChange) throws {
        let descriptor = try server(change.socket).descriptor
        let family: AddressFamily = try descriptor.identity().domain == UInt32(AF_INET6) ? .ipv6 : .ipv4
        try descriptor.set(change.option, family)
    }

    /// How many connections wait at a listener that accepts none for now, and whether it was woken for them.
    func backlog(of name: String) throws -> [String: String] {
        let server = try server(name)
        guard let alarm = server.alarm, server.paused else {
            throw ExecutorError.unsuitable("\(name) accepts everything at once: pause it first")
        }
        let queued = try KernelRefusal.check("getsockopt", clinux_accept_queue(server.descriptor.raw))
        return ["queued": "\(queued)", "woken": try alarm.happened() ? "yes" : "no"]
    }

    /// Begins flows from one port after another until each of the sockets has had one; then begins them all again.
    func spread(_ spread: Spread) throws -> [String: String] {
        var first: [String] = []
        while first.count < spread.atMost,
            first.count < spread.atLeast || !Set(spread.among).subtracting(first).isEmpty
        {
            try Task.checkCancellation()
            let answer = try who(gets: flow(first.count, of: spread))
            // One that deviates from any expectation; to wait for more would say no more.
            guard let name = answer.name else { return ["answered by": answer.text] }
            first.append(name)
        }
        var moved = 0
        for (number, name) in first.enumerated() {
            let answer = try who(gets: flow(number, of: spread))
            if answer.text != name { moved += 1 }
            if answer.name == nil { break }
        }
        var facts = ["answered by": Set(first).sorted().joined(separator: ", "), "moved": "\(moved)"]
        if let before = spreads[spread.to] {
            facts["moved since before"] = "\(zip(before, first).count { $0 != $1 })"
        }
        spreads[spread.to] = first
        return facts
    }

    private func flow(_ number: Int, of spread: Spread) -> Probe {
        let source = Endpoint(.wildcard(spread.to.address.family), UInt16(20000 + number))
        return Probe(from: spread.from, spread.protocol, to: spread.to, source: source)
    }

    /// The socket that alone got a probe and answered it; nil, and what happened instead.
    private func who(gets probe: Probe) throws -> (name: String?, text: String) {
        let event = try ask(probe)
        guard case .answered(let name, let source, let received) = event, received == [name],
            source.address == probe.to.address
        else { return (nil, event.description) }
        return (name, name)
    }
}
