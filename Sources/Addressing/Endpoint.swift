/// An address and a port: what a socket is bound to, or a packet is sent to.
public struct Endpoint: Hashable, Sendable {
    /// Of either family.
    public var address: IPAddress
    /// In host order.
    public var port: UInt16

    /// A port of an address.
    public init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }
}

extension Endpoint: CustomStringConvertible {
    /// Parses `192.0.2.1:53` or `[2001:db8::1]:53`.
    public init(text: String) throws(AddressingError) {
        guard let colon = text.lastIndex(of: ":") else { throw .notAnEndpoint(text) }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw .notAnEndpoint(text)
        }
        guard let address = IPAddress(String(host)), let port = UInt16(text[text.index(after: colon)...]) else {
            throw .notAnEndpoint(text)
        }
        self.init(address, port)
    }

    /// `192.0.2.1:53` or `[2001:db8::1]:53`.
    public var description: String {
        address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

/// A range of ports, both ends included. All ports is 0–65535: port 0 is no magic value.
public struct PortRange: Hashable, Sendable {
    /// The lowest port.
    public let first: UInt16
    /// The highest, which is in the range.
    public let last: UInt16

    /// A range from `first` to `last`, which must not be lower.
    public init(_ first: UInt16, through last: UInt16) throws(AddressingError) {
        guard first <= last else { throw .notAPortRange("\(first)-\(last)") }
        self.first = first
        self.last = last
    }

    /// One port.
    public init(_ port: UInt16) {
        first = port
        last = port
    }

    private init(allFrom first: UInt16) {
        self.first = first
        last = .max
    }

    /// 0–65535.
    public static let all = PortRange(allFrom: 0)

    /// The number of ports, 1–65536.
    public var count: Int { Int(last) - Int(first) + 1 }

    /// Whether a port is one of the range.
    public func contains(_ port: UInt16) -> Bool { first <= port && port <= last }
}

extension PortRange: CustomStringConvertible {
    /// Parses `53` or `8000-8010`.
    public init(text: String) throws(AddressingError) {
        let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = UInt16(parts[0]), let last = parts.count == 2 ? UInt16(parts[1]) : first else {
            throw .notAPortRange(text)
        }
        try self.init(first, through: last)
    }

    /// `53` or `8000-8010`.
    public var description: String { first == last ? "\(first)" : "\(first)-\(last)" }
}
