import Addressing
import CLinux
import Glibc

/// The bindings of a generation as they were given, pinned for whoever lists or changes them.
enum BindingRecords {
    private static let size = 32
    // The kernel copies this many at a time.
    private static let batch = 4096

    /// Makes a map of them; the caller closes it.
    static func make(
        _ bindings: [(binding: Binding, counter: UInt32)], numbers: [String: UInt32]
    ) throws(SocketLookupError) -> Int32 {
        let count = max(1, bindings.count)
        let map = try checked("bpf(BPF_MAP_CREATE)", "recording \(bindings.count) bindings") {
            bpf_map_create(BPF_MAP_TYPE_ARRAY, "records", 4, UInt32(size), UInt32(count), nil)
        }
        do throws(SocketLookupError) {
            var start = 0
            while start < bindings.count {
                let end = min(start + batch, bindings.count)
                var values: [UInt8] = []
                values.reserveCapacity((end - start) * size)
                for (binding, counter) in bindings[start..<end] {
                    append(binding, counter, numbers[binding.label] ?? 0, to: &values)
                }
                var keys = (start..<end).map { UInt32($0) }
                var written = UInt32(end - start)
                try checked("bpf(BPF_MAP_UPDATE_BATCH)", "recording bindings") {
                    bpf_map_update_batch(map, &keys, values, &written, nil)
                }
                start = end
            }
        } catch {
            close(map)
            throw error
        }
        return map
    }

    /// Reads them in the order in which they were recorded.
    static func read(
        _ map: Int32, names: [UInt32: String]
    ) throws(SocketLookupError) -> [(binding: Binding, counter: UInt32)] {
        var shape = clinux_map_shape()
        try checked("bpf(BPF_OBJ_GET_INFO_BY_FD)", "reading the bindings") { clinux_bpf_map_shape(map, &shape) }
        guard Int(shape.value_size) == size else {
            throw .incompatible(path: "records", because: "the map is laid out differently")
        }
        var bindings: [(binding: Binding, counter: UInt32)] = []
        bindings.reserveCapacity(Int(shape.max_entries))
        var (before, after): (UInt32, UInt32) = (0, 0)
        var keys = [UInt32](repeating: 0, count: batch)
        var values = [UInt8](repeating: 0, count: batch * size)
        var isFirst = true
        while true {
            var count = UInt32(batch)
            let result =
                isFirst
                ? bpf_map_lookup_batch(map, nil, &after, &keys, &values, &count, nil)
                : bpf_map_lookup_batch(map, &before, &after, &keys, &values, &count, nil)
            // ENOENT: these were the last.
            if result != -ENOENT { try checked("bpf(BPF_MAP_LOOKUP_BATCH)", "reading the bindings") { result } }
            for index in 0..<Int(count) {
                if let record = record(values[index * size..<(index + 1) * size], names) { bindings.append(record) }
            }
            if result == -ENOENT { return bindings }
            (before, isFirst) = (after, false)
        }
    }

    private static func append(_ binding: Binding, _ counter: UInt32, _ number: UInt32, to bytes: inout [UInt8]) {
        let prefix = binding.match.prefix
        bytes += prefix.address.networkBytes
        if prefix.family == .ipv4 { bytes += [UInt8](repeating: 0, count: 12) }
        bytes.append(UInt8(binding.match.protocol.number))
        bytes.append(UInt8(prefix.family.domain))
        bytes.append(UInt8(prefix.length))
        bytes.append(binding.otherwise == .pass ? 1 : 0)
        bytes += DispatchLayout.native(binding.match.ports.first)
        bytes += DispatchLayout.native(binding.match.ports.last)
        bytes += DispatchLayout.native(number)
        bytes += DispatchLayout.native(counter)
    }

    /// Nil for one that was never written, as in the map of an empty set.
    private static func record(
        _ bytes: ArraySlice<UInt8>, _ names: [UInt32: String]
    ) -> (binding: Binding, counter: UInt32)? {
        let at = bytes.startIndex
        guard let `protocol` = TransportProtocol.allCases.first(where: { $0.number == Int32(bytes[at + 16]) }),
            let family = AddressFamily.allCases.first(where: { $0.domain == Int32(bytes[at + 17]) })
        else { return nil }
        var bits: UInt128 = 0
        for byte in bytes[at..<at + family.width / 8] { bits = bits << 8 | UInt128(byte) }
        let (first, last): (UInt16, UInt16) = (
            DispatchLayout.number(bytes, at: 20), DispatchLayout.number(bytes, at: 22)
        )
        guard let prefix = try? Prefix(IPAddress(family: family, bits: bits), length: Int(bytes[at + 18])),
            let ports = try? PortRange(first, through: last)
        else { return nil }
        let number: UInt32 = DispatchLayout.number(bytes, at: 24)
        let binding = Binding(
            Match(`protocol`, prefix, ports), to: names[number] ?? "", otherwise: bytes[at + 19] == 1 ? .pass : .drop)
        return (binding, DispatchLayout.number(bytes, at: 28))
    }
}
