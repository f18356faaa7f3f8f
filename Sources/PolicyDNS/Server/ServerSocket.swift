import Addressing
import CLinux
import Glibc

/// A socket that a server answers on: a bound UDP socket, or a TCP listener. It is closed with its last copy.
///
/// It may be served by several workers at once; each datagram or connection then goes to one of them.
public struct ServerSocket: Sendable {
    private let owner: Owner
    public let transport: TransportProtocol
    /// What it is bound to: of a wildcard or a steered socket, not the address that a query was sent to.
    public let address: Endpoint
    /// The label that policies match.
    public var label: String
    /// Whether it was handed over, instead of opened because the configuration says so.
    public let isGiven: Bool

    private final class Owner: Sendable {
        let descriptor: Int32

        init(_ descriptor: Int32) { self.descriptor = descriptor }
        deinit { close(descriptor) }
    }

    /// Takes over a descriptor that is known to be what is said of it.
    private init(descriptor: Int32, transport: TransportProtocol, address: Endpoint, label: String, isGiven: Bool) {
        owner = Owner(descriptor)
        self.transport = transport
        self.address = address
        self.label = label
        self.isGiven = isGiven
    }

    /// Valid while there is a copy of this value.
    public var descriptor: Int32 { owner.descriptor }

    /// Whether both are the same socket, whatever their labels.
    func isSame(as other: ServerSocket) -> Bool { owner === other.owner }
}

// MARK: given

extension ServerSocket {
    /// Takes over a socket, which is closed with the last copy of this value, and also where this throws.
    ///
    /// A listener is made non-blocking, for every process that shares it. The reply to a datagram leaves from the
    /// address that was asked, and from the port that the socket is bound to: for a socket that gets its packets by
    /// socket lookup on other ports too, the latter is not the port that was asked.
    ///
    /// - Throws: ``ServerError/unsuitableSocket(descriptor:because:)`` for what is no socket, or neither a bound and
    ///   unconnected UDP socket nor a TCP listener.
    public init(taking descriptor: Int32, label: String) throws(ServerError) {
        do throws(ServerError) {
            let (transport, address) = try ServerSocket.examine(descriptor)
            try ServerSocket.prepare(descriptor, transport)
            self.init(descriptor: descriptor, transport: transport, address: address, label: label, isGiven: true)
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Serves a socket that stays its owner's, through a duplicate of its descriptor.
    ///
    /// - Throws: as ``init(taking:label:)``.
    public init(sharing descriptor: Int32, label: String) throws(ServerError) {
        let duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard duplicate >= 0 else {
            throw .unsuitableSocket(
                descriptor: descriptor, because: "it cannot be duplicated: \(ServerError.text(errno))")
        }
        try self.init(taking: duplicate, label: label)
    }

    private static func examine(_ descriptor: Int32) throws(ServerError) -> (TransportProtocol, Endpoint) {
        func refuse(_ because: String) -> ServerError {
            .unsuitableSocket(descriptor: descriptor, because: because)
        }
        func option(_ name: Int32) throws(ServerError) -> Int32 {
            var value: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            guard getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 else {
                throw refuse(errno == ENOTSOCK ? "it is not a socket" : ServerError.text(errno))
            }
            return value
        }

        let domain = try option(SO_DOMAIN)
        guard domain == AF_INET || domain == AF_INET6 else {
            throw refuse("it is a socket of address family \(domain), not of IPv4 or IPv6")
        }
        let type = try option(SO_TYPE)
        let `protocol` = try option(SO_PROTOCOL)
        guard let address = Endpoint(of: descriptor, getsockname) else {
            throw refuse("getsockname: \(ServerError.text(errno))")
        }
        switch (type, `protocol`) {
        case (Int32(SOCK_DGRAM.rawValue), Int32(IPPROTO_UDP)):
            guard address.port != 0 else { throw refuse("it is a UDP socket that is not bound to a port") }
            if let peer = Endpoint(of: descriptor, getpeername) {
                throw refuse("it is a UDP socket connected to \(peer), which hears from nobody else")
            }
            return (.udp, address)
        case (Int32(SOCK_STREAM.rawValue), Int32(IPPROTO_TCP)):
            guard try option(SO_ACCEPTCONN) != 0 else { throw refuse("it is a TCP socket that does not listen") }
            return (.tcp, address)
        default:
            throw refuse("it is a socket of type \(type) and protocol \(`protocol`), neither UDP nor TCP")
        }
    }

    /// Sets what serving takes, on a socket opened or given.
    fileprivate static func prepare(_ descriptor: Int32, _ transport: TransportProtocol) throws(ServerError) {
        switch transport {
        case .udp:
            let result = clinux_tell_destination(descriptor)
            guard result >= 0 else {
                throw .call("setsockopt", errno: -result, doing: "asking for the destinations of datagrams")
            }
        case .tcp:
            let flags = fcntl(descriptor, F_GETFL)
            guard flags >= 0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 else {
                throw .call("fcntl", errno: errno, doing: "making a listener non-blocking")
            }
            // Connections inherit it. Answers are written as a whole, so waiting for more to send gains nothing.
            var on: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            throw .call("fcntl", errno: errno, doing: "having a socket closed on exec")
        }
    }
}

// MARK: opened

extension ServerSocket {
    /// Bytes of datagrams that may wait: some milliseconds of queries, and no more, lest clients get answers that they
    /// gave up on. The kernel may grant less (net.core.rmem_max).
    private static let receiveBuffer: Int32 = 4 << 20
    /// Bytes of answers under way to a device: enough for some batches.
    private static let sendBuffer: Int32 = 1 << 20
    private static let backlog: Int32 = 4096

    /// Opens a UDP and a TCP socket at the address of a listener, for each of `workers`.
    ///
    /// They share the port by SO_REUSEPORT: the kernel spreads clients over them by a hash. Port 0 is any port that is
    /// free for both transports.
    ///
    /// - Returns: for each worker, its sockets.
    /// - Throws: ``ServerError/call(_:errno:doing:)``.
    static func open(
        _ listener: Configuration.Listener, workers: Int
    ) throws(ServerError) -> [[ServerSocket]] {
        var attempts = listener.address.port == 0 ? 16 : 1
        while true {
            attempts -= 1
            do throws(ServerError) {
                return try openOnce(listener, workers: workers)
            } catch {
                // The port that the kernel chose for UDP may be taken for TCP.
                if case .call("bind", EADDRINUSE, _) = error, attempts > 0 { continue }
                throw error
            }
        }
    }

    private static func openOnce(
        _ listener: Configuration.Listener, workers: Int
    ) throws(ServerError) -> [[ServerSocket]] {
        var address = listener.address
        let label = listener.label ?? Configuration.Listener.defaultLabel
        var opened: [[ServerSocket]] = []
        for _ in 0..<workers {
            let udp = try open(.udp, at: address, label: label)
            address = udp.address
            opened.append([udp, try open(.tcp, at: address, label: label)])
        }
        return opened
    }

    private static func open(
        _ transport: TransportProtocol, at address: Endpoint, label: String
    ) throws(ServerError) -> ServerSocket {
        let place = "opening \(transport) \(address)"
        let v6 = address.address.family == .ipv6
        let type = transport == .udp ? SOCK_DGRAM : SOCK_STREAM
        let descriptor = socket(
            v6 ? AF_INET6 : AF_INET, Int32(type.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw .call("socket", errno: errno, doing: place) }
        do throws(ServerError) {
            func set(_ level: Int, _ option: Int32, _ value: Int32) throws(ServerError) {
                var value = value
                guard setsockopt(descriptor, Int32(level), option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
                else { throw .call("setsockopt", errno: errno, doing: place) }
            }
            try set(Int(SOL_SOCKET), SO_REUSEPORT, 1)
            if transport == .tcp {
                // Else connections of a server before this one keep the port for a minute.
                try set(Int(SOL_SOCKET), SO_REUSEADDR, 1)
            }
            if v6 { try set(Int(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
            if transport == .udp {
                // Beyond the limit that the system sets, if privileged; else up to it.
                if (try? set(Int(SOL_SOCKET), SO_RCVBUFFORCE, receiveBuffer)) == nil {
                    try set(Int(SOL_SOCKET), SO_RCVBUF, receiveBuffer)
                }
                if (try? set(Int(SOL_SOCKET), SO_SNDBUFFORCE, sendBuffer)) == nil {
                    try set(Int(SOL_SOCKET), SO_SNDBUF, sendBuffer)
                }
                // Forged ICMP errors must not have answers cut into fragments (RFC 9715 §3.1).
                if v6 {
                    try set(Int(IPPROTO_IPV6), IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT)
                } else {
                    try set(Int(IPPROTO_IP), IP_MTU_DISCOVER, IP_PMTUDISC_OMIT)
                }
            }
            guard address.withSocketAddress({ bind(descriptor, $0, $1) }) == 0 else {
                throw ServerError.call("bind", errno: errno, doing: place)
            }
            if transport == .tcp, listen(descriptor, backlog) != 0 {
                throw ServerError.call("listen", errno: errno, doing: place)
            }
            try prepare(descriptor, transport)
            guard let bound = Endpoint(of: descriptor, getsockname) else {
                throw ServerError.call("getsockname", errno: errno, doing: place)
            }
            return ServerSocket(
                descriptor: descriptor, transport: transport, address: bound, label: label, isGiven: false)
        } catch {
            close(descriptor)
            throw error
        }
    }
}
