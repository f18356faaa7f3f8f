import Addressing
import SocketLookup

/// A binding of a pinned dispatcher, written as a line: `tcp 192.0.2.0/24 80 web`, or `… web else pass`.
public struct DispatcherBinding: Hashable, Sendable {
    public var `protocol`: TransportProtocol
    public var prefix: Prefix
    public var ports: PortRange
    public var label: String
    public var otherwise: Fallback

    public init(
        _ protocol: TransportProtocol, _ prefix: Prefix, _ ports: PortRange, to label: String,
        otherwise: Fallback = .drop
    ) {
        self.protocol = `protocol`
        self.prefix = prefix
        self.ports = ports
        self.label = label
        self.otherwise = otherwise
    }

    init(_ binding: SocketLookup.Binding) {
        let match = binding.match
        self.init(match.protocol, match.prefix, match.ports, to: binding.label, otherwise: binding.otherwise)
    }

    var binding: SocketLookup.Binding {
        SocketLookup.Binding(Match(`protocol`, prefix, ports), to: label, otherwise: otherwise)
    }
}

extension DispatcherBinding: CustomStringConvertible {
    private static let elsePass = " else pass"

    public var description: String {
        "\(`protocol`.rawValue) \(prefix) \(ports) \(label)" + (otherwise == .pass ? DispatcherBinding.elsePass : "")
    }

    /// Nil if it is no such line. The label is all that follows the ports, and may be empty.
    public init?(text: String) {
        let parts = text.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, let `protocol` = TransportProtocol(rawValue: parts[0]),
            let prefix = try? Prefix(text: parts[1]), let ports = try? PortRange(text: parts[2])
        else { return nil }
        let passes = parts[3].hasSuffix(DispatcherBinding.elsePass)
        let label = passes ? String(parts[3].dropLast(DispatcherBinding.elsePass.count)) : parts[3]
        self.init(`protocol`, prefix, ports, to: label, otherwise: passes ? .pass : .drop)
    }
}

extension DispatcherBinding: Codable {
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let binding = DispatcherBinding(text: text) else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription:
                        "'\(text)' is no binding: write 'tcp 192.0.2.0/24 80-90 web', or '… web else pass'"
                ))
        }
        self = binding
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
