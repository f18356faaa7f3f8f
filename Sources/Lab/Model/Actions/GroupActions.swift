import Addressing

/// A program that picks a member of the reuseport group that a socket is in (SO_ATTACH_REUSEPORT_EBPF).
public struct GroupProgram: Hashable, Sendable, Codable {
    public var socket: String
    public var program: String

    public init(_ program: String, to socket: String) {
        self.program = program
        self.socket = socket
    }
}

/// A classic filter that always picks the same member of a reuseport group (SO_ATTACH_REUSEPORT_CBPF).
public struct GroupFilter: Hashable, Sendable, Codable {
    public var socket: String
    /// The member's place, from 0 in the order in which they joined.
    public var member: UInt32

    public init(picking member: UInt32, to socket: String) {
        self.member = member
        self.socket = socket
    }
}

/// Flows from one port after another, each begun twice: which sockets get them?
public struct Spread: Hashable, Sendable, Codable {
    public var from: String
    public var `protocol`: TransportProtocol
    public var to: Endpoint
    /// Goes on until each of these has had one,
    public var among: [String]
    /// and until there were this many,
    public var atLeast: Int
    /// but no longer than this.
    public var atMost: Int

    private enum CodingKeys: String, CodingKey {
        case from, `protocol`, to, among
        case atLeast = "at-least"
        case atMost = "at-most"
    }

    public init(
        from: String, _ protocol: TransportProtocol, to: Endpoint, among: [String], atLeast: Int = 8, atMost: Int = 256
    ) {
        self.from = from
        self.protocol = `protocol`
        self.to = to
        self.among = among
        self.atLeast = atLeast
        self.atMost = atMost
    }
}

/// Changes an option of a server's socket that is open.
public struct OptionChange: Hashable, Sendable, Codable {
    public var socket: String
    public var option: SocketOption

    public init(_ option: SocketOption, of socket: String) {
        self.option = option
        self.socket = socket
    }
}

/// Connects a server's UDP socket to a peer.
public struct PeerChange: Hashable, Sendable, Codable {
    public var socket: String
    public var to: Endpoint

    public init(_ socket: String, to peer: Endpoint) {
        self.socket = socket
        to = peer
    }
}
