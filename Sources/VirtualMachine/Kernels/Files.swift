import FoundationEssentials
import Glibc
import SystemPackage

/// The few questions about files that kernels and the cache ask.
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
}
