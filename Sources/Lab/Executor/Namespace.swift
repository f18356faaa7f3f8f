import CLinux
import Glibc

/// A network namespace that exists as long as this value, a socket or an attached device in it does.
///
/// It has no name in /run/netns: when the process dies, however it dies, the namespace goes with it.
final class Namespace {
    let name: String
    private let descriptor: Int32

    init(name: String) throws(ExecutorError) {
        let descriptor = clinux_new_network_namespace()
        guard descriptor >= 0 else {
            throw .call("unshare", errno: ErrorNumber(returned: descriptor), doing: "making namespace \(name)")
        }
        self.name = name
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// A path by which other processes can open it while this one holds it.
    var path: String { "/proc/\(getpid())/fd/\(descriptor)" }

    /// The open namespace, to attach programs to.
    var rawDescriptor: Int32 { descriptor }

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
            throw ExecutorError.call("setns", errno: ErrorNumber(returned: entered), doing: "entering namespace \(name)")
        }
        defer {
            let left = clinux_enter_network_namespace(own)
            if left != 0 {
                fputs("lab: a thread could not leave namespace \(name): \(ErrorNumber(returned: left))\n", stderr)
                abort()
            }
        }
        return try body()
    }
}
