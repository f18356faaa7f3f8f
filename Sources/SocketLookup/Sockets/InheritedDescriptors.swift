import Glibc
import SystemPackage

/// Sockets that a service manager opened for this process (sd_listen_fds(3)): descriptors from 3 on.
public enum InheritedDescriptors {
    /// What `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` tell of, with their names; none if they are meant for
    /// another process, or are not set.
    ///
    /// - Throws: ``SocketLookupError/inheritance(variable:value:because:)``.
    public static func announced(
        in environment: [String: String], process: Int32 = getpid()
    ) throws(SocketLookupError) -> [(descriptor: FileDescriptor, name: String)] {
        guard let owner = environment["LISTEN_PID"] else { return [] }
        guard let owner = Int32(owner), owner > 0 else {
            throw .inheritance(variable: "LISTEN_PID", value: owner, because: "it is not a process number")
        }
        guard owner == process, let text = environment["LISTEN_FDS"] else { return [] }
        guard let count = Int(text), (0...limit).contains(count) else {
            throw .inheritance(
                variable: "LISTEN_FDS", value: text, because: "it is not a number of descriptors, 0 to \(limit)")
        }
        var names = [String](repeating: "unknown", count: count)
        if let text = environment["LISTEN_FDNAMES"], !(text.isEmpty && count == 0) {
            names = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard names.count == count else {
                throw .inheritance(
                    variable: "LISTEN_FDNAMES", value: text,
                    because: "it names \(names.count) descriptors, and LISTEN_FDS says \(count)")
            }
        }
        return names.enumerated().map { (FileDescriptor(rawValue: 3 + Int32($0.offset)), $0.element) }
    }

    private static let limit = 4096
}
