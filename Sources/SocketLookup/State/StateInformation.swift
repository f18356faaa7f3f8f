import CLinux
import Glibc
import SystemPackage

/// Which layout a state's maps have.
enum StateInformation {
    private static let name = "info"

    static func pin(in directory: FilePath) throws(SocketLookupError) {
        let map = try checked("bpf(BPF_MAP_CREATE)", "recording the layout") {
            bpf_map_create(BPF_MAP_TYPE_ARRAY, name, 4, 4, 1, nil)
        }
        defer { close(map) }
        var (key, version): (UInt32, UInt32) = (0, DispatchLayout.version)
        try checked("bpf(BPF_MAP_UPDATE_ELEM)", "recording the layout") {
            bpf_map_update_elem(map, &key, &version, UInt64(BPF_ANY))
        }
        try Pins.pin(map, at: directory.appending(name))
    }

    static func layout(in directory: FilePath) throws(SocketLookupError) -> UInt32 {
        let map = try Pins.open(directory.appending(name), readOnly: true)
        defer { close(map) }
        var (key, version): (UInt32, UInt32) = (0, 0)
        try checked("bpf(BPF_MAP_LOOKUP_ELEM)", "asking for the layout") { bpf_map_lookup_elem(map, &key, &version) }
        return version
    }

    static func check(in directory: FilePath) throws(SocketLookupError) {
        guard Pins.exists(directory.appending(name)) else {
            throw .incompatible(path: directory.string, because: "it has no '\(name)'")
        }
        let version = try layout(in: directory)
        guard version == DispatchLayout.version else {
            throw .incompatible(
                path: directory.string,
                because: "its layout is \(version), and this version's \(DispatchLayout.version)")
        }
    }
}
