import Addressing

/// Which socket of a connection: the one that asked, or the one that was accepted.
public enum End: String, Hashable, Sendable, Codable, CaseIterable {
    case client, server
}

/// A system call on an open socket.
public struct SocketCall: Hashable, Sendable, Codable {
    /// A server's socket; with `end`, a connection.
    public var socket: String
    public var end: End?
    public var call: Call
    /// The address of bind and connect.
    public var endpoint: Endpoint?
    /// Listen's; nil for more than any fixture needs.
    public var backlog: Int?

    public enum Call: String, Hashable, Sendable, Codable, CaseIterable {
        case bind, connect, listen, close
        /// connect() with AF_UNSPEC: a UDP socket forgets its peer, a listener stops to listen.
        case disconnect
        case shutdownRead = "shutdown-read"
        case shutdownWrite = "shutdown-write"
        /// Closes a TCP connection's socket without a packet (TCP_REPAIR), as if its host had lost it.
        case vanish
        /// No system call: nothing is accepted or read on the socket until a `resume`.
        case pause, resume
    }

    public init(
        _ call: Call, on socket: String, _ end: End? = nil, endpoint: Endpoint? = nil, backlog: Int? = nil
    ) {
        self.socket = socket
        self.end = end
        self.call = call
        self.endpoint = endpoint
        self.backlog = backlog
    }

    var summary: String {
        "\(call.rawValue) \(socket)" + (end.map { " (\($0.rawValue)'s end)" } ?? "")
            + (endpoint.map { " \($0)" } ?? "")
    }
}

/// How many sockets a namespace has, those that nothing but a leaked reference keeps included.
public struct SocketCount: Hashable, Sendable, Codable {
    public var namespace: String
    /// A socket is freed some time after it is closed, so this many are waited for.
    public var until: Int

    public init(in namespace: String, until: Int) {
        self.namespace = namespace
        self.until = until
    }
}

/// Which socket the kernel finds for a pair of endpoints, asked through sock_diag(7) and not by a packet.
public struct SocketQuery: Hashable, Sendable, Codable {
    public var namespace: String
    public var `protocol`: TransportProtocol
    public var local: Endpoint
    public var remote: Endpoint

    public init(in namespace: String, _ protocol: TransportProtocol, local: Endpoint, remote: Endpoint) {
        self.namespace = namespace
        self.protocol = `protocol`
        self.local = local
        self.remote = remote
    }
}
