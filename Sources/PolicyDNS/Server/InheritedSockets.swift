import Glibc

/// Sockets that a service manager opened (sd_listen_fds(3)): descriptors from 3 on, with names.
public enum InheritedSockets {
    static let firstDescriptor: Int32 = 3

    /// Takes over the sockets that `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` tell of; none if they are meant for
    /// another process, or are not set.
    ///
    /// The name of a socket is its label; one without a name (`unknown`, or empty) has the default label. Each is
    /// served by all workers. Whoever calls this should then remove the variables, which are not meant for children.
    ///
    /// - Throws: ``ServerError/inheritance(variable:value:because:)``, or
    ///   ``ServerError/unsuitableSocket(descriptor:because:)``.
    public static func take(
        from environment: [String: String], process: Int32 = getpid()
    ) throws(ServerError) -> [ServerSocket] {
        var sockets: [ServerSocket] = []
        for (descriptor, label) in try announced(environment, process: process) {
            sockets.append(try ServerSocket(taking: descriptor, label: label))
        }
        return sockets
    }

    /// What the variables say, without a look at the descriptors.
    static func announced(
        _ environment: [String: String], process: Int32
    ) throws(ServerError) -> [(descriptor: Int32, label: String)] {
        guard let owner = environment["LISTEN_PID"] else { return [] }
        guard let owner = Int32(owner), owner > 0 else {
            throw .inheritance(variable: "LISTEN_PID", value: owner, because: "it is not a process number")
        }
        guard owner == process, let text = environment["LISTEN_FDS"] else { return [] }
        guard let count = Int32(text), (0...limit).contains(count) else {
            throw .inheritance(
                variable: "LISTEN_FDS", value: text, because: "it is not a number of descriptors, 0 to \(limit)")
        }
        var labels = [String](repeating: "", count: Int(count))
        if let names = environment["LISTEN_FDNAMES"] {
            labels =
                count == 0 && names.isEmpty
                ? [] : names.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard labels.count == Int(count) else {
                throw .inheritance(
                    variable: "LISTEN_FDNAMES", value: names,
                    because: "it names \(labels.count) descriptors, and LISTEN_FDS says \(count)")
            }
        }
        return labels.enumerated().map { index, name in
            let isNamed = !name.isEmpty && name != "unknown"
            return (firstDescriptor + Int32(index), isNamed ? name : Configuration.Listener.defaultLabel)
        }
    }

    private static let limit: Int32 = 4096
}
