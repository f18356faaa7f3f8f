import CLinux
import Glibc
import SystemPackage

/// The names of labels, by their numbers, in a pinned map.
final class LabelNames {
    private static let pinName = "names"
    private static let size = 64

    private let map: Int32

    init(pinnedIn directory: FilePath, readOnly: Bool) throws(SocketLookupError) {
        let map = try Pins.open(directory.appending(LabelNames.pinName), readOnly: readOnly)
        var shape = clinux_map_shape()
        guard clinux_bpf_map_shape(map, &shape) == 0, Int(shape.value_size) == LabelNames.size,
            Int(shape.max_entries) == DispatchLayout.labelLimit
        else {
            close(map)
            throw .incompatible(path: directory.string, because: "the map of names is laid out differently")
        }
        self.map = map
    }

    deinit { close(map) }

    static func pin(in directory: FilePath) throws(SocketLookupError) {
        let map = try checked("bpf(BPF_MAP_CREATE)", "making a map of names") {
            bpf_map_create(BPF_MAP_TYPE_ARRAY, "names", 4, UInt32(size), UInt32(DispatchLayout.labelLimit), nil)
        }
        defer { close(map) }
        try Pins.pin(map, at: directory.appending(pinName))
    }

    /// - Throws: ``SocketLookupError/unsuitableLabel(_:)``.
    static func check(_ label: String) throws(SocketLookupError) {
        guard (1...size).contains(label.utf8.count), !label.utf8.contains(0) else { throw .unsuitableLabel(label) }
    }

    func all() throws(SocketLookupError) -> [UInt32: String] {
        var keys = [UInt32](repeating: 0, count: DispatchLayout.labelLimit)
        var values = [UInt8](repeating: 0, count: DispatchLayout.labelLimit * LabelNames.size)
        var (count, next): (UInt32, UInt32) = (UInt32(DispatchLayout.labelLimit), 0)
        let result = bpf_map_lookup_batch(map, nil, &next, &keys, &values, &count, nil)
        // ENOENT: these were all.
        if result != -ENOENT { try checked("bpf(BPF_MAP_LOOKUP_BATCH)", "reading names") { result } }
        var names: [UInt32: String] = [:]
        for index in 0..<Int(count) where values[index * LabelNames.size] != 0 {
            let bytes = values[index * LabelNames.size..<(index + 1) * LabelNames.size].prefix { $0 != 0 }
            names[keys[index]] = String(decoding: bytes, as: UTF8.self)
        }
        return names
    }

    func set(_ number: UInt32, to label: String) throws(SocketLookupError) {
        var key = number
        let bytes = Array(label.utf8) + [UInt8](repeating: 0, count: LabelNames.size - label.utf8.count)
        try checked("bpf(BPF_MAP_UPDATE_ELEM)", "naming the label '\(label)'") {
            bpf_map_update_elem(map, &key, bytes, UInt64(BPF_ANY))
        }
    }
}
