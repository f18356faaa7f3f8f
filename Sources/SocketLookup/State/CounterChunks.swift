import CLinux
import Glibc
import SystemPackage

/// The maps with a state's counters, each opened once.
struct CounterChunks: ~Copyable {
    let size = UInt32(DispatchLayout.countersPerChunk)
    private let maps: DispatchMaps
    private let state: FilePath
    private let readOnly: Bool
    private var opened: [UInt32: Int32] = [:]
    private var made: Set<UInt32> = []

    init(_ maps: DispatchMaps, in state: FilePath, readOnly: Bool) {
        self.maps = maps
        self.state = state
        self.readOnly = readOnly
    }

    deinit { for map in opened.values { close(map) } }

    /// The map that has a counter; nil if it was never made.
    mutating func chunk(of counter: UInt32) throws(SocketLookupError) -> Int32? {
        let chunk = counter / size
        if chunk == 0 { return maps[.firstCounters] }
        if let map = opened[chunk] { return map }
        opened[chunk] = try Pins.openIfPresent(path(chunk), readOnly: readOnly)
        return opened[chunk]
    }

    /// The same, made if it was not there.
    mutating func makeChunk(of counter: UInt32) throws(SocketLookupError) -> (map: Int32, isNew: Bool) {
        let chunk = counter / size
        if let map = try self.chunk(of: counter) {
            // A killed process may have pinned one and not put it where lookups find it.
            if chunk > 0, !made.contains(chunk), try maps.element(chunk, of: .counters, size: 4) == nil {
                made.insert(chunk)
            }
            return (map, made.contains(chunk))
        }
        let map = try CounterChunk.make()
        opened[chunk] = map
        try Pins.pin(map, at: path(chunk))
        made.insert(chunk)
        return (map, true)
    }

    /// Puts those that were made where lookups find them, all with one grace period where the kernel can.
    mutating func putNew() throws(SocketLookupError) {
        guard !made.isEmpty else { return }
        var keys = made.sorted()
        let values = keys.map { opened[$0] ?? -1 }
        var count = UInt32(keys.count)
        let result = bpf_map_update_batch(maps[.counters], &keys, values, &count, nil)
        // The kernel's own ENOTSUPP: before 5.17 it has no batches for maps of maps.
        if result == -524 {
            for (key, value) in zip(keys, values) {
                try maps.set(key, of: .counters, to: DispatchLayout.native(value))
            }
        } else {
            try checked("bpf(BPF_MAP_UPDATE_BATCH)", "making counters") { result }
        }
        made = []
    }

    private func path(_ chunk: UInt32) -> FilePath { state.appending("counters-\(chunk)") }
}
