/// Programs that are offered to the verifier, and gone once it has spoken.
public struct Verification: Hashable, Sendable {
    /// By name.
    public var programs: [String: Candidate]
    public var type: ProgramType
    /// What they say they will be attached to.
    public var attachType: AttachType
    public var license: String

    public struct Candidate: Hashable, Sendable, Codable {
        public var instructions: [Instruction]
        /// A part of what the verifier should say if it refuses: the rest of its words differs between kernels.
        public var reason: String?

        public init(_ instructions: [Instruction], reason: String? = nil) {
            self.instructions = instructions
            self.reason = reason
        }
    }

    public enum ProgramType: String, Hashable, Sendable, Codable, CaseIterable {
        case skLookup = "sk-lookup"
        case socketFilter = "socket-filter"
        case skReuseport = "sk-reuseport"
    }

    public enum AttachType: String, Hashable, Sendable, Codable, CaseIterable {
        case skLookup = "sk-lookup"
        case skReuseportSelect = "sk-reuseport-select"
        case flowDissector = "flow-dissector"
        case none
    }

    public init(
        _ programs: [String: Candidate], type: ProgramType = .skLookup, attachType: AttachType = .skLookup,
        license: String = "GPL"
    ) {
        self.programs = programs
        self.type = type
        self.attachType = attachType
        self.license = license
    }
}

/// One load or store of the context for each width, at each of these offsets, each a program of its own.
public struct ContextAccesses: Hashable, Sendable, Codable {
    public var kind: Kind
    public var from: Int16
    public var through: Int16

    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        case load
        /// Of a register.
        case store
        /// Of an immediate value.
        case storeImmediate = "store-immediate"
        /// An atomic addition: words and double words only.
        case atomic
    }

    public init(_ kind: Kind, from: Int16, through: Int16) {
        self.kind = kind
        self.from = from
        self.through = through
    }
}

extension Verification: Codable {
    private enum CodingKeys: String, CodingKey { case programs, type, attachType = "attach-type", license }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        programs = try container.decode([String: Candidate].self, forKey: .programs)
        type = try container.decodeIfPresent(ProgramType.self, forKey: .type) ?? .skLookup
        attachType = try container.decodeIfPresent(AttachType.self, forKey: .attachType) ?? .skLookup
        license = try container.decodeIfPresent(String.self, forKey: .license) ?? "GPL"
    }
}
