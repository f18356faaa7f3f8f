import Addressing

/// The part of a binding that packets are compared with.
public struct Match: Hashable, Sendable, CustomStringConvertible {
    /// What the packets are of.
    public var `protocol`: TransportProtocol
    /// Where they go, which no interface needs to have. IPv4 packets match IPv4 prefixes, never v4-mapped ones.
    public var prefix: Prefix
    /// The ports that they go to.
    public var ports: PortRange

    /// The packets of a protocol to a prefix and port range.
    public init(_ protocol: TransportProtocol, _ prefix: Prefix, _ ports: PortRange) {
        self.protocol = `protocol`
        self.prefix = prefix
        self.ports = ports
    }

    /// As a command line has it: `tcp 192.0.2.0/24 8000-8010`.
    public var description: String { "\(`protocol`.rawValue) \(prefix) \(ports)" }
}

/// What a binding does while its label has no live socket.
public enum Fallback: String, Hashable, Sendable, Codable, CaseIterable {
    /// The packet is refused: RST, or ICMP port unreachable.
    case drop
    /// Ordinary lookup finds a socket, or none.
    case pass
}

/// Leads the packets of a protocol to a prefix and port range to the sockets of a label.
///
/// Of the bindings that match a packet the one with the most specific prefix holds, and of those the one with the
/// narrowest port range.
public struct Binding: Hashable, Sendable, CustomStringConvertible {
    /// Which packets it leads. A dispatcher has one binding for a match.
    public var match: Match
    /// What it leads to: a name of 1–64 bytes of UTF-8, under which sockets are registered before or after.
    public var label: String
    /// What becomes of packets while the label has no live socket.
    public var otherwise: Fallback

    /// Leads the packets of a match to a label.
    public init(_ match: Match, to label: String, otherwise: Fallback = .drop) {
        self.match = match
        self.label = label
        self.otherwise = otherwise
    }

    /// As a listing has it: `tcp 192.0.2.0/24 8000-8010 → web`.
    public var description: String { "\(match) → \(label)\(otherwise == .pass ? ", else pass" : "")" }
}
