import FoundationEssentials

/// Where the sources of the guest are: beside those of the lab.
public enum PackageRoot {
    /// `LAB_ROOT`, else the nearest directory with our Package.swift at or above the working directory or
    /// the running executable.
    public static func find() throws(MachineError) -> String {
        if let root = Environment.value("LAB_ROOT") {
            guard isRoot(root) else { throw .noPackage(searched: ["LAB_ROOT=\(root)"]) }
            return root
        }
        let manager = FileManager.default
        let executable = (try? manager.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/"
        let starts = [manager.currentDirectoryPath, executable]
        for start in starts {
            var directory = start
            while true {
                if isRoot(directory) { return directory }
                guard let slash = directory.lastIndex(of: "/"), directory.count > 1 else { break }
                directory = slash == directory.startIndex ? "/" : String(directory[..<slash])
            }
        }
        throw .noPackage(searched: starts)
    }

    private static func isRoot(_ directory: String) -> Bool {
        guard let manifest = FileManager.default.contents(atPath: "\(directory)/Package.swift") else { return false }
        return String(decoding: manifest, as: UTF8.self).contains("name: \"binding-lab\"")
    }
}
