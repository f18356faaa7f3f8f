import Addressing
import Glibc
import SystemPackage

/// What the kernel says about a socket, as far as it decides which packets can be led to it.
public struct SocketFacts: Hashable, Sendable {
    public var `protocol`: TransportProtocol
    /// The families of the packets that it can take: both for a dual-stack one.
    public var families: [AddressFamily]
    /// Its identity: unique, and never used again.
    public var cookie: UInt64

    /// - Throws: ``SocketLookupError/unsuitableSocket(descriptor:because:)`` for anything but TCP or UDP over IP.
    public init(of socket: FileDescriptor) throws(SocketLookupError) {
        let domain: Int32 = try option(SO_DOMAIN, "SO_DOMAIN", of: socket)
        let number: Int32 = try option(SO_PROTOCOL, "SO_PROTOCOL", of: socket)
        guard let `protocol` = TransportProtocol.allCases.first(where: { $0.number == number }) else {
            // MPTCP's, which glibc of this age does not name.
            let what = number == 262 ? "MPTCP" : "protocol \(number)"
            throw .unsuitableSocket(descriptor: socket.rawValue, because: "it is \(what), neither TCP nor UDP")
        }
        self.protocol = `protocol`
        cookie = try option(SO_COOKIE, "SO_COOKIE", of: socket)
        switch domain {
        case AF_INET: families = [.ipv4]
        case AF_INET6:
            let only: Int32 = try option(IPV6_V6ONLY, "IPV6_V6ONLY", level: Int32(IPPROTO_IPV6), of: socket)
            if only != 0 {
                families = [.ipv6]
            } else {
                families = try isMapped(socket) ? [.ipv4] : [.ipv6, .ipv4]
            }
        default:
            throw .unsuitableSocket(
                descriptor: socket.rawValue, because: "its domain is \(domain), neither AF_INET nor AF_INET6")
        }
    }
}

/// Whether an IPv6 socket is bound to a v4-mapped address, and so takes IPv4 only.
private func isMapped(_ socket: FileDescriptor) throws(SocketLookupError) -> Bool {
    var address = sockaddr_in6()
    var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let result = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket.rawValue, $0, &size) }
    }
    guard result == 0 else {
        throw .call("getsockname", errno: errno, doing: "examining the socket \(socket.rawValue)", log: nil)
    }
    let bytes = withUnsafeBytes(of: address.sin6_addr) { Array($0) }
    return bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
}

private func option<Value: FixedWidthInteger>(
    _ number: Int32, _ name: String, level: Int32 = SOL_SOCKET, of socket: FileDescriptor
) throws(SocketLookupError) -> Value {
    var value: Value = 0
    var size = socklen_t(MemoryLayout<Value>.size)
    guard getsockopt(socket.rawValue, level, number, &value, &size) == 0 else {
        throw .call(
            "getsockopt(\(name))", errno: errno, doing: "examining the descriptor \(socket.rawValue)", log: nil)
    }
    return value
}
