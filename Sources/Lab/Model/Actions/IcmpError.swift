import Addressing

/// An ICMP error about a packet that a socket is said to have sent.
public struct IcmpError: Hashable, Sendable, Codable {
    /// Where it arrives, over loopback.
    public var namespace: String
    /// The sender: a server's UDP socket; with `end`, a connection.
    public var about: String
    public var end: End?
    /// Whom the packet was sent to; nil for the socket's peer.
    public var to: Endpoint?
    public var error: Kind
    /// With `too-big`: the path's MTU.
    public var mtu: Int?

    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        case portUnreachable = "port-unreachable"
        /// Fragmentation needed, in IPv4's words.
        case tooBig = "too-big"
    }

    public init(
        _ error: Kind, in namespace: String, about: String, _ end: End? = nil, to: Endpoint? = nil, mtu: Int? = nil
    ) {
        self.namespace = namespace
        self.about = about
        self.end = end
        self.to = to
        self.error = error
        self.mtu = mtu
    }

    var summary: String {
        "ICMP \(error.rawValue) about a packet of \(about)" + (end.map { "'s \($0.rawValue)" } ?? "")
            + (to.map { " to \($0)" } ?? "")
    }
}
