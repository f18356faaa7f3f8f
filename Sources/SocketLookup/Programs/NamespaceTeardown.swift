import CLinux
import Glibc
import SystemPackage

/// Waiting for the kernel to have dismantled network namespaces.
///
/// The last descriptor of a namespace only queues it for `cleanup_net`, which works through its queue in batches.
/// What goes wrong there is logged then, and memory is freed then.
package enum NamespaceTeardown {
    /// Waits until every namespace that nothing held before this call is gone.
    ///
    /// A link says that its namespace is dismantled at the start of that namespace's batch. So once a sentinel
    /// that was let go after the namespaces says so, their batch has begun; and once a second sentinel does, which
    /// was let go after that, their batch is over.
    ///
    /// - Returns: whether they were gone before the deadline; true at once where the kernel has no sk_lookup links
    ///   to ask.
    package static func wait(until deadline: ContinuousClock.Instant) async throws -> Bool {
        guard try KernelSupport.skLookup() else { return true }
        for _ in 0..<2 where try await !sentinel().isDismantled(before: deadline) { return false }
        return true
    }

    /// A link that tells when the kernel begins to dismantle a namespace.
    package struct Watch: ~Copyable {
        private let link: Int32

        /// Attaches a program that passes everything; the watch ends with this value.
        package init(_ namespace: FileDescriptor) throws(SocketLookupError) {
            let doing = "watching a namespace"
            let program = try checked("bpf(BPF_PROG_LOAD)", doing) { clinux_bpf_load_pass() }
            defer { close(program) }
            link = try checked("bpf(BPF_LINK_CREATE)", doing) {
                clinux_bpf_attach_netns(program, namespace.rawValue, 0)
            }
        }

        deinit { close(link) }

        /// Waits for it, once nothing is known to hold the namespace.
        package func isDismantled(before deadline: ContinuousClock.Instant) async throws -> Bool {
            while true {
                var inode: UInt32 = 0
                try checked("bpf(BPF_OBJ_GET_INFO_BY_FD)", "asking for a link's namespace") {
                    clinux_bpf_link_namespace(link, &inode)
                }
                if inode == 0 { return true }
                guard ContinuousClock.now < deadline else { return false }
                // Nothing announces the end of a namespace, so this asks again.
                try await Task.sleep(for: .milliseconds(2))
            }
        }
    }

    /// A namespace that nothing else holds.
    ///
    /// A netlink socket, as ip(8) opens one in every namespace, holds its namespace for an RCU grace period after it
    /// was closed. One is closed in the sentinel, too, so that it does not go before namespaces that were left earlier.
    private static func sentinel() throws(SocketLookupError) -> Watch {
        let namespace = FileDescriptor(
            rawValue: try checked("unshare(CLONE_NEWNET)", "waiting for namespaces to go") {
                clinux_new_network_namespace()
            })
        defer { try? namespace.close() }
        try checked("socket(AF_NETLINK)", "waiting for namespaces to go") {
            clinux_touch_netlink(namespace.rawValue)
        }
        return try Watch(namespace)
    }
}
