import Addressing

/// The part of a binding that packets are compared with.
public struct Match: Hashable, Sendable, CustomStringConvertible {
    public var `protocol`: TransportProtocol
    public var prefix: Prefix
    public var ports: PortRange

    public init(_ protocol: TransportProtocol, _ prefix: Prefix, _ ports: PortRange) {
        self.protocol = `protocol`
        self.prefix = prefix
        self.ports = ports
    }

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
    public var match: Match
    /// 1–64 bytes of UTF-8.
    public var label: String
    public var otherwise: Fallback

    public init(_ match: Match, to label: String, otherwise: Fallback = .drop) {
        self.match = match
        self.label = label
        self.otherwise = otherwise
    }

    public var description: String { "\(match) → \(label)\(otherwise == .pass ? ", else pass" : "")" }
}
