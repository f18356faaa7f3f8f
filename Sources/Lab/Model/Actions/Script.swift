import Addressing

/// One operation of a scripted program, performed for each lookup.
public enum ScriptOperation: Hashable, Sendable {
    /// Selects the socket under a label; nil is no socket.
    case select(String?, flags: [SelectionFlag])
    /// Ends the script.
    case verdict(ScriptVerdict)
    /// The script is about packets that have this; others pass, and are not recorded.
    case onlyProtocol(TransportProtocol)
    case onlyFamily(AddressFamily)
    case onlyLocalPort(UInt16)
    case onlyRemotePort(UInt16)

    public static func select(_ label: String) -> ScriptOperation { .select(label, flags: []) }
}

public enum ScriptVerdict: String, Hashable, Sendable, Codable, CaseIterable {
    case pass, drop
}

/// A flag of `bpf_sk_assign`.
public enum SelectionFlag: String, Hashable, Sendable, Codable, CaseIterable {
    /// BPF_SK_LOOKUP_F_REPLACE: a selection that was made before gives way.
    case replace
    /// BPF_SK_LOOKUP_F_NO_REUSEPORT: the socket itself, and not its reuseport group, gets the packet.
    case noReuseport = "no-reuseport"
    /// A flag that is not defined.
    case undefined

    var rawFlags: UInt64 {
        switch self {
        case .replace: 1
        case .noReuseport: 2
        case .undefined: 4
        }
    }
}

/// Replaces the script of a loaded program.
public struct ScriptChange: Hashable, Sendable, Codable {
    public var program: String
    public var operations: [ScriptOperation]

    public init(_ program: String, _ operations: [ScriptOperation]) {
        self.program = program
        self.operations = operations
    }
}

extension ScriptOperation: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case select, flags, verdict, onlyProtocol = "only-protocol", onlyFamily = "only-family"
        case onlyLocalPort = "only-local-port", onlyRemotePort = "only-remote-port"
    }

    /// The label that stands for no socket.
    private static let none = "none"

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let kinds: [CodingKeys] = [.select, .verdict, .onlyProtocol, .onlyFamily, .onlyLocalPort, .onlyRemotePort]
        let named = kinds.filter { container.contains($0) }
        guard named.count == 1 else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "an operation has exactly one of \(kinds.map(\.rawValue).joined(separator: ", "))"
                ))
        }
        switch named[0] {
        case .verdict: self = .verdict(try container.decode(ScriptVerdict.self, forKey: .verdict))
        case .onlyProtocol: self = .onlyProtocol(try container.decode(TransportProtocol.self, forKey: .onlyProtocol))
        case .onlyFamily: self = .onlyFamily(try container.decode(AddressFamily.self, forKey: .onlyFamily))
        case .onlyLocalPort: self = .onlyLocalPort(try container.decode(UInt16.self, forKey: .onlyLocalPort))
        case .onlyRemotePort: self = .onlyRemotePort(try container.decode(UInt16.self, forKey: .onlyRemotePort))
        default:
            let label = try container.decode(String.self, forKey: .select)
            self = .select(
                label == ScriptOperation.none ? nil : label,
                flags: try container.decodeIfPresent([SelectionFlag].self, forKey: .flags) ?? [])
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .select(let label, let flags):
            try container.encode(label ?? ScriptOperation.none, forKey: .select)
            if !flags.isEmpty { try container.encode(flags, forKey: .flags) }
        case .verdict(let verdict): try container.encode(verdict, forKey: .verdict)
        case .onlyProtocol(let transport): try container.encode(transport, forKey: .onlyProtocol)
        case .onlyFamily(let family): try container.encode(family, forKey: .onlyFamily)
        case .onlyLocalPort(let port): try container.encode(port, forKey: .onlyLocalPort)
        case .onlyRemotePort(let port): try container.encode(port, forKey: .onlyRemotePort)
        }
    }
}

extension ScriptOperation: CustomStringConvertible {
    public var description: String {
        switch self {
        case .select(let label, let flags):
            "select \(label ?? "nothing")"
                + (flags.isEmpty ? "" : " (\(flags.map(\.rawValue).joined(separator: ", ")))")
        case .verdict(let verdict): verdict.rawValue
        case .onlyProtocol(let transport): "only \(transport)"
        case .onlyFamily(let family): "only \(family.rawValue)"
        case .onlyLocalPort(let port): "only to port \(port)"
        case .onlyRemotePort(let port): "only from port \(port)"
        }
    }
}
