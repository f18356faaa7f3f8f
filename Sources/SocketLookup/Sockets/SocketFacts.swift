import Addressing
import CLinux
import Glibc
import SystemPackage

/// What the kernel says about a socket, as far as it decides which packets can be led to it.
public struct SocketFacts: Hashable, Sendable {
    /// TCP or UDP.
    public var `protocol`: TransportProtocol
    /// The families of the packets that it can take: both for a dual-stack one.
    public var families: [AddressFamily]
    /// What it is bound to. A dual-stack socket's is an IPv6 address, and a mapped one if it takes IPv4 alone.
    public var address: Endpoint
    /// Its identity: unique, and never used again.
    public var cookie: UInt64

    /// Asks the kernel about a socket, whatever state it is in.
    ///
    /// - Throws: ``SocketLookupError/unsuitableSocket(descriptor:because:)`` for anything but TCP or UDP over IP.
    public init(of socket: FileDescriptor) throws(SocketLookupError) {
        let domain: Int32 = try option(SO_DOMAIN, "SO_DOMAIN", of: socket)
        guard domain == AF_INET || domain == AF_INET6 else {
            throw .unsuitableSocket(descriptor: socket.rawValue, because: .family(domain))
        }
        let number: Int32 = try option(SO_PROTOCOL, "SO_PROTOCOL", of: socket)
        guard let `protocol` = TransportProtocol.allCases.first(where: { $0.number == number }) else {
            throw .unsuitableSocket(descriptor: socket.rawValue, because: .protocol(number))
        }
        let type: Int32 = try option(SO_TYPE, "SO_TYPE", of: socket)
        let expected = `protocol` == .tcp ? SOCK_STREAM : SOCK_DGRAM
        guard type == Int32(expected.rawValue) else {
            throw .unsuitableSocket(descriptor: socket.rawValue, because: .type(type))
        }
        self.protocol = `protocol`
        address = try localAddress(of: socket)
        cookie = try option(SO_COOKIE, "SO_COOKIE", of: socket)
        guard domain == AF_INET6 else {
            families = [.ipv4]
            return
        }
        let only: Int32 = try option(IPV6_V6ONLY, "IPV6_V6ONLY", level: Int32(IPPROTO_IPV6), of: socket)
        if only != 0 {
            families = [.ipv6]
        } else {
            families = Prefix(address.address).isMapped ? [.ipv4] : [.ipv6, .ipv4]
        }
    }

    /// Of a socket that new packets can be led to.
    ///
    /// The kernel takes some others into its maps, and finds out only when a packet comes.
    ///
    /// - Parameter namespace: The inode of the network namespace that it must be in.
    /// - Throws: ``SocketLookupError/unsuitableSocket(descriptor:because:)``.
    init(ofReady socket: FileDescriptor, in namespace: UInt64) throws(SocketLookupError) {
        try self.init(of: socket)
        if let because = try obstacle(socket, namespace) {
            throw .unsuitableSocket(descriptor: socket.rawValue, because: because)
        }
    }

    private func obstacle(
        _ socket: FileDescriptor, _ namespace: UInt64
    ) throws(SocketLookupError) -> SocketUnsuitability? {
        let own = try checked("ioctl(SIOCGSKNS)", "asking for the namespace of the socket \(socket.rawValue)") {
            clinux_socket_network_namespace(socket.rawValue)
        }
        defer { close(own) }
        let inode = try inode(of: FileDescriptor(rawValue: own))
        guard inode == namespace else { return .otherNamespace(inode, dispatcher: namespace) }
        var peer = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let hasPeer = withUnsafeMutablePointer(to: &peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(socket.rawValue, $0, &size) == 0 }
        }
        if hasPeer { return .connected }
        switch `protocol` {
        case .tcp:
            let listens: Int32 = try option(SO_ACCEPTCONN, "SO_ACCEPTCONN", of: socket)
            return listens == 0 ? .notListening : nil
        case .udp: return address.port == 0 ? .unbound : nil
        }
    }
}

/// The inode of a network namespace, which is its identity while it lives.
func inode(of namespace: FileDescriptor) throws(SocketLookupError) -> UInt64 {
    var status = stat()
    try performed("fstat", "examining a network namespace") { fstat(namespace.rawValue, &status) }
    return UInt64(status.st_ino)
}

private func localAddress(of socket: FileDescriptor) throws(SocketLookupError) -> Endpoint {
    // Large enough for either family; the port is at the same place in both, and an IPv4 address at the flow's.
    var address = sockaddr_in6()
    var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
    try performed("getsockname", "examining the socket \(socket.rawValue)") {
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket.rawValue, $0, &size) }
        }
    }
    let port = UInt16(bigEndian: address.sin6_port)
    guard Int32(address.sin6_family) == AF_INET6 else {
        return Endpoint(.v4(UInt32(bigEndian: address.sin6_flowinfo)), port)
    }
    let bits = withUnsafeBytes(of: address.sin6_addr) { $0.reduce(UInt128(0)) { $0 << 8 | UInt128($1) } }
    return Endpoint(.v6(bits), port)
}

private func option<Value: FixedWidthInteger>(
    _ number: Int32, _ name: String, level: Int32 = SOL_SOCKET, of socket: FileDescriptor
) throws(SocketLookupError) -> Value {
    var value: Value = 0
    var size = socklen_t(MemoryLayout<Value>.size)
    guard getsockopt(socket.rawValue, level, number, &value, &size) == 0 else {
        switch errno {
        case EBADF: throw .unsuitableSocket(descriptor: socket.rawValue, because: .notADescriptor)
        case ENOTSOCK: throw .unsuitableSocket(descriptor: socket.rawValue, because: .notASocket)
        default:
            throw .call(
                "getsockopt(\(name))", errno: errno, doing: "examining the descriptor \(socket.rawValue)", log: nil)
        }
    }
    return value
}
