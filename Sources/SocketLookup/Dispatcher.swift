import Addressing
import CLinux
import Glibc
import SystemPackage

/// Leads packets to sockets by bindings: (protocol, prefix, port range) → label → socket.
///
/// The control plane of `bpf/dispatch.bpf.c`, for one loaded program; attach that to make it effective.
/// The most specific prefix with a matching range wins, then the narrowest range. Bindings and sockets
/// may change while packets flow: connected flows stay where they are.
///
/// A change that reaches several nodes of the kernel's trie is not yet atomic as a whole, but each
/// address goes from what it had to what it gets in one step, and is never without.
public final class Dispatcher {
    private let program: Program
    private let trie: Int32
    private let sockets: Int32
    private let valueSize: Int
    private let labelLimit: Int
    private var table: BindingTable
    // Never given back: a number that returned under another label could lead a packet astray that is
    // between the two maps.
    private var labels: [String: UInt32] = [:]

    /// - Throws: ``SocketLookupError/notADispatcher(program:because:)`` if its maps are missing or of another shape.
    public init(_ program: Program) throws(SocketLookupError) {
        self.program = program
        let bindings = try Dispatcher.map("bindings", of: program)
        let sockets = try Dispatcher.map("sockets", of: program)
        trie = bindings.descriptor
        self.sockets = sockets.descriptor
        guard bindings.shape.type == BPF_MAP_TYPE_LPM_TRIE.rawValue, bindings.shape.key_size == Layout.keySize,
            (Int(bindings.shape.value_size) - Layout.headerSize) % Layout.intervalSize == 0,
            sockets.shape.type == BPF_MAP_TYPE_SOCKMAP.rawValue, sockets.shape.value_size == Layout.socketSize
        else {
            throw .notADispatcher(program: program.name, because: "its maps are not laid out as this version's are")
        }
        valueSize = Int(bindings.shape.value_size)
        table = BindingTable(limit: (valueSize - Layout.headerSize) / Layout.intervalSize)
        labelLimit = Int(sockets.shape.max_entries) / Layout.slotsPerLabel
    }

    /// Binds a prefix and port range to a label, or moves them to it in one step if they had another.
    ///
    /// - Throws: ``SocketLookupError/tie(_:with:label:)`` if a range of the same prefix overlaps and is as wide.
    public func bind(
        _ protocol: TransportProtocol, _ prefix: Prefix, _ ports: PortRange, to label: String,
        otherwise: Fallback = .drop
    ) throws(SocketLookupError) {
        let target = Target(label: label, otherwise: otherwise)
        let changes = try table.changes(binding: Match(`protocol`, prefix, ports), to: target)
        _ = try number(of: label)
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
        for family in facts.families {
            var slot = Layout.slot(number, facts.protocol, family)
            var value = UInt64(socket.rawValue)
            try checked(
                "bpf(BPF_MAP_UPDATE_ELEM)", "registering the socket \(socket.rawValue) under '\(label)'"
            ) { bpf_map_update_elem(sockets, &slot, &value, UInt64(BPF_ANY)) }
        }
    }

    /// Takes a socket from under a label, wherever it still is.
    ///
    /// - Throws: ``SocketLookupError/notRegistered(descriptor:label:)`` if it is nowhere under it, which is so
    ///   after another took its place.
    public func unregister(_ socket: FileDescriptor, from label: String) throws(SocketLookupError) {
        let facts = try SocketFacts(of: socket)
        var removed = false
        if let number = labels[label] {
            for family in facts.families {
                var slot = Layout.slot(number, facts.protocol, family)
                var cookie: UInt64 = 0
                guard bpf_map_lookup_elem(sockets, &slot, &cookie) == 0, cookie == facts.cookie else { continue }
                try checked(
                    "bpf(BPF_MAP_DELETE_ELEM)", "unregistering the socket \(socket.rawValue) from '\(label)'"
                ) { bpf_map_delete_elem(sockets, &slot) }
                removed = true
            }
        }
        guard removed else { throw .notRegistered(descriptor: socket.rawValue, label: label) }
    }

    private func number(of label: String) throws(SocketLookupError) -> UInt32 {
        if let number = labels[label] { return number }
        guard labels.count < labelLimit else { throw .tooManyLabels(label, limit: labelLimit) }
        let number = UInt32(labels.count)
        labels[label] = number
        return number
    }

    /// Makes the changes in the kernel, then here. If the kernel refuses one, those before it are taken back.
    private func apply(_ changes: [BindingTable.Change]) throws(SocketLookupError) {
        for (index, change) in changes.enumerated() {
            do throws(SocketLookupError) {
                try write(change.key, old: change.old, new: change.new)
            } catch {
                // If even that fails, the error to report is still the first.
                for done in changes[..<index].reversed() { try? write(done.key, old: done.new, new: done.old) }
                throw error
            }
        }
        table.commit(changes)
    }

    private func write(
        _ key: BindingTable.Key, old: BindingTable.Node?, new: BindingTable.Node?
    ) throws(SocketLookupError) {
        guard old?.table != new?.table else { return }
        let name = "\(key.protocol.rawValue) \(key.prefix)"
        let element = Layout.key(key)
        if let new {
            let value = Layout.value(new.table, size: valueSize) { labels[$0] ?? .max }
            try checked("bpf(BPF_MAP_UPDATE_ELEM)", "binding ports of \(name)") {
                bpf_map_update_elem(trie, element, value, UInt64(BPF_ANY))
            }
        } else {
            try checked("bpf(BPF_MAP_DELETE_ELEM)", "unbinding the last ports of \(name)") {
                bpf_map_delete_elem(trie, element)
            }
        }
    }

    private static func map(
        _ name: String, of program: Program
    ) throws(SocketLookupError) -> (descriptor: Int32, shape: clinux_map_shape) {
        guard let descriptor = program.map(name) else {
            throw .notADispatcher(program: program.name, because: "it has no map '\(name)'")
        }
        var shape = clinux_map_shape()
        try checked("bpf(BPF_OBJ_GET_INFO_BY_FD)", "examining the map '\(name)'") {
            clinux_bpf_map_shape(descriptor, &shape)
        }
        return (descriptor, shape)
    }
}

/// The maps' bytes, as `bpf/dispatch.bpf.c` declares them. The limits come from the maps themselves.
private enum Layout {
    static let keySize: UInt32 = 22
    static let headerSize = 4
    static let intervalSize = 12
    static let socketSize: UInt32 = 8
    static let slotsPerLabel = 4
    static let passFlag: UInt32 = 1

    /// Struct prefix.
    static func key(_ key: BindingTable.Key) -> [UInt8] {
        // The length counts the bytes of protocol and family too.
        var bytes = native(UInt32(16 + key.prefix.length))
        bytes.append(UInt8(key.protocol.number))
        bytes.append(UInt8(key.prefix.family.domain))
        bytes += key.prefix.address.networkBytes
        return bytes + [UInt8](repeating: 0, count: Int(keySize) - bytes.count)
    }

    /// Struct intervals.
    static func value(_ table: PortTable, size: Int, _ number: (String) -> UInt32) -> [UInt8] {
        var bytes = native(UInt32(table.intervals.count))
        bytes.reserveCapacity(size)
        for interval in table.intervals {
            bytes += native(interval.first)
            bytes += native(interval.last)
            bytes += native(number(interval.target.label))
            bytes += native(interval.target.otherwise == .pass ? passFlag : 0)
        }
        return bytes + [UInt8](repeating: 0, count: size - bytes.count)
    }

    static func slot(_ label: UInt32, _ protocol: TransportProtocol, _ family: AddressFamily) -> UInt32 {
        label * UInt32(slotsPerLabel) + (`protocol` == .udp ? 2 : 0) + (family == .ipv6 ? 1 : 0)
    }

    private static func native(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
}
