/// One BPF instruction, written as the verifier's log and LLVM write it: `r0 = *(u32 *)(r1 + 8)`.
///
/// As much of that language as asking the verifier takes: moves, arithmetic, loads and stores, jumps by a number of
/// instructions, calls of helpers, and `r1 = map NAME`.
public struct Instruction: Hashable, Sendable {
    public let text: String
    /// One word, or two for the address of a map.
    let words: [UInt64]
    /// The map whose descriptor belongs into the first word.
    let map: MapKind?

    /// The maps that programs under verification may name: one entry each.
    public enum MapKind: String, Hashable, Sendable, CaseIterable {
        case array, sockets, events, programs
    }

    public init(text: String) throws(InstructionError) {
        guard let parsed = Instruction.parse(text) else { throw .notUnderstood(text) }
        self.text = text
        (words, map) = parsed
    }
}

public enum InstructionError: Error, Hashable, Sendable, CustomStringConvertible {
    case notUnderstood(String)

    public var description: String {
        switch self {
        case .notUnderstood(let text):
            "'\(text)' is no instruction that is known here: write r0 = 1, r1 += r2, r0 = *(u32 *)(r1 + 8), "
                + "*(u32 *)(r1 + 8) = r2, if r0 == 0 goto +1, call sk_release, r1 = map sockets, or exit"
        }
    }
}

extension Instruction: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do throws(InstructionError) {
            try self.init(text: text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

// MARK: The encoding (RFC 9669)

extension Instruction {
    /// The low three bits of an operation code.
    private enum Class: UInt64 {
        case load = 0x00, loadIndexed = 0x01, store = 0x02, storeIndexed = 0x03, jump = 0x05
        case arithmetic32 = 0x04, arithmetic64 = 0x07
    }

    /// The bit that makes a register, and not the immediate value, the second operand.
    private static let register: UInt64 = 0x08
    private static let widths: [Substring: UInt64] = ["u8": 0x10, "u16": 0x08, "u32": 0x00, "u64": 0x18]
    private static let memory: UInt64 = 0x60
    private static let signedMemory: UInt64 = 0x80
    private static let atomic: UInt64 = 0xC0
    private static let arithmetic: [Substring: UInt64] = [
        "+=": 0x00, "-=": 0x10, "*=": 0x20, "/=": 0x30, "|=": 0x40, "&=": 0x50, "<<=": 0x60, ">>=": 0x70, "^=": 0xA0,
        "=": 0xB0,
    ]
    private static let conditions: [Substring: UInt64] = [
        "==": 0x10, ">": 0x20, ">=": 0x30, "&": 0x40, "!=": 0x50, "<": 0xA0, "<=": 0xB0,
    ]

    /// The numbers are the kernel's ABI (enum bpf_func_id).
    private static let helpers: [Substring: Int32] = [
        "map_lookup_elem": 1, "map_update_elem": 2, "map_delete_elem": 3, "ktime_get_ns": 5, "trace_printk": 6,
        "get_prandom_u32": 7, "get_smp_processor_id": 8, "skb_store_bytes": 9, "tail_call": 12, "redirect": 23,
        "perf_event_output": 25, "skb_load_bytes": 26, "get_numa_node_id": 42, "get_socket_cookie": 46,
        "setsockopt": 49, "redirect_map": 51, "getsockopt": 57, "sk_select_reuseport": 82, "sk_lookup_tcp": 84,
        "sk_lookup_udp": 85, "sk_release": 86, "sk_fullsock": 95, "tcp_sock": 96, "get_listener_sock": 98,
        "skc_lookup_tcp": 99, "sk_storage_get": 107, "jiffies64": 118, "get_netns_cookie": 122, "sk_assign": 124,
        "ktime_get_boot_ns": 125, "skc_to_tcp6_sock": 136, "skc_to_tcp_sock": 137, "skc_to_tcp_timewait_sock": 138,
        "skc_to_tcp_request_sock": 139, "skc_to_udp6_sock": 140,
    ]

    private static func word(
        _ code: UInt64, destination: UInt64 = 0, source: UInt64 = 0, offset: Int16 = 0, immediate: Int32 = 0
    ) -> UInt64 {
        code | destination << 8 | source << 12 | UInt64(UInt16(bitPattern: offset)) << 16
            | UInt64(UInt32(bitPattern: immediate)) << 32
    }

    private static func parse(_ text: String) -> (words: [UInt64], map: MapKind?)? {
        var tokens = Tokens(text)
        let first = tokens.next()
        let parsed: (words: [UInt64], map: MapKind?)?
        switch first {
        case "exit": parsed = ([word(0x90 | Class.jump.rawValue)], nil)
        case "call":
            guard let name = tokens.next(), let number = helpers[name] ?? Int32(name) else { return nil }
            parsed = ([word(0x80 | Class.jump.rawValue, immediate: number)], nil)
        case "goto":
            guard let distance = tokens.distance() else { return nil }
            parsed = ([word(Class.jump.rawValue, offset: distance)], nil)
        case "if": parsed = condition(&tokens).map { ([$0], nil) }
        case "*": parsed = store(&tokens, atomic: false).map { ([$0], nil) }
        case "lock":
            guard tokens.next() == "*" else { return nil }
            parsed = store(&tokens, atomic: true).map { ([$0], nil) }
        case .some(let name): parsed = assignment(to: name, &tokens)
        case nil: parsed = nil
        }
        return tokens.isEmpty ? parsed : nil
    }

    /// `rX OPERATOR Y goto +N`.
    private static func condition(_ tokens: inout Tokens) -> UInt64? {
        guard let left = tokens.register(), let code = tokens.next().flatMap({ conditions[$0] }) else { return nil }
        let jump = code | Class.jump.rawValue
        if let right = tokens.register() {
            guard tokens.next() == "goto", let distance = tokens.distance() else { return nil }
            return word(jump | register, destination: left, source: right, offset: distance)
        }
        guard let value = tokens.number(), tokens.next() == "goto", let distance = tokens.distance() else {
            return nil
        }
        return word(jump, destination: left, offset: distance, immediate: value)
    }

    /// `(uN *)(rX + M) = Y`, or, atomically, `+= rY`.
    private static func store(_ tokens: inout Tokens, atomic isAtomic: Bool) -> UInt64? {
        guard let place = tokens.place(), let width = widths[place.width] else { return nil }
        if isAtomic {
            guard tokens.next() == "+=", let source = tokens.register() else { return nil }
            return word(
                Class.storeIndexed.rawValue | width | atomic, destination: place.base, source: source,
                offset: place.offset)
        }
        guard tokens.next() == "=" else { return nil }
        if let source = tokens.register() {
            return word(
                Class.storeIndexed.rawValue | width | memory, destination: place.base, source: source,
                offset: place.offset)
        }
        return tokens.number().map {
            word(Class.store.rawValue | width | memory, destination: place.base, offset: place.offset, immediate: $0)
        }
    }

    /// `rX = …`, `rX += …`, or the same with wX, its low half.
    private static func assignment(to name: Substring, _ tokens: inout Tokens) -> (words: [UInt64], map: MapKind?)? {
        let half = name.hasPrefix("w")
        guard let target = Tokens.register(half ? "r" + name.dropFirst() : String(name)),
            let sign = tokens.next(), let code = arithmetic[sign]
        else { return nil }
        let operation = code | (half ? Class.arithmetic32 : .arithmetic64).rawValue
        if let source = tokens.register(half ? "w" : "r") {
            return ([word(operation | register, destination: target, source: source)], nil)
        }
        if let value = tokens.number() { return ([word(operation, destination: target, immediate: value)], nil) }
        guard sign == "=", !half else { return nil }
        switch tokens.next() {
        case "map":
            guard let map = tokens.next().flatMap({ MapKind(rawValue: String($0)) }) else { return nil }
            // 0x18 loads 64 bits from two words; the source 1 says that they are a map's descriptor.
            return ([word(0x18, destination: target, source: 1), 0], map)
        case "*":
            guard let place = tokens.place() else { return nil }
            let signed = place.width.hasPrefix("s")
            guard let width = widths[signed ? "u" + place.width.dropFirst() : place.width] else { return nil }
            let code = Class.loadIndexed.rawValue | width | (signed ? signedMemory : memory)
            return ([word(code, destination: target, source: place.base, offset: place.offset)], nil)
        default: return nil
        }
    }
}

/// The words and signs of an instruction.
private struct Tokens {
    private var rest: [Substring]

    /// Letters and digits make words, the rest signs; brackets stand alone.
    private enum Kind {
        case space, word, sign, bracket

        init(_ character: Character) {
            self =
                switch character {
                case " ", "\t": .space
                case "(", ")": .bracket
                default: character.isLetter || character.isNumber || character == "_" ? .word : .sign
                }
        }
    }

    init(_ text: String) {
        rest = []
        var index = text.startIndex
        while index < text.endIndex {
            let kind = Kind(text[index])
            let end =
                kind == .bracket
                ? text.index(after: index) : text[index...].firstIndex { Kind($0) != kind } ?? text.endIndex
            if kind != .space { rest.append(text[index..<end]) }
            index = end
        }
        rest.reverse()
    }

    var isEmpty: Bool { rest.isEmpty }

    mutating func next() -> Substring? { rest.popLast() }

    static func register(_ name: some StringProtocol) -> UInt64? {
        guard name.hasPrefix("r"), let number = UInt64(name.dropFirst()), number <= 10 else { return nil }
        return number
    }

    mutating func register(_ kind: String = "r") -> UInt64? {
        guard let last = rest.last, last.hasPrefix(kind), let found = Tokens.register("r" + last.dropFirst()) else {
            return nil
        }
        rest.removeLast()
        return found
    }

    /// A decimal number with or without a sign.
    mutating func number() -> Int32? {
        guard let last = rest.last else { return nil }
        if let value = Int32(last) {
            rest.removeLast()
            return value
        }
        guard last == "-" || last == "+", rest.count > 1, let value = Int32(last + rest[rest.count - 2]) else {
            return nil
        }
        rest.removeLast(2)
        return value
    }

    /// `+1`: how many instructions further.
    mutating func distance() -> Int16? { number().flatMap { Int16(exactly: $0) } }

    /// `(u32 *)(r1 + 8)`.
    mutating func place() -> (width: Substring, base: UInt64, offset: Int16)? {
        guard next() == "(", let width = next(), next() == "*", next() == ")", next() == "(", let base = register()
        else { return nil }
        guard let offset = number().flatMap({ Int16(exactly: $0) }), next() == ")" else { return nil }
        return (width, base, offset)
    }
}
