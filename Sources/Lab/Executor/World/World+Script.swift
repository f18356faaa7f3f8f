import Addressing
import Glibc
import SocketLookup

/// A loaded script, and the slots of its labels.
struct LoadedScript {
    let program: ScriptedProgram
    private var slots: [String: UInt32] = [:]

    init(_ program: ScriptedProgram) { self.program = program }

    /// The slot of a label, which is given one when it is first named.
    mutating func slot(of label: String) -> UInt32 {
        if let slot = slots[label] { return slot }
        let slot = UInt32(slots.count)
        slots[label] = slot
        return slot
    }

    mutating func perform(_ operations: [ScriptOperation]) throws {
        try program.perform(
            operations.map { operation in
                switch operation {
                case .select(let label, let flags):
                    let bits = flags.reduce(0) { $0 | $1.rawFlags }
                    return label.map { .select(slot: slot(of: $0), flags: bits) } ?? .clear(flags: bits)
                case .verdict(.pass): return .pass
                case .verdict(.drop): return .drop
                case .onlyProtocol(let transport): return .onlyProtocol(transport)
                case .onlyFamily(let family): return .onlyFamily(family)
                case .onlyLocalPort(let port): return .onlyLocalPort(port)
                case .onlyRemotePort(let port): return .onlyRemotePort(port)
                }
            })
    }
}

extension World {
    func change(_ change: ScriptChange) throws {
        guard scripts[change.program] != nil else {
            throw ExecutorError.unknown(kind: "scripted program", name: change.program)
        }
        try scripts[change.program]?.perform(change.operations)
    }

    /// Whether a scripted program of that name took the registration.
    func registerWithScript(_ registration: Registration) throws -> Bool {
        guard let slot = scripts[registration.dispatcher]?.slot(of: registration.label) else { return false }
        // A connection's socket is the client's end of it.
        let socket =
            try connections[registration.socket]?.descriptor.file ?? server(registration.socket).descriptor.file
        try scripts[registration.dispatcher]?.program.put(socket, in: slot)
        return true
    }

    func unregisterFromScript(_ registration: Registration) throws -> Bool {
        guard let slot = scripts[registration.dispatcher]?.slot(of: registration.label) else { return false }
        try scripts[registration.dispatcher]?.program.empty(slot)
        return true
    }

    /// What a program saw and did when it ran last, and how often it ran since this was last asked.
    func recorded(_ program: String) throws -> [String: String] {
        guard let script = scripts[program] else {
            throw ExecutorError.unknown(kind: "scripted program", name: program)
        }
        let record = try script.program.takeRecord()
        var facts = ["runs": "\(record.runs)"]
        if let packet = record.packet {
            facts["protocol"] = packet.protocol.rawValue
            facts["remote"] = packet.remote.description
            facts["local"] = packet.local.description
        }
        for (index, outcome) in record.outcomes.enumerated() {
            let number = index + 1
            facts["\(number) result"] =
                switch outcome.result {
                case .emptySlot: "empty slot"
                case .returned(0): "0"
                case .returned(let value): ErrorNumber(returned: value).name
                }
            facts["\(number) selected"] = try outcome.selected.map { try name(of: $0) } ?? "none"
            facts["\(number) state"] = outcome.selected.map { World.stateNames[$0.state] ?? "\($0.state)" }
        }
        return facts
    }

    /// How often each program ran since this was last asked, and in which order those that ran did.
    func ran(_ names: [String]) throws -> [String: String] {
        var facts: [String: String] = [:]
        var times: [(name: String, time: UInt64)] = []
        for name in names {
            guard let script = scripts[name] else { throw ExecutorError.unknown(kind: "scripted program", name: name) }
            let record = try script.program.takeRecord()
            facts[name] = "\(record.runs)"
            if record.runs > 0 { times.append((name, record.time)) }
        }
        facts["order"] = times.sorted { $0.time < $1.time }.map(\.name).joined(separator: ", ")
        return facts
    }

    /// The fixture's socket that has the family, type, protocol and port that a program saw.
    private func name(of seen: ScriptedProgram.SelectedSocket) throws -> String {
        let candidates = try servers.filter { _, server in
            let facts = try server.descriptor.identity()
            return facts.domain == seen.family && facts.type == seen.type && facts.protocol == seen.protocol
                && server.descriptor.localPort == seen.port
        }
        if candidates.count == 1, let name = candidates.keys.first { return name }
        return "\(candidates.count) sockets of family \(seen.family), type \(seen.type), protocol \(seen.protocol), "
            + "port \(seen.port)"
    }

    /// BPF_TCP_ states that a selected socket may be in.
    private static let stateNames: [UInt32: String] = [1: "established", 7: "close", 10: "listen"]
}
