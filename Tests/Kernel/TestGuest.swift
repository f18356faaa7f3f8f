import Foundation
import Subprocess
import Synchronization
import Testing

/// What the tests of machines look at from outside.
enum TestGuest {
    /// A directory that is gone when `body` ends.
    static func withDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
        let path = NSTemporaryDirectory() + "binding-lab-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await body(path)
    }

    /// Runs a program of this machine, which is to succeed.
    static func perform(_ program: String, _ arguments: String...) async throws {
        let result = try await run(
            .name(program), arguments: Arguments(arguments), output: .discarded, error: .string(limit: 1 << 16))
        try #require(result.terminationStatus.isSuccess, "\(program): \(result.standardError)")
    }

    /// The QEMU processes whose logs are in `runs`.
    static func processes(in runs: String) -> [pid_t] {
        ((try? FileManager.default.contentsOfDirectory(atPath: runs)) ?? []).compactMap { name in
            let text = try? String(contentsOfFile: "\(runs)/\(name)/qemu.pid", encoding: .utf8)
            return text.flatMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        }
    }
}

/// Counts across tasks.
final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func increment() { count.withLock { $0 += 1 } }
}
