import CLinux
import Glibc

/// Waiting for the kernel to have dismantled network namespaces.
///
/// The last descriptor of a namespace only queues it for `cleanup_net`, which works through its queue in batches.
/// What goes wrong there is logged then, and memory is freed then.
public enum NamespaceTeardown {
    /// Waits until every namespace that nothing held before this call is gone.
    ///
    /// A link says that its namespace is dismantled at the start of that namespace's batch. So once a sentinel
    /// that was let go after the namespaces says so, their batch has begun; and once a second sentinel does, which
    /// was let go after that, their batch is over.
    ///
    /// - Returns: whether they were gone before the deadline; true at once where the kernel has no sk_lookup links
    ///   to ask.
    public static func wait(until deadline: ContinuousClock.Instant) async throws -> Bool {
        guard try KernelSupport.skLookup() else { return true }
        for _ in 0..<2 {
            let link = try sentinel()
            defer { close(link) }
            while try isAttached(link) {
                guard ContinuousClock.now < deadline else { return false }
                // Nothing announces the end of a namespace, so this asks again.
                try await Task.sleep(for: .milliseconds(2))
            }
        }
        return true
    }

    /// A link to a namespace that nothing else holds.
    private static func sentinel() throws(SocketLookupError) -> Int32 {
        let doing = "waiting for namespaces to go"
        let program = try checked("bpf(BPF_PROG_LOAD)", doing) { clinux_bpf_load_pass() }
        defer { close(program) }
        let namespace = try checked("unshare(CLONE_NEWNET)", doing) { clinux_new_network_namespace() }
        defer { close(namespace) }
        return try checked("bpf(BPF_LINK_CREATE)", doing) { clinux_bpf_attach_netns(program, namespace, 0) }
    }

    private static func isAttached(_ link: Int32) throws(SocketLookupError) -> Bool {
        var inode: UInt32 = 0
        try checked("bpf(BPF_OBJ_GET_INFO_BY_FD)", "asking for a link's namespace") {
            clinux_bpf_link_namespace(link, &inode)
        }
        return inode != 0
    }
}
