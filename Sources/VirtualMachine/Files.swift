import FoundationEssentials
import Glibc
import SystemPackage

/// The few questions about files that are asked here, and files that appear whole or not at all.
enum Files {
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The names in a directory, sorted; none if there is no such directory.
    static func names(in path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    static func parent(of path: String) -> String { FilePath(path).removingLastComponent().string }

    static func normalised(_ path: String) -> String { FilePath(path).lexicallyNormalized().string }

    static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/") else { return normalised(path) }
        return normalised(FileManager.default.currentDirectoryPath + "/" + path)
    }

    /// What is used on disk below `path`, links not followed.
    static func bytes(below path: String) -> Int {
        let below = (try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []
        return ([path] + below.map { "\(path)/\($0)" }).reduce(0) { sum, file in
            var status = stat()
            return lstat(file, &status) == 0 ? sum + Int(status.st_blocks) * 512 : sum
        }
    }

    /// What the last failed system call says.
    static func reason() -> String { String(cString: strerror(errno)) }

    static func makeDirectory(_ path: String) throws(MachineError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw .cannot("make the directory", on: path, reason: "\(error)")
        }
    }

    static func read(_ path: String) throws(MachineError) -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw .cannot("read", on: path, reason: "it does not exist or is not readable")
        }
        return [UInt8](data)
    }

    /// Every file below `directory`, relative to it, sorted; none where there is no such directory.
    static func all(below directory: String) -> [String] {
        // Debian's kernels have a symbolic link to headers that are not there: it is listed and is no directory.
        ((try? FileManager.default.subpathsOfDirectory(atPath: directory)) ?? [])
            .filter { path in
                var isDirectory = false
                return FileManager.default.fileExists(atPath: "\(directory)/\(path)", isDirectory: &isDirectory)
                    && !isDirectory
            }
            .sorted()
    }

    /// Calls `make` with a temporary path beside `path`, and renames it into place once that returns.
    static func place(_ path: String, _ make: (String) async throws -> Void) async throws {
        let temporary = "\(path).\(getpid())-\(UInt32.random(in: 0 ... .max)).partial"
        defer { try? FileManager.default.removeItem(atPath: temporary) }
        try await make(temporary)
        if rename(temporary, path) != 0 {
            // A directory that another process has put there in the meantime has the same content.
            guard FileManager.default.fileExists(atPath: path) else {
                throw MachineError.cannot(
                    "rename into place", on: path, reason: String(cString: strerror(errno)))
            }
        }
    }

    static func write(_ bytes: [UInt8], to path: String) throws(MachineError) {
        do {
            try Data(bytes).write(to: URL(filePath: path))
        } catch {
            throw .cannot("write", on: path, reason: "\(error)")
        }
    }
}
