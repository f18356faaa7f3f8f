import Glibc
import SystemPackage

/// Descriptors that a service manager opened for this process (sd_listen_fds(3)): from 3 on.
public enum InheritedDescriptors {
    /// What `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` tell of, none of which is looked at; nothing if they are
    /// meant for another process, or are not set.
    ///
    /// Whoever takes the descriptors should then remove the variables, which are not meant for children.
    ///
    /// - Returns: the descriptors, and their names; nil for one that has none, which is empty or `unknown` there.
    /// - Throws: ``InheritanceError`` if a variable makes no sense.
    public static func announced(
        in environment: [String: String], process: Int32 = getpid()
    ) throws(InheritanceError) -> [(descriptor: FileDescriptor, name: String?)] {
        guard let owner = environment["LISTEN_PID"] else { return [] }
        guard let owner = Int32(owner), owner > 0 else {
            throw InheritanceError(variable: "LISTEN_PID", value: owner, because: "it is not a process number")
        }
        guard owner == process, let text = environment["LISTEN_FDS"] else { return [] }
        guard let count = Int(text), (0...limit).contains(count) else {
            throw InheritanceError(
                variable: "LISTEN_FDS", value: text, because: "it is not a number of descriptors, 0 to \(limit)")
        }
        var names = [String](repeating: "", count: count)
        if let text = environment["LISTEN_FDNAMES"], !(text.isEmpty && count == 0) {
            names = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard names.count == count else {
                throw InheritanceError(
                    variable: "LISTEN_FDNAMES", value: text,
                    because: "it names \(names.count) descriptors, and LISTEN_FDS says \(count)")
            }
        }
        return names.enumerated().map { index, name in
            let isNamed = !name.isEmpty && name != "unknown"
            return (FileDescriptor(rawValue: first + Int32(index)), isNamed ? name : nil)
        }
    }

    /// SD_LISTEN_FDS_START.
    private static let first: Int32 = 3
    private static let limit = 4096
}

/// A variable of socket activation that makes no sense.
public struct InheritanceError: Error, Hashable, Sendable, CustomStringConvertible {
    /// `LISTEN_PID`, `LISTEN_FDS` or `LISTEN_FDNAMES`.
    public var variable: String
    /// What it is set to.
    public var value: String
    /// What is wrong with that.
    public var because: String

    /// An error about a variable with a value.
    public init(variable: String, value: String, because: String) {
        self.variable = variable
        self.value = value
        self.because = because
    }

    /// The variable, its value, and what is wrong with it.
    public var description: String { "\(variable)='\(value)': \(because)" }
}
