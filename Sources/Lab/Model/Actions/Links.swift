/// Loads a BPF object. `dispatch` is the product's dispatcher, `script` does what the fixture writes down; the others
/// show one behaviour each.
public struct ProgramLoad: Hashable, Sendable, Codable {
    public var name: String
    /// The object's name: `dispatch` is `bpf/dispatch.bpf.c`, `pass` is `bpf/probes/pass.bpf.c`.
    public var object: String
    /// What a `script` does for each lookup.
    public var script: [ScriptOperation]?
    /// The only capabilities that are effective while the program is loaded; nil leaves them as they are.
    public var capabilities: [Capability]?

    public init(
        _ name: String, object: String, script: [ScriptOperation]? = nil, capabilities: [Capability]? = nil
    ) {
        self.name = name
        self.object = object
        self.script = script
        self.capabilities = capabilities
    }

    /// A program that does this for each lookup.
    public init(_ name: String, script: [ScriptOperation]) { self.init(name, object: "script", script: script) }
}

/// A capability of capabilities(7).
public enum Capability: String, Hashable, Sendable, Codable, CaseIterable {
    case netAdmin = "net-admin"
    case sysAdmin = "sys-admin"
    case perfmon
    case bpf

    var number: Int {
        switch self {
        case .netAdmin: 12
        case .sysAdmin: 21
        case .perfmon: 38
        case .bpf: 39
        }
    }
}

/// Attaches a loaded program to a namespace, under a link's name.
public struct Attachment: Hashable, Sendable, Codable {
    public var link: String
    public var program: String
    public var namespace: String
    /// How many links are made, all alike: `link[1]` and so on; nil is one, called `link`.
    public var copies: Int?
    /// The flags of BPF_LINK_CREATE, of which none is defined.
    public var flags: UInt32?
    /// The only capabilities that are effective meanwhile; nil leaves them as they are.
    public var capabilities: [Capability]?

    public init(
        _ link: String, program: String, to namespace: String, copies: Int? = nil, flags: UInt32? = nil,
        capabilities: [Capability]? = nil
    ) {
        self.link = link
        self.program = program
        self.namespace = namespace
        self.copies = copies
        self.flags = flags
        self.capabilities = capabilities
    }
}

/// Attaches or detaches a program without a link (BPF_PROG_ATTACH, BPF_PROG_DETACH), which sk_lookup refuses.
public struct LinklessAttachment: Hashable, Sendable, Codable {
    public var program: String
    public var namespace: String

    public init(_ program: String, to namespace: String) {
        self.program = program
        self.namespace = namespace
    }
}

/// Replaces the program of a link.
public struct LinkUpdate: Hashable, Sendable, Codable {
    public var link: String
    public var program: String
    /// The program that the link must have for that; nil for any.
    public var replacing: String?
    /// The only capabilities that are effective meanwhile; nil leaves them as they are.
    public var capabilities: [Capability]?

    public init(_ link: String, to program: String, replacing: String? = nil, capabilities: [Capability]? = nil) {
        self.link = link
        self.program = program
        self.replacing = replacing
        self.capabilities = capabilities
    }
}

/// Asks which programs are attached to a namespace.
public struct ProgramQuery: Hashable, Sendable, Codable {
    public var namespace: String
    /// For how many programs there is room in the answer; nil is enough for all.
    public var room: Int?
    /// The flags of BPF_PROG_QUERY, of which none is defined.
    public var flags: UInt32?

    public init(_ namespace: String, room: Int? = nil, flags: UInt32? = nil) {
        self.namespace = namespace
        self.room = room
        self.flags = flags
    }
}

/// A link and its name in the fixture's own BPF file system.
public struct LinkPin: Hashable, Sendable, Codable {
    public var link: String
    public var at: String

    public init(_ link: String, at name: String) {
        self.link = link
        at = name
    }
}
