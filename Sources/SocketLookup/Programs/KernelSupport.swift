import Addressing
import CLinux
import Glibc
import SystemPackage

/// What the running kernel can do, by trying it.
///
/// Each probe throws when it cannot tell, as without the privilege to try: that is not a "no".
public enum KernelSupport {
    /// Whether sk_lookup programs load and attach (Linux 5.9).
    public static func skLookup() throws(SocketLookupError) -> Bool {
        guard let program = try passProgram() else { return false }
        defer { close(program) }
        // Not this one: even a program that passes everything costs the others in it time.
        let namespace = try checked("unshare(CLONE_NEWNET)", "probing for sk_lookup") {
            clinux_new_network_namespace()
        }
        defer { close(namespace) }
        let link = clinux_bpf_attach_netns(program, namespace, 0)
        if link == -EINVAL { return false }
        close(try checked("bpf(BPF_LINK_CREATE)", "probing for sk_lookup") { link })
        return true
    }

    /// Whether they can be run without a packet (Linux 5.13, and 5.10.135).
    public static func testRun() throws(SocketLookupError) -> Bool {
        guard let program = try passProgram() else { return false }
        defer { close(program) }
        var lookup = clinux_lookup()
        lookup.family = UInt32(AF_INET)
        lookup.protocol = UInt32(IPPROTO_TCP)
        var returned: UInt32 = 0
        var cookie: UInt64 = 0
        let result = clinux_bpf_test_run(program, &lookup, &returned, &cookie)
        // The kernel's own ENOTSUPP for a type without it.
        if result == -524 || result == -EINVAL { return false }
        try checked("bpf(BPF_PROG_TEST_RUN)", "probing for it") { result }
        return true
    }

    /// Nil if the kernel knows no such program type.
    private static func passProgram() throws(SocketLookupError) -> Int32? {
        let program = clinux_bpf_load_pass()
        // EINVAL: no such program type. ENOSYS: no bpf(2) at all.
        if program == -EINVAL || program == -ENOSYS { return nil }
        guard program >= 0 else {
            throw .call("bpf(BPF_PROG_LOAD)", errno: -program, doing: "probing for sk_lookup", log: libraryLog())
        }
        return program
    }
}
