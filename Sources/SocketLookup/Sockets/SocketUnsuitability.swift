import Addressing
import Glibc

/// Why packets cannot be led to what a descriptor is.
public enum SocketUnsuitability: Hashable, Sendable {
    /// Nothing is open by that number (EBADF).
    case notADescriptor
    /// It is a file, a pipe or the like (ENOTSOCK).
    case notASocket
    /// Neither AF_INET nor AF_INET6.
    case family(Int32)
    /// Neither TCP nor UDP (IPPROTO_…); 262 is MPTCP, which the kernel keeps out of maps of sockets.
    case `protocol`(Int32)
    /// Neither a stream nor datagrams, such as a raw socket of TCP's number.
    case type(Int32)
    /// It has a peer, so it takes packets of that peer alone.
    case connected
    /// A TCP socket that takes no connections.
    case notListening
    /// A UDP socket without a port.
    case unbound
    /// Inodes of network namespaces.
    case otherNamespace(UInt64, dispatcher: UInt64)
    /// The kernel's refusal, for a reason that none of the others is.
    case refused(errno: Int32)
}

extension SocketUnsuitability: CustomStringConvertible {
    /// The reason, and what to do about it.
    public var description: String {
        switch self {
        case .notADescriptor: "it is not open"
        case .notASocket: "it is not a socket"
        case .family(let number):
            "its family is \(number == AF_UNIX ? "AF_UNIX" : "\(number)"), neither AF_INET nor AF_INET6"
        case .protocol(262):
            "it is MPTCP, which the kernel cannot lead packets to: make it with IPPROTO_TCP "
                + "(in Go, GODEBUG=multipathtcp=0)"
        case .protocol(let number): "it is protocol \(number), neither TCP nor UDP"
        case .type(let number): "its type is \(number), neither SOCK_STREAM nor SOCK_DGRAM"
        case .connected: "it is connected: register the socket that listens, or a UDP socket without a peer"
        case .notListening: "it does not listen: call listen(2) first"
        case .unbound: "it is not bound: bind(2) it first, to any address and port"
        case .otherNamespace(let its, let dispatcher):
            "it is in the network namespace \(its), and the dispatcher in \(dispatcher)"
        case .refused(let number): "the kernel refuses it: \(String(cString: strerror(number))) (errno \(number))"
        }
    }
}
