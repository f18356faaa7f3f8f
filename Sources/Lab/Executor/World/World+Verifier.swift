import CLinux
import Glibc
import SocketLookup

extension World {
    /// Offers each program to the verifier: `NAME` is `accepted`, or an errno and the reason that was looked for, or
    /// else the one that was given.
    func verify(_ verification: Verification) throws -> [String: String] {
        var maps: [Instruction.MapKind: ScratchMap] = [:]
        var facts: [String: String] = [:]
        for (name, candidate) in verification.programs.sorted(by: { $0.key < $1.key }) {
            var words: [UInt64] = []
            for instruction in candidate.instructions {
                guard let kind = instruction.map, let first = instruction.words.first else {
                    words += instruction.words
                    continue
                }
                let map = try maps[kind] ?? ScratchMap(kind.type, valueSize: kind.valueSize)
                maps[kind] = map
                words += [first | UInt64(map.descriptor) << 32] + instruction.words.dropFirst()
            }
            switch SocketLookup.verify(
                words, type: verification.type.number, attachType: verification.attachType.number,
                license: verification.license)
            {
            case .accepted: facts[name] = "accepted"
            case .refused(let errno, let log):
                let errno = ErrorNumber(rawValue: errno).name
                guard let reason = candidate.reason else {
                    facts[name] = errno
                    continue
                }
                facts[name] = "\(errno): \(log.range(ofFirst: reason) == nil ? verifierReason(in: log) : reason)"
            }
        }
        return facts
    }

    /// Offers a program for each width and offset, and tells for each width which offsets are accepted, and what is
    /// said about the others, OFFSET standing for theirs.
    func tryAccesses(_ accesses: ContextAccesses) throws -> [String: String] {
        guard accesses.from <= accesses.through else {
            throw ExecutorError.unsuitable("accesses go from a lower offset through a higher one")
        }
        var facts: [String: String] = [:]
        for bytes in accesses.kind.widths {
            var accepted: [Int] = []
            var refusals: Set<String> = []
            for offset in accesses.from...accesses.through {
                switch SocketLookup.verify(
                    try accesses.kind.program(at: offset, bytes: bytes).flatMap(\.words),
                    type: BPF_PROG_TYPE_SK_LOOKUP, attachType: BPF_SK_LOOKUP, license: "GPL")
                {
                case .accepted: accepted.append(Int(offset))
                case .refused(let errno, let log):
                    refusals.insert(
                        "\(ErrorNumber(rawValue: errno)): "
                            + verifierReason(in: log).replacing("off=\(offset) ", with: "off=OFFSET "))
                }
            }
            let name = "u\(8 * bytes)"
            facts["\(name) accepted at"] = ContextAccesses.describe(offsets: accepted)
            facts["\(name) refused elsewhere"] =
                refusals.isEmpty ? "nowhere" : refusals.sorted().joined(separator: " | ")
        }
        return facts
    }

    /// The line in which the verifier says why: the last before its statistics.
    private func verifierReason(in log: String) -> String {
        let lines = log.split(separator: "\n").filter {
            !$0.hasPrefix("processed ") && !$0.hasPrefix("verification time ") && !$0.hasPrefix("stack depth ")
        }
        return lines.last.map(String.init) ?? "nothing"
    }
}

extension String {
    fileprivate func replacing(_ part: String, with other: String) -> String {
        guard let range = self.range(ofFirst: part) else { return self }
        return String(self[..<range.lowerBound]) + other + self[range.upperBound...]
    }

    fileprivate func range(ofFirst part: String) -> Range<Index>? {
        indices.first { self[$0...].hasPrefix(part) }.map { $0..<index($0, offsetBy: part.count) }
    }
}

extension ContextAccesses {
    /// `8, 10-14, 20`: offsets in ascending order; `nowhere` for none.
    public static func describe(offsets: [Int]) -> String {
        var spans: [ClosedRange<Int>] = []
        for offset in offsets {
            if let last = spans.last, last.upperBound == offset - 1 {
                spans[spans.count - 1] = last.lowerBound...offset
            } else {
                spans.append(offset...offset)
            }
        }
        return spans.isEmpty
            ? "nowhere"
            : spans.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
                .joined(separator: ", ")
    }
}

extension ContextAccesses.Kind {
    /// In bytes.
    fileprivate var widths: [Int] { self == .atomic ? [4, 8] : [1, 2, 4, 8] }

    /// A program with the one access, that passes.
    fileprivate func program(at offset: Int16, bytes: Int) throws(InstructionError) -> [Instruction] {
        let place = "*(u\(8 * bytes) *)(r1 \(offset < 0 ? "-" : "+") \(abs(Int(offset))))"
        let access =
            switch self {
            case .load: "r0 = \(place)"
            case .store: "\(place) = r0"
            case .storeImmediate: "\(place) = 1"
            case .atomic: "lock \(place) += r0"
            }
        var program: [Instruction] = []
        for text in ["r0 = 1", access, "r0 = 1", "exit"] { program.append(try Instruction(text: text)) }
        return program
    }
}

extension Verification.ProgramType {
    fileprivate var number: bpf_prog_type {
        switch self {
        case .skLookup: BPF_PROG_TYPE_SK_LOOKUP
        case .socketFilter: BPF_PROG_TYPE_SOCKET_FILTER
        case .skReuseport: BPF_PROG_TYPE_SK_REUSEPORT
        }
    }
}

extension Verification.AttachType {
    fileprivate var number: bpf_attach_type? {
        switch self {
        case .skLookup: BPF_SK_LOOKUP
        case .skReuseportSelect: BPF_SK_REUSEPORT_SELECT
        case .flowDissector: BPF_FLOW_DISSECTOR
        case .none: nil
        }
    }
}

extension Instruction.MapKind {
    fileprivate var type: bpf_map_type {
        switch self {
        case .array: BPF_MAP_TYPE_ARRAY
        case .sockets: BPF_MAP_TYPE_SOCKMAP
        case .events: BPF_MAP_TYPE_PERF_EVENT_ARRAY
        case .programs: BPF_MAP_TYPE_PROG_ARRAY
        }
    }

    fileprivate var valueSize: UInt32 {
        switch self {
        case .array, .sockets: 8
        case .events, .programs: 4
        }
    }
}
