import Addressing
import CLinux
import Glibc
import SystemPackage

/// The control of `bpf/probes/script.bpf.c`: a program that does for each lookup what it is told to, and keeps what
/// came of it.
package final class ScriptedProgram {
    /// What the program does in one step.
    package enum Operation: Hashable, Sendable {
        /// Ends the script: 1 passes, 0 drops.
        case pass, drop
        /// `bpf_sk_assign` with the socket in a slot.
        case select(slot: UInt32, flags: UInt64)
        /// `bpf_sk_assign` without a socket.
        case clear(flags: UInt64)
        /// The script is about packets that have this; others pass, and are not recorded.
        case onlyFamily(AddressFamily)
        case onlyProtocol(TransportProtocol)
        case onlyLocalPort(UInt16)
        case onlyRemotePort(UInt16)
    }

    /// What the program saw and did when it ran last.
    package struct Record: Hashable, Sendable {
        /// How often it ran since the record was last taken.
        package var runs: Int
        /// When it ran last, in nanoseconds of the kernel's monotonic clock; tells the order of several programs.
        package var time: UInt64
        /// The last packet; nil if the program has not run, or saw a family or protocol that no packet can have.
        package var packet: LookupContext?
        /// One for each operation that was performed.
        package var outcomes: [OperationOutcome]
    }

    package struct OperationOutcome: Hashable, Sendable {
        package enum Result: Hashable, Sendable {
            /// What the helper returned: 0, or a negative errno; 0 for operations that cannot fail.
            case returned(Int32)
            case emptySlot
        }

        package var result: Result
        /// The socket that the context showed afterwards; nil for none.
        package var selected: SelectedSocket?
    }

    /// A socket as a program sees it.
    package struct SelectedSocket: Hashable, Sendable {
        /// Numbers of AF_, SOCK_, IPPROTO_ and BPF_TCP_ constants.
        package var family, type, `protocol`, state: UInt32
        /// The port that it is bound to.
        package var port: UInt16
    }

    private let program: Program
    private let operations: Int32
    private let records: Int32
    private let sockets: Int32

    /// - Throws: ``SocketLookupError/notScripted(program:)`` for another program.
    package init(_ program: Program) throws(SocketLookupError) {
        guard let operations = program.map("operations"), let records = program.map("records"),
            let sockets = program.map("sockets")
        else { throw .notScripted(program: program.name) }
        for (map, size) in [(operations, Layout.operationsSize), (records, Layout.recordSize)] {
            var shape = clinux_map_shape()
            try checked("bpf(BPF_OBJ_GET_INFO_BY_FD)", "examining a map of '\(program.name)'") {
                clinux_bpf_map_shape(map, &shape)
            }
            guard Int(shape.value_size) == size else { throw .notScripted(program: program.name) }
        }
        self.program = program
        self.operations = operations
        self.records = records
        self.sockets = sockets
    }

    /// How many operations a script can have.
    package static var operationLimit: Int { Layout.operationLimit }

    /// Replaces the script. A lookup that runs meanwhile may do some of the old and some of the new one.
    package func perform(_ script: [Operation]) throws(SocketLookupError) {
        guard script.count <= Layout.operationLimit else {
            throw .scriptTooLong(count: script.count, limit: Layout.operationLimit)
        }
        var bytes = script.flatMap(Layout.bytes)
        bytes += [UInt8](repeating: 0, count: Layout.operationsSize - bytes.count)
        var key: UInt32 = 0
        try checked("bpf(BPF_MAP_UPDATE_ELEM)", "writing the script of '\(program.name)'") {
            bpf_map_update_elem(operations, &key, bytes, UInt64(BPF_ANY))
        }
    }

    /// Puts a socket into a slot, in place of what was there.
    package func put(_ socket: FileDescriptor, in slot: UInt32) throws(SocketLookupError) {
        var slot = slot
        var value = UInt64(socket.rawValue)
        try checked("bpf(BPF_MAP_UPDATE_ELEM)", "putting the socket \(socket.rawValue) into slot \(slot)") {
            bpf_map_update_elem(sockets, &slot, &value, UInt64(BPF_ANY))
        }
    }

    /// Empties a slot.
    package func empty(_ slot: UInt32) throws(SocketLookupError) {
        var slot = slot
        try checked("bpf(BPF_MAP_DELETE_ELEM)", "emptying slot \(slot)") { bpf_map_delete_elem(sockets, &slot) }
    }

    /// Reads the record, and begins to count runs anew.
    package func takeRecord() throws(SocketLookupError) -> Record {
        var key: UInt32 = 0
        var bytes = [UInt8](repeating: 0, count: Layout.recordSize)
        try checked("bpf(BPF_MAP_LOOKUP_ELEM)", "reading the record of '\(program.name)'") {
            bpf_map_lookup_elem(records, &key, &bytes)
        }
        let empty = [UInt8](repeating: 0, count: Layout.recordSize)
        try checked("bpf(BPF_MAP_UPDATE_ELEM)", "clearing the record of '\(program.name)'") {
            bpf_map_update_elem(records, &key, empty, UInt64(BPF_ANY))
        }
        return Layout.record(bytes)
    }
}

/// The maps' bytes, as `bpf/probes/script.bpf.c` declares them.
private enum Layout {
    static let operationLimit = 8
    static let operationsSize = operationLimit * 16
    static let outcomeSize = 32
    static let headSize = 64
    static let recordSize = headSize + operationLimit * outcomeSize
    static let emptySlot: Int32 = -10000

    static func bytes(_ operation: ScriptedProgram.Operation) -> [UInt8] {
        let (kind, argument, flags): (UInt32, UInt32, UInt64) =
            switch operation {
            case .pass: (0, 0, 0)
            case .drop: (1, 0, 0)
            case .select(let slot, let flags): (2, slot, flags)
            case .clear(let flags): (3, 0, flags)
            case .onlyFamily(let family): (4, UInt32(family.domain), 0)
            case .onlyProtocol(let transport): (5, UInt32(transport.number), 0)
            case .onlyLocalPort(let port): (6, UInt32(port), 0)
            case .onlyRemotePort(let port): (7, UInt32(port), 0)
            }
        return native(kind) + native(argument) + native(flags)
    }

    static func record(_ bytes: [UInt8]) -> ScriptedProgram.Record {
        let words = (0..<bytes.count / 4).map { word(bytes, at: $0 * 4) }
        let runs = UInt64(words[0]) | UInt64(words[1]) << 32
        let time = UInt64(words[2]) | UInt64(words[3]) << 32
        func address(at start: Int, _ family: AddressFamily) -> IPAddress {
            let count = family == .ipv4 ? 4 : 16
            let bits = bytes[start..<start + count].reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
            return IPAddress(family: family, bits: bits)
        }
        var packet: LookupContext?
        if let family = AddressFamily.allCases.first(where: { UInt32($0.domain) == words[4] }),
            let transport = TransportProtocol.allCases.first(where: { UInt32($0.number) == words[5] })
        {
            packet = LookupContext(
                transport, remote: Endpoint(address(at: 32, family), UInt16(truncatingIfNeeded: words[6])),
                local: Endpoint(address(at: 48, family), UInt16(truncatingIfNeeded: words[7])))
        }
        var outcomes: [ScriptedProgram.OperationOutcome] = []
        for index in 0..<operationLimit {
            let outcome = Array(words[((headSize + index * outcomeSize) / 4)...].prefix(outcomeSize / 4))
            guard outcome[0] != 0 else { break }
            let result = Int32(bitPattern: outcome[1])
            outcomes.append(
                ScriptedProgram.OperationOutcome(
                    result: result == emptySlot ? .emptySlot : .returned(result),
                    selected: outcome[2] == 0
                        ? nil
                        : ScriptedProgram.SelectedSocket(
                            family: outcome[3], type: outcome[4], protocol: outcome[5], state: outcome[6],
                            port: UInt16(truncatingIfNeeded: outcome[7]))))
        }
        return ScriptedProgram.Record(runs: Int(runs), time: time, packet: packet, outcomes: outcomes)
    }

    private static func word(_ bytes: [UInt8], at start: Int) -> UInt32 {
        bytes[start..<start + 4].withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
    }

    private static func native(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
}
