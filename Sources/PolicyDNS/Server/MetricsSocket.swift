import Addressing
import Glibc

/// A TCP listener for metrics, closed with its last owner.
public final class MetricsSocket: Sendable {
    let descriptor: Int32
    public let address: Endpoint

    private init(descriptor: Int32, address: Endpoint) {
        self.descriptor = descriptor
        self.address = address
    }

    deinit { close(descriptor) }

    /// Opens a listener; without SO_REUSEPORT, so that two servers cannot take turns in answering for each other.
    ///
    /// - Throws: ``ServerError/call(_:errno:doing:)``.
    public static func open(_ address: Endpoint) throws(ServerError) -> MetricsSocket {
        let place = "opening metrics at \(address)"
        let descriptor = Glibc.socket(
            address.address.family == .ipv6 ? AF_INET6 : AF_INET,
            Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw .call("socket", errno: errno, doing: place) }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard address.withSocketAddress({ bind(descriptor, $0, $1) }) == 0 else {
            let error = ServerError.call("bind", errno: errno, doing: place)
            close(descriptor)
            throw error
        }
        guard listen(descriptor, 16) == 0, let bound = Endpoint(of: descriptor, getsockname) else {
            let error = ServerError.call("listen", errno: errno, doing: place)
            close(descriptor)
            throw error
        }
        return MetricsSocket(descriptor: descriptor, address: bound)
    }
}
