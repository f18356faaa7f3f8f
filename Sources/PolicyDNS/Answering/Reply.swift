import Addressing

/// An answer while it is written: the header and the question as they came, then what is added.
struct Reply {
    private var writer: MessageWriter
    private let query: UnsafeRawBufferPointer
    private let questionEnd: Int
    private let hasQuestion: Bool
    private var answers: UInt16 = 0
    private var authorities: UInt16 = 0
    private var additional: UInt16 = 0

    var rcode = ResponseCode.noError
    var isAuthoritative = false
    private(set) var isTruncated = false
    /// Why a query failed, beyond its RCODE (RFC 8914); 0 for no more to say.
    var extendedError: UInt16 = 0
    /// How many bits of the client's address the answer depends on.
    var scope = 0
    /// The policy that answered.
    var policy: Int?

    var length: Int { writer.count }

    /// Begins the answer to a query that has a header, with its question if it was read.
    init(
        to query: UnsafeRawBufferPointer, _ contents: QueryContents, into buffer: UnsafeMutableRawBufferPointer,
        limit: Int
    ) {
        self.query = query
        hasQuestion = contents.hasQuestion
        questionEnd = contents.questionEnd
        writer = MessageWriter(buffer, limit: limit)
        writer.bytes(UnsafeRawBufferPointer(rebasing: query[..<questionEnd]))
    }

    // MARK: names

    /// Writes the name that stands in the question from `offset` of it on.
    @inline(__always)
    private mutating func name(at offset: Int, isRoot: Bool) {
        if isRoot { writer.byte(0) } else { writer.uint16(0xC000 | UInt16(truncatingIfNeeded: Header.size + offset)) }
    }

    private mutating func name(_ name: ZoneTable.Name, _ zones: ZoneTable, _ apex: Apex) {
        writer.bytes(zones.wire(name))
        if name.endsInApex { self.name(at: apex.offset, isRoot: apex.isRoot) }
    }

    /// Where the question has the name of the zone's apex.
    struct Apex {
        var offset: Int
        var isRoot: Bool
    }

    // MARK: records

    /// Writes a record up to its RDATA's length.
    @inline(__always)
    private mutating func record(_ type: UInt16, _ recordClass: UInt16, ttl: UInt32, size: Int) {
        writer.uint16(type)
        writer.uint16(recordClass)
        writer.uint32(ttl)
        writer.uint16(UInt16(truncatingIfNeeded: size))
    }

    @inline(__always)
    private mutating func addressRecord(_ address: IPAddress, ttl: UInt32) {
        switch address {
        case .v4(let bits):
            record(RecordType.a, RecordClass.internet, ttl: ttl, size: 4)
            writer.uint32(bits)
        case .v6(let bits):
            record(RecordType.aaaa, RecordClass.internet, ttl: ttl, size: 16)
            writer.uint128(bits)
        }
    }

    /// Answers with an address of the name asked for.
    @inline(__always)
    mutating func answer(_ address: IPAddress, ttl: UInt32, nameIsRoot: Bool) {
        name(at: 0, isRoot: nameIsRoot)
        addressRecord(address, ttl: ttl)
        answers += 1
    }

    /// Answers with a text, in a record of one string of at most 255 bytes.
    mutating func answer(text: UnsafeRawBufferPointer, recordClass: UInt16, nameIsRoot: Bool) {
        name(at: 0, isRoot: nameIsRoot)
        record(RecordType.txt, recordClass, ttl: 0, size: 1 + text.count)
        writer.byte(UInt8(clamping: text.count))
        writer.bytes(text)
        answers += 1
    }

    /// Answers a query for any type with a record that says that there is no such answer (RFC 8482 §4.2).
    mutating func answerAnyType(ttl: UInt32, nameIsRoot: Bool) {
        let cpu: StaticString = "RFC8482"
        name(at: 0, isRoot: nameIsRoot)
        record(RecordType.hinfo, RecordClass.internet, ttl: ttl, size: 2 + cpu.utf8CodeUnitCount)
        writer.byte(UInt8(truncatingIfNeeded: cpu.utf8CodeUnitCount))
        writer.bytes(UnsafeRawBufferPointer(start: cpu.utf8Start, count: cpu.utf8CodeUnitCount))
        writer.byte(0)
        answers += 1
    }

    /// Writes the SOA record: as the answer, or to say for how long an absence may be cached (RFC 2308 §3).
    mutating func startOfAuthority(_ zone: ZoneTable.Zone, _ zones: ZoneTable, _ apex: Apex, isAnswer: Bool) {
        name(at: apex.offset, isRoot: apex.isRoot)
        record(
            RecordType.soa, RecordClass.internet, ttl: isAnswer ? zone.apexTTL : zone.negativeTTL, size: 0)
        let start = writer.count
        name(zone.primary, zones, apex)
        name(zone.contact, zones, apex)
        writer.uint32(zone.numbers.0)
        writer.uint32(zone.numbers.1)
        writer.uint32(zone.numbers.2)
        writer.uint32(zone.numbers.3)
        writer.uint32(zone.numbers.4)
        setSize(from: start)
        if isAnswer { answers += 1 } else { authorities += 1 }
    }

    /// Answers with the apex's name servers, and adds the addresses of those within the zone as long as there is room.
    ///
    /// - Parameter reserved: bytes that what follows will need.
    mutating func nameservers(_ zone: ZoneTable.Zone, _ zones: ZoneTable, _ apex: Apex, reserved: Int) {
        for index in zone.nameservers {
            name(at: apex.offset, isRoot: apex.isRoot)
            record(RecordType.ns, RecordClass.internet, ttl: zone.apexTTL, size: 0)
            let start = writer.count
            name(zones.nameserver(index).name, zones, apex)
            setSize(from: start)
            answers += 1
        }
        guard !writer.overflowed else { return }
        for index in zone.nameservers {
            let nameserver = zones.nameserver(index)
            guard nameserver.host >= 0 else { continue }
            for place in zones.addresses(ofHost: nameserver.host) {
                let start = writer.count
                name(nameserver.name, zones, apex)
                addressRecord(zones.address(place), ttl: zone.apexTTL)
                if writer.overflowed || writer.count > writer.limit - reserved {
                    // Left out, and no reason to set TC: nobody asked for it (RFC 2181 §9).
                    writer.rewind(to: start)
                    return
                }
                additional += 1
            }
        }
    }

    /// Sets the RDATA length of the record whose RDATA began at `start` and has just ended.
    private mutating func setSize(from start: Int) {
        guard !writer.overflowed else { return }
        writer.setUInt16(UInt16(truncatingIfNeeded: writer.count - start), at: start - 2)
    }

    // MARK: the end

    /// Writes the OPT or TSIG record and the header. If not all of it fits, the answer is truncated.
    @inline(__always)
    mutating func finish(_ contents: QueryContents, _ options: ReplyOptions) {
        guard !writer.overflowed else { return truncate(contents, options) }
        let sectionsEnd = writer.count
        finalRecords(contents, options, inFull: true)
        if writer.overflowed {
            writer.rewind(to: sectionsEnd)
            finalRecords(contents, options, inFull: false)
            if writer.overflowed { return truncate(contents, options) }
        }
        header(contents)
    }

    /// Replaces all that was written by no more than says that a whole answer is to be had over TCP.
    ///
    /// Such an answer has nothing in it that the query had not, but for a server cookie of 16 bytes.
    mutating func truncate(_ contents: QueryContents, _ options: ReplyOptions) {
        writer.rewind(to: questionEnd)
        answers = 0
        authorities = 0
        additional = 0
        isTruncated = true
        finalRecords(contents, options, inFull: false)
        // Room for a question of 259 bytes, OPT, cookie and subnet is in 512; a TSIG record's names may be too long for it.
        if writer.overflowed { writer.rewind(to: questionEnd) }
        header(contents)
    }

    private mutating func finalRecords(_ contents: QueryContents, _ options: ReplyOptions, inFull: Bool) {
        additionalEnd = 0
        if contents.hasEDNS { optRecord(contents, options, inFull: inFull) }
        if !contents.signature.isEmpty, rcode == ResponseCode.notAuth { signatureError(contents) }
    }

    /// How many records follow the additional ones: OPT and TSIG.
    private var additionalEnd: UInt16 = 0

    private mutating func optRecord(_ contents: QueryContents, _ options: ReplyOptions, inFull: Bool) {
        writer.byte(0)
        record(
            RecordType.opt, UInt16(truncatingIfNeeded: options.payload),
            ttl: UInt32(rcode >> 4) << 24 | (contents.wantsDNSSEC ? 0x8000 : 0), size: 0)
        let start = writer.count
        if let cookie = options.cookie {
            writer.uint16(OptionCode.cookie)
            writer.uint16(24)
            writer.uint64(contents.clientCookie)
            writer.uint64(cookie.head)
            writer.uint64(cookie.hash)
        }
        contents.subnet?.write(&writer, scope: contents.subnet?.network == nil ? 0 : scope)
        if inFull {
            if contents.wantsServerIdentifier, options.server.count > 0 {
                writer.uint16(OptionCode.serverIdentifier)
                writer.uint16(UInt16(truncatingIfNeeded: options.server.count))
                writer.bytes(options.server)
            }
            if contents.wantsKeepalive, let keepalive = options.keepalive {
                writer.uint16(OptionCode.keepalive)
                writer.uint16(2)
                writer.uint16(keepalive)
            }
            if extendedError != 0 {
                writer.uint16(OptionCode.extendedError)
                writer.uint16(2)
                writer.uint16(extendedError)
            }
        }
        setSize(from: start)
        additionalEnd += 1
    }

    /// Says that no key is known (RFC 8945 §5.2.1): the query's TSIG record without its MAC.
    private mutating func signatureError(_ contents: QueryContents) {
        var reader = MessageReader(query, at: contents.signatureData)
        let start = contents.signature.lowerBound
        // Its form was checked when it was read.
        guard reader.skipName(compressed: false), reader.skip(8) else { return }
        let fixedEnd = reader.position
        guard let macSize = reader.uint16(), reader.skip(Int(macSize)), let originalID = reader.uint16() else { return }
        // Owner, type, class and TTL; the RDATA's length; algorithm, time and fudge.
        writer.bytes(UnsafeRawBufferPointer(rebasing: query[start..<(contents.signatureData - 2)]))
        writer.uint16(UInt16(truncatingIfNeeded: fixedEnd - contents.signatureData + 8))
        writer.bytes(UnsafeRawBufferPointer(rebasing: query[contents.signatureData..<fixedEnd]))
        writer.uint16(0)
        writer.uint16(originalID)
        writer.uint16(ResponseCode.badKey)
        writer.uint16(0)
        additionalEnd += 1
    }

    /// Sets all of the header but the ID: the opcode is QUERY, RD is copied, and RA, Z, AD and CD are clear.
    @inline(__always)
    private mutating func header(_ contents: QueryContents) {
        writer.setByte(
            Header.response | (query[2] & Header.recursionDesired) | (isAuthoritative ? Header.authoritative : 0)
                | (isTruncated ? Header.truncated : 0), at: 2)
        writer.setByte(UInt8(truncatingIfNeeded: rcode & 0xF), at: 3)
        writer.setUInt16(hasQuestion ? 1 : 0, at: 4)
        writer.setUInt16(answers, at: 6)
        writer.setUInt16(authorities, at: 8)
        writer.setUInt16(additional + additionalEnd, at: 10)
    }
}

/// What an answer's OPT record says, besides what the query's said.
struct ReplyOptions {
    /// The largest UDP message that is read here.
    var payload: Int
    /// The text of NSID; empty for none.
    var server: UnsafeRawBufferPointer
    /// The cookie to send.
    var cookie: ServerCookie?
    /// When an idle TCP connection is closed, in units of 100 ms; nil over UDP.
    var keepalive: UInt16?

    /// No OPT record with these options is larger, of a query with `contents`.
    func size(_ contents: QueryContents) -> Int {
        guard contents.hasEDNS else { return 0 }
        return 11 + (cookie == nil ? 0 : 28) + (contents.subnet?.size ?? 0)
            + (contents.wantsServerIdentifier ? 4 + server.count : 0) + 6
    }
}
