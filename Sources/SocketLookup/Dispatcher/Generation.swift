import Addressing
import CLinux
import Glibc

/// A set of bindings in the kernel's form: a hash table of prefixes, the plan of the search in it, and the intervals that
/// do not fit into its nodes.
///
/// Its maps belong to the dispatcher once it has been put there; this has only descriptors, until it goes.
struct Generation: ~Copyable {
    private let table: Int32
    /// Nil if all intervals fit into the nodes.
    private let ranges: Int32?
    private let plan: [UInt8]

    // The kernel copies this many at a time.
    private static let batch = 4096

    /// - Parameter elements: Wider prefixes before those in them.
    init(
        _ elements: [(key: BindingTable.Key, table: PortTable)], numbers: [String: UInt32]
    ) throws(SocketLookupError) {
        let prefixes = PrefixTable(elements.map(\.key))
        var nodes: [UInt8] = []
        nodes.reserveCapacity(elements.count * DispatchLayout.intervalsSize)
        var elsewhere: [UInt8] = []
        for (_, table) in elements {
            let count = table.intervals.count
            func append(to bytes: inout [UInt8]) {
                for interval in table.intervals {
                    DispatchLayout.append(interval, number: numbers[interval.target.label] ?? 0, to: &bytes)
                }
            }
            if count <= DispatchLayout.intervalsInline {
                append(to: &nodes)
                DispatchLayout.appendUnused(DispatchLayout.intervalsInline - count, to: &nodes)
            } else {
                let start = UInt32(elsewhere.count / DispatchLayout.intervalSize)
                DispatchLayout.append(elsewhereFrom: start, count: UInt32(count), to: &nodes)
                append(to: &elsewhere)
            }
        }
        let ranges: Int32? = elsewhere.isEmpty ? nil : try Generation.makeRanges(elsewhere)
        do throws(SocketLookupError) {
            table = try Generation.makeTable(prefixes, nodes)
        } catch {
            if let ranges { close(ranges) }
            throw error
        }
        self.ranges = ranges
        plan = DispatchLayout.plan(prefixes)
    }

    deinit {
        close(table)
        if let ranges { close(ranges) }
    }

    /// Puts it into a dispatcher's maps, where it has no effect before it is in force.
    func put(_ index: UInt32, in maps: DispatchMaps) throws(SocketLookupError) {
        try maps.set(index, of: .plans, to: plan)
        if let ranges { try maps.set(index, of: .ranges, to: DispatchLayout.native(ranges)) }
        try maps.set(index, of: .tables, to: DispatchLayout.native(table))
    }

    private static func makeTable(_ prefixes: PrefixTable, _ nodes: [UInt8]) throws(SocketLookupError) -> Int32 {
        let map = try make("table", "prefixes", size: DispatchLayout.nodeSize, count: prefixes.places.count)
        var none: [UInt8] = []
        DispatchLayout.appendUnused(DispatchLayout.intervalsInline, to: &none)
        let size = DispatchLayout.intervalsSize
        do throws(SocketLookupError) {
            // Those that are not in use are zero already.
            let used = prefixes.places.indices.filter { prefixes.places[$0] >= 0 }
            try fill(map, "writing prefixes", indices: used) { place, bytes in
                let key = Int(prefixes.places[place])
                let intervals = prefixes.elements[key].map { nodes[Int($0) * size..<(Int($0) + 1) * size] } ?? none[...]
                DispatchLayout.appendNode(prefixes.keys[key], intervals, to: &bytes)
            }
        } catch {
            close(map)
            throw error
        }
        return map
    }

    private static func makeRanges(_ intervals: [UInt8]) throws(SocketLookupError) -> Int32 {
        let size = DispatchLayout.intervalSize
        let map = try make("ranges", "port ranges", size: size, count: intervals.count / size)
        do throws(SocketLookupError) {
            try fill(map, "writing port ranges", indices: Array(0..<intervals.count / size)) { index, bytes in
                bytes += intervals[index * size..<(index + 1) * size]
            }
        } catch {
            close(map)
            throw error
        }
        return map
    }

    private static func make(
        _ name: String, _ what: String, size: Int, count: Int
    ) throws(SocketLookupError) -> Int32 {
        try checked("bpf(BPF_MAP_CREATE)", "making room for \(count) \(what)") {
            clinux_bpf_map_create(
                BPF_MAP_TYPE_ARRAY, name, 4, UInt32(size), UInt32(count), UInt32(BPF_F_INNER_MAP))
        }
    }

    /// Writes elements, many with one call.
    private static func fill(
        _ map: Int32, _ doing: String, indices: [Int], _ append: (Int, inout [UInt8]) -> Void
    ) throws(SocketLookupError) {
        var start = 0
        while start < indices.count {
            let end = min(start + batch, indices.count)
            var keys = indices[start..<end].map { UInt32($0) }
            var values: [UInt8] = []
            for index in indices[start..<end] { append(index, &values) }
            var count = UInt32(keys.count)
            try checked("bpf(BPF_MAP_UPDATE_BATCH)", doing) { bpf_map_update_batch(map, &keys, values, &count, nil) }
            start = end
        }
    }
}
