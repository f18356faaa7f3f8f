import Addressing

/// A response as a client reads it.
public struct ParsedResponse: Hashable, Sendable {
    public var id: UInt16
    public var opcode: UInt8
    /// The RCODE, with its EDNS bits.
    public var rcode: UInt16
    public var isAuthoritative: Bool
    public var isTruncated: Bool
    public var recursionDesired: Bool
    public var recursionAvailable: Bool
    /// The header's Z bit, which must be clear.
    public var reserved: Bool
    public var authenticData: Bool
    public var checkingDisabled: Bool
    public var question: Question?
    public var answers: [Record] = []
    public var authorities: [Record] = []
    /// Without the OPT record.
    public var additional: [Record] = []
    public var edns: Query.EDNS?

    public struct Question: Hashable, Sendable {
        public var name: DomainName
        public var type: UInt16
        public var recordClass: UInt16
        /// The name's bytes as they came, case included.
        public var rawName: [UInt8]
    }

    public struct Record: Hashable, Sendable {
        public var name: DomainName
        public var type: UInt16
        public var recordClass: UInt16
        public var ttl: UInt32
        public var data: RecordData
    }

    /// What a record says.
    public enum RecordData: Hashable, Sendable {
        case address(IPAddress)
        case nameserver(DomainName)
        case startOfAuthority(primary: DomainName, contact: DomainName, serial: UInt32, minimum: UInt32)
        case text([[UInt8]])
        case other([UInt8])
    }

    /// The addresses among the answers, in their order.
    public var addresses: [IPAddress] {
        answers.compactMap { if case .address(let address) = $0.data { address } else { nil } }
    }

    /// Reads a response.
    ///
    /// - Throws: ``MessageError`` where it is malformed. Nothing is read past the end, and no compression loop is
    /// followed.
    public init(_ bytes: [UInt8]) throws(MessageError) {
        let result: Result<ParsedResponse, MessageError> = bytes.withUnsafeBytes { bytes in
            do throws(MessageError) {
                return .success(try ParsedResponse(bytes))
            } catch {
                return .failure(error)
            }
        }
        self = try result.get()
    }

    /// Reads a response in place.
    public init(_ bytes: UnsafeRawBufferPointer) throws(MessageError) {
        var reader = MessageReader(bytes)
        guard let id = reader.uint16(), let flags = reader.uint16(), let questions = reader.uint16(),
            let answers = reader.uint16(), let authorities = reader.uint16(), let additional = reader.uint16()
        else { throw .shorterThanHeader(bytes.count) }
        guard flags & 0x8000 != 0 else { throw .notAResponse }
        self.id = id
        opcode = UInt8(truncatingIfNeeded: flags >> 11) & 0xF
        rcode = flags & 0xF
        isAuthoritative = flags & 0x400 != 0
        isTruncated = flags & 0x200 != 0
        recursionDesired = flags & 0x100 != 0
        recursionAvailable = flags & 0x80 != 0
        reserved = flags & 0x40 != 0
        authenticData = flags & 0x20 != 0
        checkingDisabled = flags & 0x10 != 0
        guard questions <= 1 else { throw .malformed("question", at: 4) }
        if questions == 1 {
            let start = reader.position
            guard let name = reader.name() else { throw .malformed("question", at: start) }
            let rawName = Array(bytes[start..<reader.position])
            guard let type = reader.uint16(), let recordClass = reader.uint16() else {
                throw .malformed("question", at: start)
            }
            question = Question(name: name, type: type, recordClass: recordClass, rawName: rawName)
        }
        for _ in 0..<answers { self.answers.append(try Record(&reader, "answer")) }
        for _ in 0..<authorities { self.authorities.append(try Record(&reader, "authority")) }
        for _ in 0..<additional {
            let start = reader.position
            let record = try Record(&reader, "additional")
            guard record.type == RecordType.opt else {
                self.additional.append(record)
                continue
            }
            guard edns == nil, record.name == .root, case .other(let data) = record.data else {
                throw .malformed("OPT", at: start)
            }
            edns = try Query.EDNS(record, data, at: start)
            rcode |= UInt16(truncatingIfNeeded: record.ttl >> 24) << 4
        }
        guard reader.remaining == 0 else { throw .trailingBytes(reader.remaining) }
    }
}

/// What is wrong with a message.
public enum MessageError: Error, Hashable, Sendable, CustomStringConvertible {
    case shorterThanHeader(Int)
    case notAResponse
    /// A part that cannot be read, and the byte where it begins.
    case malformed(String, at: Int)
    case trailingBytes(Int)

    public var description: String {
        switch self {
        case .shorterThanHeader(let count): "a message has at least the 12 bytes of its header, not \(count)"
        case .notAResponse: "the QR bit is clear: a query, not a response"
        case .malformed(let part, let place): "malformed \(part) at byte \(place)"
        case .trailingBytes(let count): "\(count) bytes after the last record"
        }
    }
}

extension ParsedResponse.Record {
    fileprivate init(_ reader: inout MessageReader, _ section: String) throws(MessageError) {
        let start = reader.position
        guard let name = reader.name(), let type = reader.uint16(), let recordClass = reader.uint16(),
            let ttl = reader.uint32(), let size = reader.uint16(), reader.remaining >= Int(size)
        else { throw .malformed(section, at: start) }
        let end = reader.position + Int(size)
        guard let data = ParsedResponse.RecordData(&reader, type, recordClass, end), reader.position == end else {
            throw .malformed(section, at: start)
        }
        self.init(name: name, type: type, recordClass: recordClass, ttl: ttl, data: data)
    }
}

extension ParsedResponse.RecordData {
    /// Reads RDATA up to `end`; the caller sees whether it ended there.
    fileprivate init?(_ reader: inout MessageReader, _ type: UInt16, _ recordClass: UInt16, _ end: Int) {
        let size = end - reader.position
        switch type {
        case RecordType.a where recordClass == RecordClass.internet:
            guard size == 4, let bits = reader.uint32() else { return nil }
            self = .address(.v4(bits))
        case RecordType.aaaa where recordClass == RecordClass.internet:
            guard size == 16, let high = reader.uint64(), let low = reader.uint64() else { return nil }
            self = .address(.v6(UInt128(high) << 64 | UInt128(low)))
        case RecordType.ns:
            guard let name = reader.name() else { return nil }
            self = .nameserver(name)
        case RecordType.soa:
            guard let primary = reader.name(), let contact = reader.name(), let serial = reader.uint32(),
                reader.skip(12), let minimum = reader.uint32()
            else { return nil }
            self = .startOfAuthority(primary: primary, contact: contact, serial: serial, minimum: minimum)
        case RecordType.txt:
            var strings: [[UInt8]] = []
            while reader.position < end {
                guard let length = reader.byte(), let string = reader.bytes(Int(length)) else { return nil }
                strings.append(Array(string))
            }
            self = .text(strings)
        default:
            guard let data = reader.bytes(size) else { return nil }
            self = .other(Array(data))
        }
    }
}

extension Query.EDNS {
    fileprivate init(
        _ record: ParsedResponse.Record, _ data: [UInt8], at start: Int
    ) throws(MessageError) {
        self.init()
        payload = record.recordClass
        version = UInt8(truncatingIfNeeded: record.ttl >> 16)
        flags = UInt16(truncatingIfNeeded: record.ttl)
        let options: [Query.Option]? = data.withUnsafeBytes { data in
            var reader = MessageReader(data)
            var options: [Query.Option] = []
            while reader.remaining > 0 {
                guard let code = reader.uint16(), let size = reader.uint16(), let data = reader.bytes(Int(size))
                else { return nil }
                options.append(Query.Option(code: code, data: Array(data)))
            }
            return options
        }
        guard let options else { throw .malformed("OPT", at: start) }
        self.options = options
    }
}
