import CLinux

/// What bindings have done since they were made.
public struct BindingCounters: Hashable, Sendable {
    /// Lookups that were led to a socket.
    public var hits: UInt64 = 0
    /// Lookups for which the label had no live socket, so that the binding's fallback held.
    public var misses: UInt64 = 0
    /// Sockets that a lookup came upon and could not be led to: closed, or connected since they were registered. Such
    /// a lookup goes on to the label's other sockets, and is a hit or a miss as well.
    public var errors: UInt64 = 0

    /// Counters with these values.
    public init(hits: UInt64 = 0, misses: UInt64 = 0, errors: UInt64 = 0) {
        self.hits = hits
        self.misses = misses
        self.errors = errors
    }
}

/// A map of counters.
enum CounterChunk {
    static func make() throws(SocketLookupError) -> Int32 {
        try checked("bpf(BPF_MAP_CREATE)", "making counters") {
            bpf_map_create(
                BPF_MAP_TYPE_PERCPU_ARRAY, "counters", 4, UInt32(DispatchLayout.counterSize),
                UInt32(DispatchLayout.countersPerChunk), nil)
        }
    }

    /// The sum over all processors of each of a value's numbers.
    static func sums(
        _ map: Int32, _ index: UInt32, size: Int, processors: Int
    ) throws(SocketLookupError) -> [UInt64] {
        var key = index
        var values = [UInt8](repeating: 0, count: size * processors)
        try checked("bpf(BPF_MAP_LOOKUP_ELEM)", "reading counters") { bpf_map_lookup_elem(map, &key, &values) }
        return (0..<size / 8).map { number in
            (0..<processors).reduce(0) { $0 &+ DispatchLayout.number(values, at: $1 * size + number * 8) }
        }
    }

    static func clear(_ map: Int32, _ index: UInt32, processors: Int) throws(SocketLookupError) {
        var key = index
        let zero = [UInt8](repeating: 0, count: DispatchLayout.counterSize * processors)
        try checked("bpf(BPF_MAP_UPDATE_ELEM)", "clearing counters") {
            bpf_map_update_elem(map, &key, zero, UInt64(BPF_ANY))
        }
    }

    /// How many processors per-processor maps have values for.
    static func processors() throws(SocketLookupError) -> Int {
        Int(try checked("libbpf_num_possible_cpus", "counting processors") { libbpf_num_possible_cpus() })
    }
}
