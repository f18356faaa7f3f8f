import FoundationEssentials
import Glibc
import Subprocess
import SystemPackage

/// A program of the machine that the lab runs on.
struct Tool: Sendable, Hashable {
    let path: String

    init(path: String) { self.path = path }

    /// Finds `name` in PATH, and where administrators' tools live, which PATH may lack.
    init(_ name: String, package: String) throws(MachineError) {
        let listed = Environment.value("PATH")?.split(separator: ":").map(String.init) ?? []
        for directory in listed + ["/usr/sbin", "/sbin", "/usr/bin", "/bin"] {
            let candidate = "\(directory)/\(name)"
            if FileManager.default.isExecutableFile(atPath: candidate) {
                path = candidate
                return
            }
        }
        throw .noTool(name, package: package)
    }

    /// Runs the program and returns what it writes, errors included in what is thrown.
    ///
    /// - Parameters:
    ///   - environment: What differs from the lab's own.
    ///   - temporary: Where it makes its temporary files; nil leaves that to the machine.
    ///   - on: What it is run on, for the error.
    func run(
        _ arguments: [String], in directory: String? = nil, temporary: String? = nil,
        environment: [String: String] = [:], input: [UInt8] = [], on: String
    ) async throws -> [UInt8] {
        var platform = PlatformOptions()
        // A compiler driver that is asked politely takes its own children along.
        platform.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(3))]
        var updates: [Subprocess.Environment.Key: String] = [:]
        for (name, value) in environment { updates[.init(stringLiteral: name)] = value }
        if let temporary { updates["TMPDIR"] = temporary }
        let result = try await Subprocess.run(
            .path(FilePath(path)), arguments: Arguments(arguments),
            environment: .inherit.updating(updates),
            workingDirectory: directory.map { FilePath($0) }, platformOptions: platform,
            input: .array(input), output: .bytes(limit: 256 << 20), error: .string(limit: 4 << 20))
        try Task.checkCancellation()
        guard result.terminationStatus.isSuccess else {
            // swift build writes its errors to its output.
            let text = result.standardError + String(decoding: result.standardOutput, as: UTF8.self)
            throw MachineError.toolFailed(
                tool: path, on: on, status: "\(result.terminationStatus)", output: String(text.suffix(4000)))
        }
        return result.standardOutput
    }

    func text(
        _ arguments: [String], in directory: String? = nil, environment: [String: String] = [:], input: [UInt8] = [],
        on: String
    ) async throws -> String {
        String(
            decoding: try await run(arguments, in: directory, environment: environment, input: input, on: on),
            as: UTF8.self)
    }
}

/// The environment that the lab was started in.
enum Environment {
    static func value(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }
}

/// A key that changes with the content of files and with anything else that matters.
enum ContentKey {
    /// - Parameters:
    ///   - files: Relative to `directory`, so that the same content elsewhere has the same key.
    ///   - salt: What else the key depends on.
    static func of(files: [String], in directory: String, salt: [String]) async throws -> String {
        // coreutils, because hashing tens of megabytes in an unoptimised build takes seconds.
        let tool = try Tool("sha256sum", package: "coreutils")
        let sums =
            files.isEmpty ? "" : try await tool.text(["--"] + files.sorted(), in: directory, on: directory)
        let whole = try await tool.text([], input: Array((sums + salt.joined(separator: "\n")).utf8), on: "a key")
        return String(whole.prefix(24))
    }

    /// A file's path, size and time of change: enough for what a package manager installs.
    static func stamp(_ path: String) throws(MachineError) -> String {
        do {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            let changed = (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
            return "\(path) \(attributes[.size] as? Int ?? 0) \(changed)"
        } catch {
            throw .cannot("examine", on: path, reason: "\(error)")
        }
    }
}
