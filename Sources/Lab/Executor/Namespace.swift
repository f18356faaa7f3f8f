import CLinux
import Glibc

/// A network namespace that exists as long as this value, a socket or an attached device in it does.
///
/// It has no name in /run/netns: when the process dies, however it dies, the namespace goes with it.
final class Namespace {
    let name: String
    private let descriptor: Int32

    /// Makes it from within `parent`, or else the calling thread's: a few of a namespace's properties, such as the
    /// size of its tables of sockets, are decided by its parent's sysctls.
    init(name: String, parent: Namespace? = nil) throws {
        let descriptor =
            if let parent {
                try parent.enter { clinux_new_network_namespace() }
            } else {
                clinux_new_network_namespace()
            }
        guard descriptor >= 0 else {
            throw ExecutorError.call(
                "unshare", errno: ErrorNumber(returned: descriptor), doing: "making namespace \(name)")
        }
        self.name = name
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// A path by which other processes can open it while this one holds it.
    var path: String { "/proc/\(getpid())/fd/\(descriptor)" }

    /// The open namespace, to attach programs to.
    var rawDescriptor: Int32 { descriptor }

    /// The number by which the kernel tells namespaces apart.
    func inode() throws -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw ExecutorError.call("fstat", errno: .current, doing: "examining namespace \(name)")
        }
        return UInt64(status.st_ino)
    }

    /// Runs `body` with the calling thread in this namespace.
    ///
    /// `body` is synchronous, so the thread cannot change under it. A thread that could not return to its
    /// own namespace would perform everything that follows in the wrong place, so that ends the process.
    func enter<Success>(_ body: () throws -> Success) throws -> Success {
        let own = clinux_current_network_namespace()
        guard own >= 0 else {
            throw ExecutorError.call(
                "open", errno: ErrorNumber(returned: own), doing: "remembering the thread's own namespace")
        }
        defer { close(own) }
        let entered = clinux_enter_network_namespace(descriptor)
        guard entered == 0 else {
            throw ExecutorError.call(
                "setns", errno: ErrorNumber(returned: entered), doing: "entering namespace \(name)")
        }
        defer {
            let left = clinux_enter_network_namespace(own)
            precondition(left == 0, "a thread could not leave namespace \(name): \(ErrorNumber(returned: left))")
        }
        return try body()
    }
}

// /proc/sys/net and /proc/thread-self/net show the namespace of the thread that opens them.
extension Namespace {
    private func path(of key: String) -> String { "/proc/sys/" + key.split(separator: ".").joined(separator: "/") }

    /// Whether the kernel has this sysctl.
    func has(_ key: String) throws -> Bool {
        try enter { access(path(of: key), F_OK) == 0 }
    }

    /// Sets a sysctl; what the kernel refuses is a ``KernelRefusal``.
    func write(_ value: String, to key: String) throws {
        try enter {
            let descriptor = open(path(of: key), O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw KernelRefusal("open") }
            defer { close(descriptor) }
            let bytes = Array(value.utf8)
            guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw KernelRefusal("write") }
        }
    }

    /// A whole file of /proc.
    func read(_ path: String) throws -> String {
        try enter {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                throw ExecutorError.call("open", errno: .current, doing: "reading \(path) in \(name)")
            }
            defer { close(descriptor) }
            var text: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = Glibc.read(descriptor, &buffer, buffer.count)
                guard count > 0 else { return String(decoding: text, as: UTF8.self) }
                text += buffer[..<count]
            }
        }
    }
}
