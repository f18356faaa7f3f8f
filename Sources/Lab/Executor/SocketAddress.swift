import Addressing
import CLinux
import Glibc
import SocketLookup
import Sockets

extension TransportProtocol {
    var socketType: Int32 {
        switch self {
        case .tcp: Int32(SOCK_STREAM.rawValue)
        case .udp: Int32(SOCK_DGRAM.rawValue)
        }
    }
}

extension Endpoint {
    /// Calls `body` with the endpoint as a sockaddr_in or sockaddr_in6.
    ///
    /// A link-local address needs a device. Fixtures have such addresses on loopback, whose number is 1.
    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result) rethrows -> Result {
        let isLinkLocal = address.family == .ipv6 && address.bits >> 118 == 0x3FA
        return try withSocketAddress(device: isLinkLocal ? 1 : 0, body)
    }
}
