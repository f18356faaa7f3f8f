import Addressing
import CLinux
import Glibc

/// A set of bindings in the kernel's form: a trie, and the intervals that do not fit into its nodes.
///
/// Its maps belong to the dispatcher once it has been put there; this has only descriptors, until it goes.
struct Generation: ~Copyable {
    let trie: Int32
    let ranges: Int32
    let rangesRoom: Int
    /// Before which elements of `ranges` are in use.
    private(set) var rangesUsed = 0

    /// An empty one, with room for `elsewhere` intervals outside the nodes.
    init(elsewhere: Int) throws(SocketLookupError) {
        let trie = try Generation.makeTrie()
        let room = max(1, elsewhere)
        let ranges: Int32
        do throws(SocketLookupError) {
            ranges = try Generation.makeRanges(room: room)
        } catch {
            close(trie)
            throw error
        }
        self.trie = trie
        self.ranges = ranges
        rangesRoom = room
    }

    deinit {
        close(trie)
        close(ranges)
    }

    /// Whether a table can be written without disturbing those that are there.
    func hasRoom(for table: PortTable) -> Bool {
        table.intervals.count <= DispatchLayout.intervalsInline || rangesUsed + table.intervals.count <= rangesRoom
    }

    /// Writes one element in one step: intervals outside the node are written before the node names them, where
    /// nothing was before.
    ///
    /// - Parameter usingRanges: Called with the map of intervals before a node names the first of them.
    mutating func write(
        _ key: BindingTable.Key, _ table: PortTable, numbers: [String: UInt32],
        usingRanges: (Int32) throws(SocketLookupError) -> Void = { (_) throws(SocketLookupError) in }
    ) throws(SocketLookupError) {
        let intervals = table.intervals.map { DispatchLayout.interval($0, number: numbers[$0.target.label] ?? 0) }
        var node: [UInt8]
        if intervals.count <= DispatchLayout.intervalsInline {
            node = DispatchLayout.node(intervals)
        } else {
            for (offset, interval) in intervals.enumerated() {
                var index = UInt32(rangesUsed + offset)
                try checked("bpf(BPF_MAP_UPDATE_ELEM)", "binding ports of \(key.protocol.rawValue) \(key.prefix)") {
                    bpf_map_update_elem(ranges, &index, interval, UInt64(BPF_ANY))
                }
            }
            if rangesUsed == 0 { try usingRanges(ranges) }
            node = DispatchLayout.node(elsewhereFrom: UInt32(rangesUsed), count: UInt32(intervals.count))
            rangesUsed += intervals.count
        }
        try checked("bpf(BPF_MAP_UPDATE_ELEM)", "binding ports of \(key.protocol.rawValue) \(key.prefix)") {
            bpf_map_update_elem(trie, DispatchLayout.key(key), node, UInt64(BPF_ANY))
        }
    }

    func remove(_ key: BindingTable.Key) throws(SocketLookupError) {
        try checked("bpf(BPF_MAP_DELETE_ELEM)", "unbinding the last ports of \(key.protocol.rawValue) \(key.prefix)") {
            bpf_map_delete_elem(trie, DispatchLayout.key(key))
        }
    }

    /// Puts it into a dispatcher's maps, where it has no effect before it is in force.
    func put(_ index: UInt32, in maps: DispatchMaps) throws(SocketLookupError) {
        if rangesUsed > 0 { try maps.set(index, of: .ranges, to: DispatchLayout.native(ranges)) }
        try maps.set(index, of: .tries, to: DispatchLayout.native(trie))
    }

    private static func makeTrie() throws(SocketLookupError) -> Int32 {
        try checked("bpf(BPF_MAP_CREATE)", "making a trie for bindings") {
            clinux_bpf_map_create(
                BPF_MAP_TYPE_LPM_TRIE, "trie", UInt32(DispatchLayout.keySize), UInt32(DispatchLayout.nodeSize), 1 << 20,
                UInt32(BPF_F_NO_PREALLOC))
        }
    }

    private static func makeRanges(room: Int) throws(SocketLookupError) -> Int32 {
        try checked("bpf(BPF_MAP_CREATE)", "making room for \(room) port ranges") {
            clinux_bpf_map_create(
                BPF_MAP_TYPE_ARRAY, "ranges", 4, UInt32(DispatchLayout.intervalSize), UInt32(room),
                UInt32(BPF_F_INNER_MAP))
        }
    }
}
