import Addressing

/// Sockets that are opened and bound one after another, and stay open until the action ends; then further ones, the
/// probes, each closed before the next.
///
/// What the kernel says to each is an observation, not a failure of the action. The facts are `1 0.0.0.0`, `2 ::` and
/// so on for the sockets, `probe 127.0.0.1` for the probes (with the port where it is not the sequence's), and
/// `listen 1 0.0.0.0` for a socket that listens later. A fact is `ok`, or the call that failed and its errno:
/// `bind EADDRINUSE`. Where the port was left to the kernel, `port of 1 0.0.0.0` is the one it gave.
public struct BindSequence: Hashable, Sendable {
    public var namespace: String
    public var `protocol`: TransportProtocol
    /// For all that do not name a port of their own; 0 leaves it to the kernel.
    public var port: UInt16
    public var sockets: [BindAttempt]
    public var probes: [BindAttempt]

    public init(
        in namespace: String, _ protocol: TransportProtocol, port: UInt16, _ sockets: [BindAttempt],
        probes: [BindAttempt] = []
    ) {
        self.namespace = namespace
        self.protocol = `protocol`
        self.port = port
        self.sockets = sockets
        self.probes = probes
    }
}

/// One socket of a ``BindSequence``, and how it is bound.
public struct BindAttempt: Hashable, Sendable {
    /// Its family is the socket's; `::ffff:127.0.0.1` is an IPv6 address, and its socket an IPv6 socket.
    public var address: IPAddress
    /// nil takes the sequence's.
    public var port: UInt16?
    public var options: [SocketOption]
    public var listen: Listening
    /// The user that opens it; nil for the executor's own.
    public var user: UInt32?
    /// A device that it is bound to (SO_BINDTODEVICE).
    public var device: String?
    /// The ports from which the kernel chooses (IP_LOCAL_PORT_RANGE).
    public var localPorts: PortRange?
    /// A peer to connect to once bound, and listening where it listens at once.
    public var connect: Endpoint?
    /// What has become of it when the next one is opened.
    public var becomes: Fate

    public enum Listening: String, Hashable, Sendable, Codable, CaseIterable {
        case never
        /// Right after it is bound.
        case atOnce = "at-once"
        /// Once all sockets are bound, and before the probes; the sockets do so in their order.
        case later
    }

    public enum Fate: String, Hashable, Sendable, Codable, CaseIterable {
        case open
        case closed
        /// A listener that has accepted a connection and closed; the connection stays.
        case connection
        /// The same, and the connection was closed from the listener's side first: its address and port are in TIME_WAIT.
        case timeWait = "time-wait"
    }

    public init(
        _ address: IPAddress, port: UInt16? = nil, options: [SocketOption] = [], listen: Listening = .never,
        user: UInt32? = nil, device: String? = nil, localPorts: PortRange? = nil, connect: Endpoint? = nil,
        becomes: Fate = .open
    ) {
        self.address = address
        self.port = port
        self.options = options
        self.listen = listen
        self.user = user
        self.device = device
        self.localPorts = localPorts
        self.connect = connect
        self.becomes = becomes
    }
}

extension BindSequence {
    /// The address, with the port where it is the socket's own, and what else tells it from its neighbours.
    private func name(of attempt: BindAttempt) -> String {
        attempt.port.map { "\(Endpoint(attempt.address, $0))" } ?? "\(attempt.address)"
    }

    /// The name of the fact about a socket; `index` counts from 0.
    public func fact(ofSocket index: Int) -> String { "\(index + 1) \(name(of: sockets[index]))" }

    /// The name of the fact about a probe. Probes of the same address are told apart by a number.
    public func fact(ofProbe index: Int) -> String {
        let probe = probes[index]
        let before = probes[..<index].count { $0.address == probe.address && $0.port == probe.port }
        return "probe \(name(of: probe))" + (before == 0 ? "" : " #\(before + 1)")
    }

    var summary: String {
        let said = sockets.map { attempt in
            ([name(of: attempt)] + attempt.options.map(\.rawValue) + (attempt.listen == .never ? [] : ["listening"])
                + (attempt.becomes == .open ? [] : [attempt.becomes.rawValue])).joined(separator: " ")
        }
        let shown = said.prefix(4).joined(separator: ", ") + (said.count > 4 ? ", … (\(said.count) in all)" : "")
        return "bind \(`protocol`) sockets to \(shown), port \(port)"
            + (probes.isEmpty ? "" : ", then probe \(probes.count) binds")
    }
}

extension BindSequence: Codable {
    private enum CodingKeys: String, CodingKey { case namespace, `protocol`, port, sockets, probes }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        namespace = try container.decode(String.self, forKey: .namespace)
        `protocol` = try container.decode(TransportProtocol.self, forKey: .protocol)
        port = try container.decode(UInt16.self, forKey: .port)
        sockets = try container.decode([BindAttempt].self, forKey: .sockets)
        probes = try container.decodeIfPresent([BindAttempt].self, forKey: .probes) ?? []
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(namespace, forKey: .namespace)
        try container.encode(`protocol`, forKey: .protocol)
        try container.encode(port, forKey: .port)
        try container.encode(sockets, forKey: .sockets)
        if !probes.isEmpty { try container.encode(probes, forKey: .probes) }
    }
}

extension BindAttempt: Codable {
    private enum CodingKeys: String, CodingKey {
        case address, port, options, listen, user, device, localPorts = "local-ports", connect, becomes
    }

    private static let listening = "listening"

    /// Most are an address, options and perhaps a listener, and one line says that: `::1 reuseport listening`.
    private var text: String? {
        let said = BindAttempt(address, options: options, listen: listen)
        guard self == said, listen != .later else { return nil }
        return (["\(address)"] + options.map(\.rawValue) + (listen == .atOnce ? [BindAttempt.listening] : []))
            .joined(separator: " ")
    }

    private init(text: String, at path: [any CodingKey]) throws {
        var words = text.split(separator: " ").map(String.init)[...]
        guard let address = words.popFirst().flatMap({ IPAddress($0) }) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: path, debugDescription: "'\(text)' does not begin with an IP address"))
        }
        let listens = words.last == BindAttempt.listening
        let options = try words.dropLast(listens ? 1 : 0).map { word in
            guard let option = SocketOption(rawValue: word) else {
                throw DecodingError.dataCorrupted(
                    .init(
                        codingPath: path,
                        debugDescription: "'\(word)' is neither a socket option nor 'listening' at the end"))
            }
            return option
        }
        self.init(address, options: options, listen: listens ? .atOnce : .never)
    }

    public init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            try self.init(text: text, at: decoder.codingPath)
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try container.decode(IPAddress.self, forKey: .address),
            port: try container.decodeIfPresent(UInt16.self, forKey: .port),
            options: try container.decodeIfPresent([SocketOption].self, forKey: .options) ?? [],
            listen: try container.decodeIfPresent(Listening.self, forKey: .listen) ?? .never,
            user: try container.decodeIfPresent(UInt32.self, forKey: .user),
            device: try container.decodeIfPresent(String.self, forKey: .device),
            localPorts: try container.decodeIfPresent(PortRange.self, forKey: .localPorts),
            connect: try container.decodeIfPresent(Endpoint.self, forKey: .connect),
            becomes: try container.decodeIfPresent(Fate.self, forKey: .becomes) ?? .open)
    }

    public func encode(to encoder: any Encoder) throws {
        if let text {
            var container = encoder.singleValueContainer()
            try container.encode(text)
            return
        }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(address, forKey: .address)
        try container.encodeIfPresent(port, forKey: .port)
        if !options.isEmpty { try container.encode(options, forKey: .options) }
        if listen != .never { try container.encode(listen, forKey: .listen) }
        try container.encodeIfPresent(user, forKey: .user)
        try container.encodeIfPresent(device, forKey: .device)
        try container.encodeIfPresent(localPorts, forKey: .localPorts)
        try container.encodeIfPresent(connect, forKey: .connect)
        if becomes != .open { try container.encode(becomes, forKey: .becomes) }
    }
}
