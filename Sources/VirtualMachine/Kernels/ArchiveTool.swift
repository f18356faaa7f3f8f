import Subprocess
import SystemPackage

/// One of the programs that deal with the archive (apt, dpkg-deb), run to its end, and what it said.
struct ArchiveTool {
    var status: TerminationStatus
    var output: String
    var errors: String

    /// Runs a program found in PATH, in the C locale so that its messages can be recognised.
    ///
    /// When the task is cancelled, the program and all that it started are ended: apt runs its transports, and
    /// dpkg-deb its decompressor, as children. They are in a process group of their own for that.
    static func run(
        _ name: String, _ arguments: [String], in directory: String? = nil
    ) async throws -> ArchiveTool {
        var options = PlatformOptions()
        options.processGroupID = 0
        options.teardownSequence = [.gracefulShutDown(toProcessGroup: true, allowedDurationToNextStep: .seconds(2))]
        do {
            let result = try await Subprocess.run(
                .name(name), arguments: Arguments(arguments),
                environment: .inherit.updating(["LC_ALL": "C", "LANGUAGE": "C"]),
                workingDirectory: directory.map { FilePath($0) }, platformOptions: options,
                output: .string(limit: 64 << 20), error: .string(limit: 1 << 20))
            // A program that was ended because of cancellation has not failed.
            try Task.checkCancellation()
            return ArchiveTool(status: result.terminationStatus, output: result.standardOutput, errors: result.standardError)
        } catch let error as SubprocessError {
            try Task.checkCancellation()
            if error.code == .executableNotFound { throw KernelError.toolMissing(name) }
            throw KernelError.toolFailed(tool: name, doing: "starting", message: "\(error)")
        }
    }

    /// Runs a program that has to succeed.
    static func require(
        _ name: String, _ arguments: [String], in directory: String? = nil, doing: String
    ) async throws -> String {
        let result = try await run(name, arguments, in: directory)
        guard result.status.isSuccess else {
            throw KernelError.toolFailed(tool: name, doing: doing, message: result.complaint)
        }
        return result.output
    }

    /// What it said went wrong: the first of its errors, without apt's marks, or else how it ended.
    var complaint: String {
        // tar says so once for every file that it still meant to write.
        if errors.contains("No space left on device") {
            return "no space left on the cache's disk; free some, or set LAB_CACHE to a directory elsewhere"
        }
        let lines = errors.split(separator: "\n").filter { !$0.hasPrefix("W:") }
            .map { $0.hasPrefix("E: ") ? $0.dropFirst(3) : $0 }
        return lines.isEmpty ? "\(status)" : lines.prefix(3).joined(separator: "; ")
    }
}
