import CLinux
import Glibc
import SystemPackage

/// Sockets of a running process, duplicated (pidfd_getfd(2), Linux 5.6; takes the right to trace the process).
///
/// They are closed with this value; what was registered stays so while the process has it open.
public struct ProcessSockets: ~Copyable {
    /// The duplicates, and the process's own numbers for them.
    public private(set) var sockets: [(descriptor: FileDescriptor, original: Int32)] = []

    /// Duplicates sockets of a process.
    ///
    /// - Parameters:
    ///   - process: Its number (PID).
    ///   - descriptors: Numbers as the process knows them; nil for all of its sockets that packets could be led to in
    ///     the namespace, which may be none.
    ///   - namespace: The dispatcher's network namespace; nil for the calling thread's.
    /// - Throws: ``SocketLookupError/call(_:errno:doing:log:)``: ESRCH if there is no such process, EPERM without the
    ///   right, EBADF if it has no such descriptor.
    public init(
        of process: Int32, descriptors: [Int32]? = nil, in namespace: FileDescriptor? = nil
    ) throws(SocketLookupError) {
        let handle = try checked("pidfd_open", "opening the process \(process)") { clinux_pidfd_open(process) }
        defer { close(handle) }
        let home = try NetworkNamespace.inode(of: namespace)
        var found: [(descriptor: FileDescriptor, original: Int32)] = []
        do throws(SocketLookupError) {
            let numbers: [Int32]
            if let descriptors { numbers = descriptors } else { numbers = try ProcessSockets.sockets(of: process) }
            for number in numbers {
                let result = clinux_pidfd_getfd(handle, number)
                // One of all may have been closed meanwhile.
                if descriptors == nil, result == -EBADF { continue }
                let duplicate = FileDescriptor(
                    rawValue: try checked("pidfd_getfd", "taking the descriptor \(number) of the process \(process)") {
                        result
                    })
                if descriptors == nil, !ProcessSockets.isReady(duplicate, in: home) {
                    try? duplicate.close()
                } else {
                    found.append((duplicate, number))
                }
            }
        } catch {
            for (descriptor, _) in found { try? descriptor.close() }
            throw error
        }
        sockets = found
    }

    // A close that fails leaves nothing to do: the descriptor is gone either way.
    deinit { for (descriptor, _) in sockets { try? descriptor.close() } }

    private static func isReady(_ socket: FileDescriptor, in namespace: UInt64) -> Bool {
        (try? SocketFacts(ofReady: socket, in: namespace)) != nil
    }

    private static func sockets(of process: Int32) throws(SocketLookupError) -> [Int32] {
        let directory = FilePath("/proc/\(process)/fd")
        return try Pins.names(in: directory).compactMap { Int32($0) }.sorted().filter { number in
            var target = [CChar](repeating: 0, count: 64)
            let length = readlink(directory.appending("\(number)").string, &target, target.count - 1)
            return length > 0 && strncmp(target, "socket:", 7) == 0
        }
    }
}

/// The network namespace that a dispatcher is for.
enum NetworkNamespace {
    /// The inode of a namespace; of the calling thread's if nil.
    static func inode(of namespace: FileDescriptor?) throws(SocketLookupError) -> UInt64 {
        if let namespace { return try SocketLookup.inode(of: namespace) }
        let own = try checked("open", "opening this thread's network namespace") {
            clinux_current_network_namespace()
        }
        defer { close(own) }
        return try SocketLookup.inode(of: FileDescriptor(rawValue: own))
    }
}
