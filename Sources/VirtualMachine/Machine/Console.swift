import Channel
import SystemPackage

/// The file that a machine's first serial port is written to.
struct Console: Sendable {
    let path: String

    var exists: Bool { (try? text()) != nil }

    /// What the kernel has written since `offset`.
    ///
    /// - Throws: ``Loss/noConsole(_:)``: a log that cannot be read must not look clean.
    func text(from offset: Int = 0) throws(Loss) -> String { String(decoding: try bytes(from: offset), as: UTF8.self) }

    func bytes(from offset: Int = 0) throws(Loss) -> [UInt8] {
        do {
            let file = try FileDescriptor.open(FilePath(path), .readOnly)
            return try file.closeAfter {
                var bytes: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 1 << 16)
                while true {
                    let count = try buffer.withUnsafeMutableBytes {
                        try file.read(fromAbsoluteOffset: Int64(offset + bytes.count), into: $0)
                    }
                    if count == 0 { return bytes }
                    bytes.append(contentsOf: buffer[..<count])
                }
            }
        } catch {
            throw .noConsole("\(path): \(error)")
        }
    }
}

/// How a machine was lost.
enum Loss: Error, Hashable, Sendable {
    /// QEMU ended, for whatever reason.
    case gone
    /// Nothing was heard for as long as the phase may take.
    case deadline(Phase, Duration)
    case channel(FrameError)
    /// The agent says something that it must not say at this point.
    case outOfTurn(String)
    case noConsole(String)
}

/// What a machine goes through, each with a deadline of its own.
enum Phase: String, Hashable, Sendable {
    case spawn = "QEMU to start"
    case kernel = "the kernel to reach user space"
    case agent = "the guest's agent to answer"
    case fixture = "the guest to get on with the fixture"
    case log = "the kernel's log to reach the console"
}
