import Addressing
import CLinux
import Glibc
import SystemPackage

/// The maps of a dispatcher, whether of a program loaded here or pinned by another process.
final class DispatchMaps {
    enum Name: String, CaseIterable {
        case tables, plans, ranges, counters, totals, control, labels, sockets
        case firstCounters = "first_counters"
    }

    private let descriptors: [Name: Int32]
    /// Whose they are; nil if they are this object's, to close.
    private let program: Program?

    /// Of a loaded program, which is kept.
    ///
    /// - Throws: ``SocketLookupError/notADispatcher(program:because:)`` if maps are missing or of another shape.
    init(_ program: Program) throws(SocketLookupError) {
        var descriptors: [Name: Int32] = [:]
        for name in Name.allCases {
            guard let descriptor = program.map(name.rawValue) else {
                throw .notADispatcher(program: program.name, because: "it has no map '\(name.rawValue)'")
            }
            guard try DispatchMaps.hasShape(descriptor, name) else {
                throw .notADispatcher(
                    program: program.name, because: "its map '\(name.rawValue)' is not laid out as this version's is")
            }
            descriptors[name] = descriptor
        }
        self.descriptors = descriptors
        self.program = program
    }

    /// By the names of their pins in a directory.
    init(pinnedIn directory: FilePath, readOnly: Bool) throws(SocketLookupError) {
        var descriptors: [Name: Int32] = [:]
        do throws(SocketLookupError) {
            for name in Name.allCases {
                let path = directory.appending(name.rawValue)
                let descriptor = try Pins.open(path, readOnly: readOnly)
                descriptors[name] = descriptor
                guard try DispatchMaps.hasShape(descriptor, name) else {
                    throw .incompatible(path: path.string, because: "the map is laid out differently")
                }
            }
        } catch {
            for descriptor in descriptors.values { close(descriptor) }
            throw error
        }
        self.descriptors = descriptors
        program = nil
    }

    deinit { if program == nil { for descriptor in descriptors.values { close(descriptor) } } }

    // The initialisers put all of them in.
    subscript(_ name: Name) -> Int32 { descriptors[name] ?? -1 }

    private static func hasShape(_ descriptor: Int32, _ name: Name) throws(SocketLookupError) -> Bool {
        var shape = clinux_map_shape()
        try checked("bpf(BPF_OBJ_GET_INFO_BY_FD)", "examining the map '\(name.rawValue)'") {
            clinux_bpf_map_shape(descriptor, &shape)
        }
        typealias Layout = DispatchLayout
        let (type, key, value, count): (bpf_map_type, Int, Int, Int) =
            switch name {
            case .tables, .ranges: (BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 2)
            case .plans: (BPF_MAP_TYPE_ARRAY, 4, Layout.planSize, 2)
            case .counters: (BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, Layout.chunkLimit)
            case .firstCounters:
                (BPF_MAP_TYPE_PERCPU_ARRAY, 4, Layout.counterSize, Layout.countersPerChunk)
            case .totals: (BPF_MAP_TYPE_PERCPU_ARRAY, 4, Layout.totalSize, 1)
            case .control: (BPF_MAP_TYPE_ARRAY, 4, Layout.controlSize, 1)
            case .labels: (BPF_MAP_TYPE_ARRAY, 4, Layout.labelSize, Layout.labelLimit)
            case .sockets:
                (BPF_MAP_TYPE_SOCKMAP, 4, 8, Layout.labelLimit * Layout.kindCount * Sharing.slotCount)
            }
        return shape.type == type.rawValue && Int(shape.key_size) == key && Int(shape.value_size) == value
            && Int(shape.max_entries) == count
    }
}

// MARK: elements

extension DispatchMaps {
    /// An element of a map with four-byte keys; nil if it has none there.
    func element(_ index: UInt32, of name: Name, size: Int) throws(SocketLookupError) -> [UInt8]? {
        var key = index
        var value = [UInt8](repeating: 0, count: size)
        let result = bpf_map_lookup_elem(self[name], &key, &value)
        if result == -ENOENT { return nil }
        try checked("bpf(BPF_MAP_LOOKUP_ELEM)", "reading '\(name.rawValue)'") { result }
        return value
    }

    func set(_ index: UInt32, of name: Name, to value: [UInt8]) throws(SocketLookupError) {
        var key = index
        try checked("bpf(BPF_MAP_UPDATE_ELEM)", "writing '\(name.rawValue)'") {
            bpf_map_update_elem(self[name], &key, value, UInt64(BPF_ANY))
        }
    }

    /// Empties an element; it may be empty.
    func clear(_ index: UInt32, of name: Name) throws(SocketLookupError) {
        var key = index
        let result = bpf_map_delete_elem(self[name], &key)
        // A sockmap says EINVAL of an empty slot.
        if result == -ENOENT || (name == .sockets && result == -EINVAL) { return }
        try checked("bpf(BPF_MAP_DELETE_ELEM)", "emptying '\(name.rawValue)'") { result }
    }

    /// The generation in force.
    func generation() throws(SocketLookupError) -> UInt32 {
        DispatchLayout.number(try element(0, of: .control, size: DispatchLayout.controlSize) ?? [0, 0, 0, 0], at: 0)
    }

    /// Puts a generation in force, with the seed that the flow hash had: from one lookup to the next.
    func setGeneration(_ generation: UInt32) throws(SocketLookupError) {
        let control = try element(0, of: .control, size: DispatchLayout.controlSize) ?? []
        // Two values differ in one byte, so no lookup can see anything else.
        try set(0, of: .control, to: DispatchLayout.native(generation) + control.dropFirst(4))
    }

    /// Gives the flow hash a seed, before any packet.
    func seed(_ seed: UInt32) throws(SocketLookupError) {
        try set(0, of: .control, to: DispatchLayout.native(UInt32(0)) + DispatchLayout.native(seed))
    }

    /// Waits until no lookup that had begun is still under way.
    ///
    /// A write to a map of maps ends with a grace period (bpf(2)'s maybe_wait_bpf_programs), so this makes one where no
    /// lookup looks.
    func waitForLookups() throws(SocketLookupError) {
        // Not `firstCounters`: from 5.15 to 6.1 a map whose types the kernel knows is not alike enough to one whose
        // types it does not (bpf_map_meta_equal compares timer_off: EINVAL).
        let map = try CounterChunk.make()
        defer { close(map) }
        try set(0, of: .counters, to: DispatchLayout.native(map))
    }

    // MARK: sockets

    func sharings(of label: UInt32) throws(SocketLookupError) -> [Sharing] {
        DispatchLayout.kinds(
            try element(label, of: .labels, size: DispatchLayout.labelSize)
                ?? [UInt8](repeating: 0, count: DispatchLayout.labelSize))
    }

    /// One write: all of a label's protocols and families change, or none.
    func setSharings(of label: UInt32, _ kinds: [Sharing]) throws(SocketLookupError) {
        try set(label, of: .labels, to: DispatchLayout.label(kinds))
    }

    /// The cookie of the socket in a slot; nil if it has none, or one that was closed.
    func cookie(_ label: UInt32, _ kind: Int, _ slot: Int) throws(SocketLookupError) -> UInt64? {
        let value = try element(DispatchLayout.slot(label, kind, slot), of: .sockets, size: 8)
        return value.map { DispatchLayout.number($0, at: 0) }
    }

    func put(
        _ socket: FileDescriptor, _ label: UInt32, _ kind: Int, _ slot: Int, name: String
    ) throws(SocketLookupError) {
        var key = DispatchLayout.slot(label, kind, slot)
        var value = UInt64(socket.rawValue)
        try checked("bpf(BPF_MAP_UPDATE_ELEM)", "registering the socket \(socket.rawValue) under '\(name)'") {
            bpf_map_update_elem(self[.sockets], &key, &value, UInt64(BPF_ANY))
        }
    }
}
