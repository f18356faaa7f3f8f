import Addressing
import Glibc
import SocketLookup

extension World {
    /// What a probe program noted of its context, or of the socket that it was shown.
    func read(_ reading: ContextReading) throws -> [String: String] {
        let program = try program(reading.program)
        guard let count = try program.elements(ofArray: "lookups")?.first else {
            throw ExecutorError.unsuitable(
                "the program '\(reading.program)' notes no lookups: load context or selected")
        }
        let lookups = Int(count.number(at: 0, bytes: 8))
        var facts = ["lookups": "\(lookups)"]
        // Nothing is known of a lookup that was not made; what was expected of it is then missing.
        guard reading.lookup > 0, reading.lookup <= lookups else { return facts }
        if let contexts = try program.elements(ofArray: "contexts") {
            let image = ContextImage(try noted(reading.lookup, of: contexts))
            for width in ContextImage.widths {
                for (name, field) in ContextImage.fields(byWidth: width)
                where field.end <= ContextImage.begin + image.size {
                    facts["u\(8 * width) \(name)"] = try image.text(of: field, byWidth: width) {
                        try device($0, in: reading.namespace)
                    }
                }
            }
        } else if let selections = try program.elements(ofArray: "selections") {
            facts.merge(try ShownSocket(noted(reading.lookup, of: selections)).facts) { $1 }
        }
        return facts
    }

    private func noted(_ lookup: Int, of noted: [[UInt8]]) throws -> [UInt8] {
        guard lookup <= noted.count else {
            throw ExecutorError.unsuitable("the program keeps the first \(noted.count) lookups, and not the \(lookup).")
        }
        return noted[lookup - 1]
    }

    private func device(_ index: UInt64, in name: String) throws -> String {
        guard index != 0 else { return "none" }
        return try namespace(name).enter {
            var buffer = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
            guard let index = UInt32(exactly: index), if_indextoname(index, &buffer) != nil else {
                return "no device, \(index)"
            }
            return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}

/// The loads of one lookup, as `bpf/probes/context.h` lays them out: each as wide as a register, first those of
/// single bytes, then of two, then of four.
private struct ContextImage {
    /// Where the first of the fields is in struct bpf_sk_lookup.
    static let begin = 8
    static let widths = [1, 2, 4]

    struct Field {
        enum Kind { case family, transport, address, networkPort, number, device }
        var name: String
        var offset: Int
        var size: Int
        var kind: Kind
        var end: Int { offset + size }
    }

    static let fields: [Field] = [
        Field(name: "family", offset: 8, size: 4, kind: .family),
        Field(name: "protocol", offset: 12, size: 4, kind: .transport),
        Field(name: "remote_ip4", offset: 16, size: 4, kind: .address),
        Field(name: "remote_ip6", offset: 20, size: 16, kind: .address),
        // With the two bytes after it, which are 0: a load of four bytes has them too.
        Field(name: "remote_port", offset: 36, size: 4, kind: .networkPort),
        Field(name: "local_ip4", offset: 40, size: 4, kind: .address),
        Field(name: "local_ip6", offset: 44, size: 16, kind: .address),
        Field(name: "local_port", offset: 60, size: 4, kind: .number),
        Field(name: "ingress_ifindex", offset: 64, size: 4, kind: .device),
    ]

    /// The kernel keeps some numbers in 16 bits, so that what a load of their upper half gives is worth a name.
    static func fields(byWidth width: Int) -> [(name: String, field: Field)] {
        fields.flatMap { field in
            switch (field.kind, width) {
            case (.family, 2), (.transport, 2), (.networkPort, 2), (.number, 2):
                [
                    (field.name, Field(name: field.name, offset: field.offset, size: 2, kind: field.kind)),
                    ("\(field.name) + 2", Field(name: field.name, offset: field.offset + 2, size: 2, kind: .number)),
                ]
            default: [(field.name, field)]
            }
        }
    }

    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// How many bytes of the context were loaded: 8 × (1 + 1/2 + 1/4) bytes were noted for each.
    var size: Int { bytes.count / 14 }

    private func load(at offset: Int, width: Int) -> UInt64 {
        let wider = ContextImage.widths.prefix { $0 < width }.reduce(0) { $0 + size / $1 }
        return bytes.number(at: 8 * (wider + (offset - ContextImage.begin) / width), bytes: 8)
    }

    /// The field put together from loads of a width.
    func text(of field: Field, byWidth width: Int, device: (UInt64) throws -> String) rethrows -> String {
        var memory: [UInt8] = []
        for offset in stride(from: field.offset, to: field.end, by: width) {
            let value = load(at: offset, width: width)
            guard value >> UInt64(8 * width) == 0 else {
                return "0x\(String(value, radix: 16)) by a load of \(width) bytes at +\(offset)"
            }
            memory += (0..<width).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        }
        let number = memory.number(at: 0, bytes: memory.count > 4 ? 4 : memory.count)
        switch field.kind {
        case .family:
            return number == UInt64(AF_INET) ? "AF_INET" : number == UInt64(AF_INET6) ? "AF_INET6" : "\(number)"
        case .transport: return number == 6 ? "TCP" : number == 17 ? "UDP" : "\(number)"
        case .address: return memory.networkAddress.description
        case .networkPort:
            let port = UInt16(memory[0]) << 8 | UInt16(memory[1])
            return memory[2...].allSatisfy { $0 == 0 } ? "\(port)" : "\(port), then \(memory[2]) \(memory[3])"
        case .number: return "\(number)"
        case .device: return try device(number)
        }
    }
}

/// The socket that a program was shown, as `bpf/probes/selected.bpf.c` notes it.
private struct ShownSocket {
    let facts: [String: String]

    init(_ bytes: [UInt8]) {
        var offset = 0
        func next() -> UInt64 {
            defer { offset += 8 }
            return bytes.number(at: offset, bytes: 8)
        }
        func address(words: Int) -> String {
            (0..<words).flatMap { _ in
                let word = next()
                return (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
            }.networkAddress.description
        }
        guard next() == 1 else {
            facts = ["selected": "none"]
            return
        }
        var found = ["selected": "a socket"]
        for name in ["bound_dev_if", "family", "type", "protocol", "mark", "priority"] { found[name] = "\(next())" }
        found["src_ip4"] = address(words: 1)
        found["src_ip6"] = address(words: 4)
        found["src_port"] = "\(next())"
        found["dst_port"] = "\(UInt16(truncatingIfNeeded: next()).byteSwapped)"
        found["dst_ip4"] = address(words: 1)
        found["dst_ip6"] = address(words: 4)
        found["state"] = "\(next())"
        found["rx_queue_mapping"] = "\(Int32(truncatingIfNeeded: next()))"
        facts = found
    }
}

extension [UInt8] {
    /// A number in the kernel's byte order.
    fileprivate func number(at offset: Int, bytes count: Int) -> UInt64 {
        self[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The address that four or sixteen bytes in network order are.
    fileprivate var networkAddress: IPAddress {
        IPAddress(family: count == 4 ? .ipv4 : .ipv6, bits: reduce(0) { $0 << 8 | UInt128($1) })
    }
}
