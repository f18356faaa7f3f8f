import CLinux
import Glibc

/// Whom a server becomes once its sockets are open.
public struct Identity: Hashable, Sendable {
    public var user: uid_t
    public var group: gid_t
    /// Supplementary groups.
    public var groups: [gid_t]

    public init(user: uid_t, group: gid_t, groups: [gid_t] = []) {
        self.user = user
        self.group = group
        self.groups = groups
    }
}

/// What a process may do.
public enum Privileges {
    /// Becomes `identity` for good, in all threads, and verifies that no capability is left, nor a way back.
    ///
    /// Call this after ``ServerSockets/open(_:given:)`` and before ``Server/run(_:on:clock:tell:_:)``: only the calling
    /// thread and those that are started later are kept from gaining privileges by exec. Afterwards, a reload can open
    /// ports from 1024 on only, or whatever net.ipv4.ip_unprivileged_port_start says.
    ///
    /// A process that is not privileged can become only whom it is already, and is left as it is.
    ///
    /// - Throws: ``ServerError/call(_:errno:doing:)``. The process may have changed in part by then, and should end.
    public static func drop(to identity: Identity) throws(ServerError) {
        if geteuid() != 0, getuid() == identity.user, geteuid() == identity.user, getegid() == identity.group { return }
        var call: UnsafePointer<CChar>?
        let result = clinux_become(identity.user, identity.group, identity.groups, identity.groups.count, &call)
        guard result == 0 else {
            throw .call(
                call.map { String(cString: $0) } ?? "setuid", errno: -result,
                doing: "becoming user \(identity.user) of group \(identity.group)")
        }
    }
}
