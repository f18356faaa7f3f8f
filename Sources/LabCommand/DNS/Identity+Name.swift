import Glibc
import PolicyDNS
import Report

extension Identity {
    /// The user of a name, or of a number, with the groups that the system's databases give it.
    ///
    /// Here, and not in PolicyDNS: looking names up takes the C library's shared modules (NSS), which a static guest
    /// has not.
    ///
    /// - Throws: ``UnknownUser``.
    init(named name: String) throws {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 65536)
        if getpwnam_r(name, &entry, &buffer, buffer.count, &found) != 0 || found == nil {
            guard let number = uid_t(name), getpwuid_r(number, &entry, &buffer, buffer.count, &found) == 0, found != nil
            else { throw UnknownUser(name: name) }
        }
        // The entry's texts are in the buffer.
        let (user, group, login) = (entry.pw_uid, entry.pw_gid, entry.pw_name.map { String(cString: $0) } ?? name)
        var groups = [gid_t](repeating: 0, count: 1024)
        var count = Int32(groups.count)
        guard getgrouplist(login, group, &groups, &count) >= 0 else { throw UnknownUser(name: name) }
        self.init(user: user, group: group, groups: Array(groups.prefix(Int(count))))
    }
}

/// A user that the system does not know.
struct UnknownUser: StatusCarrying, Hashable, CustomStringConvertible {
    let name: String
    var status: ExitStatus { .usage }

    var description: String { "there is no user '\(name)': name one of this system's, or leave 'user' out" }
}
