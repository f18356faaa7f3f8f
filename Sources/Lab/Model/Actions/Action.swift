import Addressing
import SocketLookup

/// What one step does. The names are the keys of the YAML form.
public enum Action: Hashable, Sendable {
    // Network
    case namespace(String)
    case removeNamespace(String)
    case devicePair(DevicePair)
    case addAddress(AddressAssignment)
    case removeAddress(AddressAssignment)
    case localPrefix(LocalPrefix)
    case route(Route)
    case sysctl(SystemControl)
    case childNamespace(ChildNamespace)
    case icmpError(IcmpError)
    // Sockets
    case socket(SocketDescription)
    case sockets(SocketRange)
    case close(String)
    case binds(BindSequence)
    case setOption(OptionChange)
    case call(SocketCall)
    case socketDiag(SocketQuery)
    case countSockets(SocketCount)
    // Connections and probes
    case probe(Probe)
    case sweep(Sweep)
    case connect(Connection)
    case exchange(String)
    case spread(Spread)
    case endpoints(String)
    case choosePorts(PortChoice)
    // sk_lookup
    case load(ProgramLoad)
    case script(ScriptChange)
    case recorded(String)
    case ran([String])
    case attach(Attachment)
    case attachWithoutLink(LinklessAttachment)
    case detachWithoutLink(LinklessAttachment)
    case updateLink(LinkUpdate)
    case linkInformation(String)
    case query(ProgramQuery)
    case pinLink(LinkPin)
    case openLink(LinkPin)
    case unpin(String)
    case letGoOfLink(String)
    case detach(String)
    case register(Registration)
    case unregister(Registration)
    case bind(Binding)
    case unbind(Binding)
    case testRun(TestRun)
    case mapEntry(MapEntry)
    case unload(String)
    // The dispatcher that is pinned
    case dispatcher(DispatcherStep)
    case dispatcherChanges(DispatcherChanges)
    case dispatcherModel(DispatcherModel)
    // Reuseport groups
    case attachReuseport(GroupProgram)
    case attachReuseportFilter(GroupFilter)
    case detachReuseport(String)
    case backlog(String)
    case testRunContext(ContextRun)
    case context(ContextReading)
    case verify(Verification)
    case contextAccesses(ContextAccesses)
    // Names and sites
    case nameService(NameService)
    case nameServiceReload(NameServiceReload)
    case nameQuery(NameQuery)
    case nameSurvey(NameSurvey)
    case compareSurveys([String])
    case sites(SiteService)
    case visit(SiteVisits)
    case revisit(SiteRevisits)
    case daemon(Daemon)
    // Load
    case flood(Flood)
    case drain(String)
    case drops(String)
    case arrivals(String)
    // Escape hatch
    case exec(Command)
}

/// Two devices that connect two namespaces: up, with their addresses, and usable when the step ends.
///
/// A veth pair; where the kernel has none, as when it came without its modules, a netkit pair (Linux 6.7).
public struct DevicePair: Hashable, Sendable, Codable {
    /// Exactly two.
    public var ends: [End]

    public struct End: Hashable, Sendable, Codable {
        public var namespace: String
        public var device: String
        /// Addresses with the length of their on-link prefix: `198.51.100.1/24`.
        public var addresses: [String]

        public init(namespace: String, device: String, addresses: [String]) {
            self.namespace = namespace
            self.device = device
            self.addresses = addresses
        }
    }

    public init(_ first: End, _ second: End) { ends = [first, second] }
}

/// An address on a device, with the length of its on-link prefix: `192.0.2.1/24`.
public struct AddressAssignment: Hashable, Sendable, Codable {
    public var namespace: String
    public var device: String
    public var address: String

    public init(namespace: String, device: String = "lo", address: String) {
        self.namespace = namespace
        self.device = device
        self.address = address
    }
}

/// A prefix whose every address is local to the namespace (AnyIP: `ip route add local`).
public struct LocalPrefix: Hashable, Sendable, Codable {
    public var namespace: String
    public var prefix: Prefix

    public init(namespace: String, prefix: Prefix) {
        self.namespace = namespace
        self.prefix = prefix
    }
}

public struct Route: Hashable, Sendable, Codable {
    public var namespace: String
    public var to: Prefix
    public var via: IPAddress

    public init(namespace: String, to: Prefix, via: IPAddress) {
        self.namespace = namespace
        self.to = to
        self.via = via
    }
}

public struct SystemControl: Hashable, Sendable, Codable {
    public var namespace: String
    /// Dotted, as sysctl(8) writes it: `net.ipv4.ip_nonlocal_bind`.
    public var key: String
    public var value: String

    public init(namespace: String, key: String, value: String) {
        self.namespace = namespace
        self.key = key
        self.value = value
    }
}

public enum SocketOption: String, Hashable, Sendable, Codable, CaseIterable {
    case reuseAddress = "reuseaddr"
    case reusePort = "reuseport"
    case v6Only = "v6only"
    case dualStack = "dual-stack"
    case freeBind = "freebind"
    case transparent
    /// SO_INCOMING_CPU: the processor on which every step is performed,
    case thisProcessor = "this-processor"
    /// or one that performs none.
    case otherProcessor = "other-processor"
    /// TCP_DEFER_ACCEPT: a connection is none before the client has sent data.
    case deferAccept = "defer-accept"
}

/// A server's socket: created, bound, listening if TCP, and answering every message with its own name.
public struct SocketDescription: Hashable, Sendable {
    public var name: String
    public var namespace: String
    public var `protocol`: TransportProtocol
    /// The address's family is the socket's.
    public var bind: Endpoint
    public var options: [SocketOption]
    /// Whether a TCP socket listens after it is bound.
    public var listen: Bool
    /// A peer to connect to after binding: a connected UDP socket.
    public var connect: Endpoint?
    /// SO_RCVBUF in bytes, as set (the kernel doubles it); nil leaves the default.
    public var receiveBuffer: Int?
    /// False leaves bind() out: `bind` then says no more than the family.
    public var bound: Bool?
    /// listen()'s; nil for more than any fixture needs.
    public var backlog: Int?
    /// How many connections may be pending with data in their SYN (TCP_FASTOPEN); nil leaves that off.
    public var fastOpen: Int?
    /// SO_BINDTODEVICE.
    public var device: String?
    /// A multicast group to join, on `device` or else on loopback.
    public var join: IPAddress?
    /// Whether it is a socket of UDP-Lite (RFC 3828) in place of UDP.
    public var lite: Bool?

    public init(
        _ name: String, in namespace: String, _ protocol: TransportProtocol, bind: Endpoint,
        options: [SocketOption] = [], listen: Bool = true, connect: Endpoint? = nil, receiveBuffer: Int? = nil,
        bound: Bool? = nil, backlog: Int? = nil, fastOpen: Int? = nil, device: String? = nil, join: IPAddress? = nil,
        lite: Bool? = nil
    ) {
        self.lite = lite
        self.bound = bound
        self.backlog = backlog
        self.fastOpen = fastOpen
        self.device = device
        self.join = join
        self.name = name
        self.namespace = namespace
        self.protocol = `protocol`
        self.bind = bind
        self.options = options
        self.listen = listen
        self.connect = connect
        self.receiveBuffer = receiveBuffer
    }
}

/// One socket on each address of a prefix, named `name[address]`.
public struct SocketRange: Hashable, Sendable {
    public var name: String
    public var namespace: String
    public var `protocol`: TransportProtocol
    public var prefix: Prefix
    public var port: UInt16
    public var options: [SocketOption]
    /// SO_RCVBUF in bytes, as set (the kernel doubles it); nil leaves the default.
    public var receiveBuffer: Int?
    /// Whether the number of sockets, the time to open them and the kernel memory they take are reported.
    public var measured: Bool
    /// So many on the first address instead, as a reuseport group may have: `name[1]` and so on.
    public var copies: Int?

    public init(
        _ name: String, in namespace: String, _ protocol: TransportProtocol, prefix: Prefix, port: UInt16,
        options: [SocketOption] = [], receiveBuffer: Int? = nil, measured: Bool = false, copies: Int? = nil
    ) {
        self.copies = copies
        self.measured = measured
        self.options = options
        self.receiveBuffer = receiveBuffer
        self.name = name
        self.namespace = namespace
        self.protocol = `protocol`
        self.prefix = prefix
        self.port = port
    }
}

/// One new connection, or one datagram, and the question who answers it.
public struct Probe: Hashable, Sendable {
    public var from: String
    public var `protocol`: TransportProtocol
    public var to: Endpoint
    /// The client's own address and port; nil leaves them to the kernel.
    public var source: Endpoint?
    /// An endpoint that answers, asked right after: once it has, the probe's own packet has been dealt with,
    /// so silence is known without waiting.
    public var fence: Endpoint?
    /// Whether it is a datagram of UDP-Lite (RFC 3828) in place of UDP.
    public var lite: Bool?

    public init(
        from: String, _ protocol: TransportProtocol, to: Endpoint, source: Endpoint? = nil, fence: Endpoint? = nil,
        lite: Bool? = nil
    ) {
        self.lite = lite
        self.from = from
        self.protocol = `protocol`
        self.to = to
        self.source = source
        self.fence = fence
    }
}

/// A probe of each address × each port, in that order.
public struct Sweep: Hashable, Sendable {
    public var from: String
    public var `protocol`: TransportProtocol
    public var addresses: Prefix
    public var ports: PortRange
    /// Of the endpoints, every n-th, and always the last.
    public var stride: Int

    public init(
        from: String, _ protocol: TransportProtocol, addresses: Prefix, ports: PortRange, stride: Int = 1
    ) {
        self.from = from
        self.protocol = `protocol`
        self.addresses = addresses
        self.ports = ports
        self.stride = stride
    }
}

/// A connection that stays open under `name`.
public struct Connection: Hashable, Sendable, Codable {
    public var name: String
    public var from: String
    public var `protocol`: TransportProtocol
    public var to: Endpoint
    public var source: Endpoint?
    /// Whether a UDP client connects its socket, and so takes an answer only from the endpoint it asked.
    public var connected: Bool?
    /// Whether a TCP client sends its question in the SYN (RFC 7413).
    public var fastOpen: Bool?
    /// False opens the connection and asks nothing; an `exchange` may ask later.
    public var question: Bool?

    public init(
        _ name: String, from: String, _ protocol: TransportProtocol, to: Endpoint, source: Endpoint? = nil,
        connected: Bool? = nil, fastOpen: Bool? = nil, question: Bool? = nil
    ) {
        self.name = name
        self.from = from
        self.protocol = `protocol`
        self.to = to
        self.source = source
        self.connected = connected
        self.fastOpen = fastOpen
        self.question = question
    }

    private enum CodingKeys: String, CodingKey {
        case name, from, `protocol`, to, source, connected, fastOpen = "fast-open", question
    }
}

/// Puts a socket under a label of a dispatcher or of a script, or takes it away.
public struct Registration: Hashable, Sendable, Codable {
    public var dispatcher: String
    public var label: String
    public var socket: String
    /// Refused unless what is under the label, in a reuseport program, is as said; nil takes either.
    public var only: SlotCondition?

    public enum SlotCondition: String, Hashable, Sendable, Codable {
        /// BPF_NOEXIST
        case empty
        /// BPF_EXIST
        case full
    }

    public init(_ dispatcher: String, label: String, socket: String, only: SlotCondition? = nil) {
        self.only = only
        self.dispatcher = dispatcher
        self.label = label
        self.socket = socket
    }
}

/// (protocol, prefix, port range) → label.
public struct Binding: Hashable, Sendable {
    public var dispatcher: String
    public var `protocol`: TransportProtocol
    public var prefix: Prefix
    public var ports: PortRange
    public var label: String
    /// What happens while the label has no live socket.
    public var otherwise: Fallback

    public init(
        _ dispatcher: String, _ protocol: TransportProtocol, _ prefix: Prefix, ports: PortRange, to label: String,
        otherwise: Fallback = .drop
    ) {
        self.dispatcher = dispatcher
        self.protocol = `protocol`
        self.prefix = prefix
        self.ports = ports
        self.label = label
        self.otherwise = otherwise
    }
}

/// Runs a program through BPF_PROG_TEST_RUN for each address × each port: no packet is sent.
public struct TestRun: Hashable, Sendable, Codable {
    public var program: String
    public var `protocol`: TransportProtocol
    public var addresses: Prefix
    public var ports: PortRange
    public var remote: Endpoint

    public init(
        _ program: String, _ protocol: TransportProtocol, addresses: Prefix, ports: PortRange, remote: Endpoint
    ) {
        self.program = program
        self.protocol = `protocol`
        self.addresses = addresses
        self.ports = ports
        self.remote = remote
    }
}

/// Datagrams sent as fast as possible; nobody reads them until a `drain`.
public struct Flood: Hashable, Sendable, Codable {
    /// Written into every datagram, so that a `drain` can tell whose it received.
    public var name: String
    public var from: String
    public var to: Endpoint
    public var datagrams: Int
    /// Payload size, at least 32.
    public var bytes: Int

    public init(_ name: String, from: String, to: Endpoint, datagrams: Int, bytes: Int = 256) {
        self.name = name
        self.from = from
        self.to = to
        self.datagrams = datagrams
        self.bytes = bytes
    }
}

/// A shell line in a namespace.
public struct Command: Hashable, Sendable, Codable {
    public var namespace: String
    public var run: String

    public init(in namespace: String, _ run: String) {
        self.namespace = namespace
        self.run = run
    }
}

// In this file, so that the compiler can derive the half that is not written out.

extension SocketDescription: Codable {
    private enum CodingKeys: String, CodingKey {
        case name, namespace, `protocol`, bind, options, listen, connect, receiveBuffer = "receive-buffer"
        case bound, backlog, fastOpen = "fast-open", device, join, lite
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        namespace = try container.decode(String.self, forKey: .namespace)
        `protocol` = try container.decode(TransportProtocol.self, forKey: .protocol)
        bind = try container.decode(Endpoint.self, forKey: .bind)
        options = try container.decodeIfPresent([SocketOption].self, forKey: .options) ?? []
        listen = try container.decodeIfPresent(Bool.self, forKey: .listen) ?? true
        connect = try container.decodeIfPresent(Endpoint.self, forKey: .connect)
        receiveBuffer = try container.decodeIfPresent(Int.self, forKey: .receiveBuffer)
        bound = try container.decodeIfPresent(Bool.self, forKey: .bound)
        backlog = try container.decodeIfPresent(Int.self, forKey: .backlog)
        fastOpen = try container.decodeIfPresent(Int.self, forKey: .fastOpen)
        device = try container.decodeIfPresent(String.self, forKey: .device)
        join = try container.decodeIfPresent(IPAddress.self, forKey: .join)
        lite = try container.decodeIfPresent(Bool.self, forKey: .lite)
    }
}

extension SocketRange: Codable {
    private enum CodingKeys: String, CodingKey {
        case name, namespace, `protocol`, prefix, port, options, receiveBuffer = "receive-buffer", measured, copies
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        copies = try container.decodeIfPresent(Int.self, forKey: .copies)
        measured = try container.decodeIfPresent(Bool.self, forKey: .measured) ?? false
        name = try container.decode(String.self, forKey: .name)
        namespace = try container.decode(String.self, forKey: .namespace)
        `protocol` = try container.decode(TransportProtocol.self, forKey: .protocol)
        prefix = try container.decode(Prefix.self, forKey: .prefix)
        port = try container.decode(UInt16.self, forKey: .port)
        options = try container.decodeIfPresent([SocketOption].self, forKey: .options) ?? []
        receiveBuffer = try container.decodeIfPresent(Int.self, forKey: .receiveBuffer)
    }
}

extension Probe: Codable {}

extension Sweep: Codable {
    private enum CodingKeys: String, CodingKey { case from, `protocol`, addresses, ports, stride }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        from = try container.decode(String.self, forKey: .from)
        `protocol` = try container.decode(TransportProtocol.self, forKey: .protocol)
        addresses = try container.decode(Prefix.self, forKey: .addresses)
        ports = try container.decode(PortRange.self, forKey: .ports)
        stride = try container.decodeIfPresent(Int.self, forKey: .stride) ?? 1
    }
}

extension Binding: Codable {
    private enum CodingKeys: String, CodingKey { case dispatcher, `protocol`, prefix, ports, label, otherwise }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        dispatcher = try container.decode(String.self, forKey: .dispatcher)
        `protocol` = try container.decode(TransportProtocol.self, forKey: .protocol)
        prefix = try container.decode(Prefix.self, forKey: .prefix)
        ports = try container.decode(PortRange.self, forKey: .ports)
        label = try container.decode(String.self, forKey: .label)
        otherwise = try container.decodeIfPresent(Fallback.self, forKey: .otherwise) ?? .drop
    }
}
