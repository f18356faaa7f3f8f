import FoundationEssentials
import Glibc

/// A directory for one machine's sockets and logs. It is gone when its scope ends; what a killed lab left
/// behind goes when the next one starts.
struct RunDirectory: Sendable {
    let path: String

    static func with<Result>(
        in parent: String, _ body: (RunDirectory) async throws -> Result
    ) async throws -> Result {
        try Files.makeDirectory(parent)
        sweep(parent)
        // With the owner's start time: a process identifier alone may be somebody else's by then.
        let started = startTime(of: getpid()) ?? "0"
        let path = "\(parent)/\(getpid()).\(started).\(String(UInt32.random(in: 0 ... .max), radix: 16))"
        try Files.makeDirectory(path)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await body(RunDirectory(path: path))
    }

    private static func sweep(_ parent: String) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? [] {
            let parts = name.split(separator: ".")
            guard parts.count == 3, let owner = pid_t(parts[0]) else { continue }
            if startTime(of: owner) != String(parts[1]) {
                try? FileManager.default.removeItem(atPath: "\(parent)/\(name)")
            }
        }
    }

    /// In clock ticks since boot (proc(5), field 22 of stat); nil where there is no such process.
    private static func startTime(of process: pid_t) -> String? {
        guard let stat = FileManager.default.contents(atPath: "/proc/\(process)/stat") else { return nil }
        // The second field is the command's name in brackets, with whatever it may contain.
        let text = String(decoding: stat, as: UTF8.self)
        guard let bracket = text.lastIndex(of: ")") else { return nil }
        let fields = text[bracket...].split(separator: " ")
        return fields.count > 20 ? String(fields[20]) : nil
    }
}
