import CLinux
import Glibc
import SystemPackage

/// Names of maps, programs and links in a BPF file system, which has none with a dot (EPERM).
enum Pins {
    /// The owner changes, the group looks, others nothing.
    static let fileMode: mode_t = 0o640
    static let directoryMode: mode_t = 0o750

    static func open(_ path: FilePath, readOnly: Bool = false) throws(SocketLookupError) -> Int32 {
        try checked("bpf(BPF_OBJ_GET)", "opening \(path)") {
            clinux_bpf_get(path.string, readOnly ? UInt32(BPF_F_RDONLY) : 0)
        }
    }

    /// Nil if there is no such name.
    static func openIfPresent(_ path: FilePath, readOnly: Bool = false) throws(SocketLookupError) -> Int32? {
        guard exists(path) else { return nil }
        return try open(path, readOnly: readOnly)
    }

    static func exists(_ path: FilePath) -> Bool { access(path.string, F_OK) == 0 }

    static func pin(_ descriptor: Int32, at path: FilePath) throws(SocketLookupError) {
        try checked("bpf(BPF_OBJ_PIN)", "pinning \(path)") { bpf_obj_pin(descriptor, path.string) }
        try performed("chmod", "pinning \(path)") { chmod(path.string, fileMode) }
    }

    static func rename(_ old: FilePath, to new: FilePath) throws(SocketLookupError) {
        try performed("rename", "renaming \(old) to \(new)") { Glibc.rename(old.string, new.string) }
    }

    /// Removes a name if it is there.
    static func remove(_ path: FilePath) throws(SocketLookupError) {
        guard unlink(path.string) != 0, errno != ENOENT else { return }
        throw .call("unlink", errno: errno, doing: "removing \(path)", log: nil)
    }

    static func makeDirectory(_ path: FilePath) throws(SocketLookupError) {
        guard mkdir(path.string, directoryMode) == 0 else {
            if errno == EEXIST { return }
            throw .call("mkdir", errno: errno, doing: "making \(path)", log: nil)
        }
        // Whatever the umask is.
        try performed("chmod", "making \(path)") { chmod(path.string, directoryMode) }
    }

    /// Removes a directory of pins with what is in it, if it is there: the link first, since it is what packets meet.
    static func removeDirectory(_ path: FilePath) throws(SocketLookupError) {
        guard exists(path) else { return }
        let names = try names(in: path)
        for name in names.sorted(by: { ($0 != "link" ? 1 : 0, $0) < ($1 != "link" ? 1 : 0, $1) }) {
            try remove(path.appending(name))
        }
        try performed("rmdir", "removing \(path)") { rmdir(path.string) }
    }

    static func names(in directory: FilePath) throws(SocketLookupError) -> [String] {
        guard let stream = opendir(directory.string) else {
            throw .call("opendir", errno: errno, doing: "listing \(directory)", log: nil)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            // The kernel ends d_name with a zero byte within the entry.
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}

/// Performs a call that returns -1 and sets errno on failure.
@discardableResult
func performed(
    _ name: String, _ doing: @autoclosure () -> String, _ call: () -> Int32
) throws(SocketLookupError) -> Int32 {
    let result = call()
    guard result >= 0 else {
        let number = errno
        throw .call(name, errno: number, doing: doing(), log: nil)
    }
    return result
}
