import Foundation
import Report

/// A result could not be written where it should go.
struct OutputError: StatusCarrying, CustomStringConvertible {
    var place: String
    var code: Int32

    var status: ExitStatus { .broken }
    var description: String {
        switch code {
        case EPIPE: "\(place) was closed before everything was written"
        case ENOSPC: "\(place): the disk is full; what was written so far is incomplete"
        default: "\(place): \(String(cString: strerror(code)))"
        }
    }
}

enum StandardOutput {
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    static func write(_ text: String) throws(OutputError) {
        try writeAll(text, to: STDOUT_FILENO, place: "standard output")
    }
}

enum StandardError {
    static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// Nobody is left to tell where this fails.
    static func write(_ text: String) { try? writeAll(text, to: STDERR_FILENO, place: "standard error") }
}

/// The directory of `--output`: `results.json` grows with the run, the reports come at its end.
struct OutputDirectory: Sendable {
    let path: String

    init(_ path: String) throws {
        self.path = path
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw Misuse("--output \(path): the directory cannot be made: \(error.localizedDescription)")
        }
        // Emptied before the run, not after hours of it: a directory that cannot be written to shows at once.
        try write("", to: "results.json")
    }

    func append(_ text: String, to name: String) throws(OutputError) { try write(text, to: name, flags: O_APPEND) }

    func write(_ text: String, to name: String) throws(OutputError) { try write(text, to: name, flags: O_TRUNC) }

    private func write(_ text: String, to name: String, flags: Int32) throws(OutputError) {
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0o644)
        guard descriptor >= 0 else { throw OutputError(place: file, code: errno) }
        defer { close(descriptor) }
        try writeAll(text, to: descriptor, place: file)
    }
}

private func writeAll(_ text: String, to descriptor: Int32, place: String) throws(OutputError) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if written < 0 {
            if errno == EINTR { continue }
            if errno == EAGAIN {
                // A terminal or pipe that somebody else made non-blocking: wait until it takes more.
                var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&wanted, 1, -1)
                continue
            }
            throw OutputError(place: place, code: errno)
        }
        rest = rest.dropFirst(written)
    }
}
