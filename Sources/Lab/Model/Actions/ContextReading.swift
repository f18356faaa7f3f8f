import Addressing

/// What a program that notes its context (`context`, `ingress`) or the socket that was selected before it
/// (`selected`) has seen in one lookup.
public struct ContextReading: Hashable, Sendable {
    public var program: String
    /// Where it is attached: its devices are shown by their names.
    public var namespace: String
    /// Which lookup since the program was loaded, from 1; 0 tells only how many there were.
    public var lookup: Int

    public init(_ program: String, in namespace: String, lookup: Int) {
        self.program = program
        self.namespace = namespace
        self.lookup = lookup
    }
}

extension ContextReading: Codable {}

/// A test-run with every field and option at will; what is not given is 0.
public struct ContextRun: Hashable, Sendable {
    public var program: String
    /// nil gives the kernel no context.
    public var context: ContextFields?
    /// Of the context given, in bytes. Longer than the fields, it goes on with zeros.
    public var size: Int
    /// A byte of the context that is set, wherever it is.
    public var byte: ContextByte?
    /// The room for the context that comes back; 0 gives the kernel none.
    public var sizeOut: Int
    public var repetitions: Int
    public var flags: UInt32
    public var cpu: UInt32
    public var batchSize: UInt32
    /// How many bytes of packet are given, which sk_lookup programs have no use for.
    public var dataIn: Int
    public var dataOut: Int

    /// sizeof(struct bpf_sk_lookup) since Linux 5.17; before, it ends with local_port.
    public static let contextSize = 72

    public init(
        _ program: String, _ context: ContextFields?, size: Int = contextSize, byte: ContextByte? = nil,
        sizeOut: Int = contextSize, repetitions: Int = 1, flags: UInt32 = 0, cpu: UInt32 = 0, batchSize: UInt32 = 0,
        dataIn: Int = 0, dataOut: Int = 0
    ) {
        self.program = program
        self.context = context
        self.size = size
        self.byte = byte
        self.sizeOut = sizeOut
        self.repetitions = repetitions
        self.flags = flags
        self.cpu = cpu
        self.batchSize = batchSize
        self.dataIn = dataIn
        self.dataOut = dataOut
    }
}

public struct ContextByte: Hashable, Sendable, Codable {
    public var at: Int
    public var value: UInt8

    public init(at offset: Int, _ value: UInt8) {
        at = offset
        self.value = value
    }
}

/// The fields of struct bpf_sk_lookup as the kernel's interface has them, unlike ``Endpoint`` free of any sense.
public struct ContextFields: Hashable, Sendable {
    public var cookie: UInt64 = 0
    /// 2 is AF_INET, 10 is AF_INET6.
    public var family: UInt32 = 0
    /// 6 is TCP, 17 is UDP.
    public var `protocol`: UInt32 = 0
    public var remoteIP4: IPAddress?
    public var remoteIP6: IPAddress?
    /// In host order here; the kernel gets it in network order.
    public var remotePort: UInt16 = 0
    /// The two bytes after remote_port.
    public var padding: UInt16 = 0
    public var localIP4: IPAddress?
    public var localIP6: IPAddress?
    public var localPort: UInt32 = 0
    public var ingressIndex: UInt32 = 0

    public init() {}

    /// A packet's.
    public init(_ transport: TransportProtocol, remote: Endpoint, local: Endpoint) {
        `protocol` = transport == .tcp ? 6 : 17
        remotePort = remote.port
        localPort = UInt32(local.port)
        switch local.address.family {
        case .ipv4: (family, remoteIP4, localIP4) = (2, remote.address, local.address)
        case .ipv6: (family, remoteIP6, localIP6) = (10, remote.address, local.address)
        }
    }
}

extension ContextFields: Codable {
    private enum CodingKeys: String, CodingKey {
        case cookie, family, `protocol`, remoteIP4 = "remote-ip4", remoteIP6 = "remote-ip6"
        case remotePort = "remote-port", padding, localIP4 = "local-ip4", localIP6 = "local-ip6"
        case localPort = "local-port", ingressIndex = "ingress-ifindex"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        cookie = try container.decodeIfPresent(UInt64.self, forKey: .cookie) ?? 0
        family = try container.decodeIfPresent(UInt32.self, forKey: .family) ?? 0
        `protocol` = try container.decodeIfPresent(UInt32.self, forKey: .protocol) ?? 0
        remoteIP4 = try container.decodeIfPresent(IPAddress.self, forKey: .remoteIP4)
        remoteIP6 = try container.decodeIfPresent(IPAddress.self, forKey: .remoteIP6)
        remotePort = try container.decodeIfPresent(UInt16.self, forKey: .remotePort) ?? 0
        padding = try container.decodeIfPresent(UInt16.self, forKey: .padding) ?? 0
        localIP4 = try container.decodeIfPresent(IPAddress.self, forKey: .localIP4)
        localIP6 = try container.decodeIfPresent(IPAddress.self, forKey: .localIP6)
        localPort = try container.decodeIfPresent(UInt32.self, forKey: .localPort) ?? 0
        ingressIndex = try container.decodeIfPresent(UInt32.self, forKey: .ingressIndex) ?? 0
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        func write(_ value: some FixedWidthInteger & Encodable, _ key: CodingKeys) throws {
            if value != 0 { try container.encode(value, forKey: key) }
        }
        try write(cookie, .cookie)
        try write(family, .family)
        try write(`protocol`, .protocol)
        try container.encodeIfPresent(remoteIP4, forKey: .remoteIP4)
        try container.encodeIfPresent(remoteIP6, forKey: .remoteIP6)
        try write(remotePort, .remotePort)
        try write(padding, .padding)
        try container.encodeIfPresent(localIP4, forKey: .localIP4)
        try container.encodeIfPresent(localIP6, forKey: .localIP6)
        try write(localPort, .localPort)
        try write(ingressIndex, .ingressIndex)
    }
}

extension ContextRun: Codable {
    private enum CodingKeys: String, CodingKey {
        case program, context, size, byte, sizeOut = "size-out", repetitions = "repeat", flags, cpu
        case batchSize = "batch-size", dataIn = "data-in", dataOut = "data-out"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        program = try container.decode(String.self, forKey: .program)
        context = try container.decodeIfPresent(ContextFields.self, forKey: .context)
        size = try container.decodeIfPresent(Int.self, forKey: .size) ?? ContextRun.contextSize
        byte = try container.decodeIfPresent(ContextByte.self, forKey: .byte)
        sizeOut = try container.decodeIfPresent(Int.self, forKey: .sizeOut) ?? ContextRun.contextSize
        repetitions = try container.decodeIfPresent(Int.self, forKey: .repetitions) ?? 1
        flags = try container.decodeIfPresent(UInt32.self, forKey: .flags) ?? 0
        cpu = try container.decodeIfPresent(UInt32.self, forKey: .cpu) ?? 0
        batchSize = try container.decodeIfPresent(UInt32.self, forKey: .batchSize) ?? 0
        dataIn = try container.decodeIfPresent(Int.self, forKey: .dataIn) ?? 0
        dataOut = try container.decodeIfPresent(Int.self, forKey: .dataOut) ?? 0
    }

    /// Only what differs from the default, so that what a step is about stands out.
    public func encode(to encoder: any Encoder) throws {
        let plain = ContextRun(program, context)
        var container = encoder.container(keyedBy: CodingKeys.self)
        func write<Value: Equatable & Encodable>(_ field: KeyPath<ContextRun, Value>, _ key: CodingKeys) throws {
            if self[keyPath: field] != plain[keyPath: field] { try container.encode(self[keyPath: field], forKey: key) }
        }
        try container.encode(program, forKey: .program)
        try container.encodeIfPresent(context, forKey: .context)
        try write(\.size, .size)
        try container.encodeIfPresent(byte, forKey: .byte)
        try write(\.sizeOut, .sizeOut)
        try write(\.repetitions, .repetitions)
        try write(\.flags, .flags)
        try write(\.cpu, .cpu)
        try write(\.batchSize, .batchSize)
        try write(\.dataIn, .dataIn)
        try write(\.dataOut, .dataOut)
    }
}
