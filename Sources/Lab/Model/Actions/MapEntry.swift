/// One entry of a program's sockmap or sockhash, changed or read from user space.
public struct MapEntry: Hashable, Sendable, Codable {
    public var program: String
    public var map: String
    public var key: UInt32
    public var operation: Operation
    /// What an update puts in: a server's socket; with `end`, a connection's.
    public var socket: String?
    public var end: End?
    /// What an update puts in instead: a descriptor that no map takes, or not every one.
    public var file: File?
    public var flags: Flags?

    public enum Operation: String, Hashable, Sendable, Codable, CaseIterable {
        case update, delete
        case lookUp = "look-up"
    }

    public enum File: String, Hashable, Sendable, Codable, CaseIterable {
        /// No descriptor at all: -1, or one that is not open.
        case none, closed
        case pipe
        case raw
        case mptcp
    }

    public enum Flags: String, Hashable, Sendable, Codable, CaseIterable {
        case noExist = "no-exist"
        case exist
        /// A flag that there is not.
        case invalid
    }

    public init(
        _ operation: Operation, _ key: UInt32, of map: String, in program: String, socket: String? = nil,
        _ end: End? = nil, file: File? = nil, flags: Flags? = nil
    ) {
        self.program = program
        self.map = map
        self.key = key
        self.operation = operation
        self.socket = socket
        self.end = end
        self.file = file
        self.flags = flags
    }

    var summary: String {
        let what = socket ?? file.map { "(\($0.rawValue))" }
        return "\(operation.rawValue) \(program)'s \(map)[\(key)]" + (what.map { " = \($0)" } ?? "")
            + (flags.map { ", \($0.rawValue)" } ?? "")
    }
}
