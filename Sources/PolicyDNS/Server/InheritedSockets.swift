import Glibc
import Sockets
import SystemPackage

/// Sockets that a service manager opened (sd_listen_fds(3)): descriptors from 3 on, with names.
public enum InheritedSockets {
    /// Takes over the sockets that `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` tell of; none if they are meant for
    /// another process, or are not set.
    ///
    /// The name of a socket is its label; one without a name (`unknown`, or empty) has the default label. Each is
    /// served by all workers. Whoever calls this should then remove the variables, which are not meant for children.
    ///
    /// - Throws: ``ServerError/inheritance(_:)``, or
    ///   ``ServerError/unsuitableSocket(descriptor:because:)``.
    public static func take(
        from environment: [String: String], process: Int32 = getpid()
    ) throws(ServerError) -> [ServerSocket] {
        let announced: [(descriptor: FileDescriptor, name: String?)]
        do throws(InheritanceError) {
            announced = try InheritedDescriptors.announced(in: environment, process: process)
        } catch {
            throw .inheritance(error)
        }
        var sockets: [ServerSocket] = []
        for (descriptor, name) in announced {
            sockets.append(
                try ServerSocket(taking: descriptor.rawValue, label: name ?? Configuration.Listener.defaultLabel))
        }
        return sockets
    }
}
