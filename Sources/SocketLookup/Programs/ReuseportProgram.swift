import Addressing
import CLinux
import Glibc
import SystemPackage

/// The control of `bpf/probes/reuseport.h`: a reuseport group's program that does what it is told to whenever the
/// group asks for a member, and keeps what came of it.
package final class ReuseportProgram {
    package enum Operation: Hashable, Sendable {
        /// Ends the script.
        case pass, drop
        /// `bpf_sk_select_reuseport` with the socket in a slot.
        case select(slot: UInt32, flags: UInt64)
    }

    /// What the program saw and did when it ran last.
    package struct Record: Hashable, Sendable {
        /// How often it ran for a new flow since the record was last taken.
        package var runs: Int
        /// How often it ran for a connection whose listener stopped.
        package var migrations: Int
        /// IPPROTO_ and ETH_P_ constants.
        package var transport, ethernet: UInt32
        /// Whether the group is bound to a wildcard address.
        package var isWildcard: Bool
        /// Of the flow: it picks the member if the program does not.
        package var hash: UInt32
        /// Of the packet, from the transport header on.
        package var length: Int
        package var sourcePort, destinationPort: UInt16
        /// What bpf_sk_select_reuseport returned, each time: 0, or a negative errno.
        package var results: [Int32]
    }

    private let program: Program
    private let operations: Int32
    private let records: Int32
    private let sockets: Int32

    /// - Throws: ``SocketLookupError/notADispatcher(program:because:)`` for another program.
    package init(_ program: Program) throws(SocketLookupError) {
        guard let operations = program.map("operations"), let records = program.map("records"),
            let sockets = program.map("sockets")
        else { throw .notADispatcher(program: program.name, because: "it has no script") }
        for (map, size) in [(operations, Layout.operationsSize), (records, Layout.recordSize)] {
            var shape = clinux_map_shape()
            try checked("bpf(BPF_OBJ_GET_INFO_BY_FD)", "examining a map of '\(program.name)'") {
                clinux_bpf_map_shape(map, &shape)
            }
            guard Int(shape.value_size) == size else {
                throw .notADispatcher(program: program.name, because: "its script is none of a reuseport group's")
            }
        }
        self.program = program
        self.operations = operations
        self.records = records
        self.sockets = sockets
    }

    /// How many operations a script can have.
    package static let operationLimit = Layout.operationLimit
    /// How many sockets there is room for.
    package static let slotLimit = 16

    /// Replaces the script. A run meanwhile may do some of the old and some of the new one.
    package func perform(_ script: [Operation]) throws(SocketLookupError) {
        precondition(script.count <= Layout.operationLimit, "a script of \(script.count) operations")
        var bytes = script.flatMap(Layout.bytes)
        bytes += [UInt8](repeating: 0, count: Layout.operationsSize - bytes.count)
        var key: UInt32 = 0
        try checked("bpf(BPF_MAP_UPDATE_ELEM)", "writing the script of '\(program.name)'") {
            bpf_map_update_elem(operations, &key, bytes, UInt64(BPF_ANY))
        }
    }

    /// Puts a socket into a slot.
    ///
    /// - Parameter flags: BPF_NOEXIST refuses a full slot (EEXIST), BPF_EXIST an empty one (ENOENT).
    package func put(_ socket: FileDescriptor, in slot: UInt32, flags: UInt64 = 0) throws(SocketLookupError) {
        var slot = slot
        var value = UInt64(socket.rawValue)
        try checked("bpf(BPF_MAP_UPDATE_ELEM)", "putting the socket \(socket.rawValue) into slot \(slot)") {
            bpf_map_update_elem(sockets, &slot, &value, flags)
        }
    }

    /// Empties a slot.
    package func empty(_ slot: UInt32) throws(SocketLookupError) {
        var slot = slot
        try checked("bpf(BPF_MAP_DELETE_ELEM)", "emptying slot \(slot)") { bpf_map_delete_elem(sockets, &slot) }
    }

    /// The cookie of the socket in a slot; nil for none.
    package func cookie(in slot: UInt32) throws(SocketLookupError) -> UInt64? {
        var slot = slot
        var cookie: UInt64 = 0
        let result = bpf_map_lookup_elem(sockets, &slot, &cookie)
        if result == -ENOENT { return nil }
        try checked("bpf(BPF_MAP_LOOKUP_ELEM)", "reading slot \(slot)") { result }
        return cookie
    }

    /// Reads the record, and begins to count anew.
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

extension Program {
    /// What setsockopt(SO_ATTACH_REUSEPORT_EBPF) takes.
    package var rawDescriptor: Int32 { descriptor }
}

/// The maps' bytes, as `bpf/probes/reuseport.h` declares them.
private enum Layout {
    static let operationLimit = 4
    static let operationsSize = operationLimit * 16
    static let recordSize = 64

    static func bytes(_ operation: ReuseportProgram.Operation) -> [UInt8] {
        let (kind, argument, flags): (UInt32, UInt32, UInt64) =
            switch operation {
            case .pass: (0, 0, 0)
            case .drop: (1, 0, 0)
            case .select(let slot, let flags): (2, slot, flags)
            }
        return native(kind) + native(argument) + native(flags)
    }

    static func record(_ bytes: [UInt8]) -> ReuseportProgram.Record {
        let words = bytes.withUnsafeBytes { raw in
            (0..<recordSize / 4).map { raw.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self) }
        }
        return ReuseportProgram.Record(
            runs: Int(words[0]), migrations: Int(words[2]), transport: words[4], ethernet: words[5],
            isWildcard: words[6] != 0, hash: words[7], length: Int(words[8]),
            sourcePort: UInt16(truncatingIfNeeded: words[9]), destinationPort: UInt16(truncatingIfNeeded: words[10]),
            results: words[12...].prefix(Int(min(words[11], UInt32(operationLimit)))).map { Int32(bitPattern: $0) })
    }

    private static func native(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
}
