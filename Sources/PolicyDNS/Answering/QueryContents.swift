import Addressing

/// What a query says, apart from its QNAME. Places are byte offsets in the query.
struct QueryContents {
    /// Whether there is a whole question, and where it ends: right after the header if there is none.
    var hasQuestion = false
    var questionEnd = Header.size
    var type: UInt16 = 0
    var recordClass: UInt16 = 0

    /// Whether there is an OPT record (RFC 6891).
    var hasEDNS = false
    /// The largest UDP answer that the client takes: 512 without EDNS.
    var payload = 512
    var version: UInt8 = 0
    var wantsDNSSEC = false
    var options: Range<Int> = 0..<0

    // What options were there.
    var wantsServerIdentifier = false
    var wantsKeepalive = false
    var hasCookie = false
    var clientCookie: UInt64 = 0
    var serverCookie: ServerCookie?
    var subnet: ClientSubnet?

    /// Where the TSIG record is (RFC 8945); empty for none.
    var signature: Range<Int> = 0..<0
    /// Where its RDATA begins.
    var signatureData = 0

    /// Reads a query, whose header must be there and of opcode QUERY.
    ///
    /// - Returns: false if the query is malformed. What was read up to there is kept.
    @inline(__always)
    mutating func read(_ query: UnsafeRawBufferPointer, name: inout QueryName) -> Bool {
        var reader = MessageReader(query, at: 4)
        guard let questions = reader.uint16(), let answers = reader.uint16(), let authorities = reader.uint16(),
            let additional = reader.uint16()
        else { return false }
        // RFC 9619: one question, or none to ask for a cookie (RFC 7873 §5.4).
        guard questions <= 1 else { return false }
        if questions == 1 {
            guard name.read(&reader), let type = reader.uint16(), let recordClass = reader.uint16() else {
                return false
            }
            self.type = type
            self.recordClass = recordClass
            hasQuestion = true
            questionEnd = reader.position
        }
        if answers | authorities | additional != 0 {
            guard readRecords(query, &reader, answers, authorities, additional) else { return false }
        }
        // What comes after the last record belongs to no message, so the counts are wrong.
        return reader.remaining == 0
    }

    private mutating func readRecords(
        _ query: UnsafeRawBufferPointer, _ reader: inout MessageReader, _ answers: UInt16, _ authorities: UInt16,
        _ additional: UInt16
    ) -> Bool {
        // A query has nothing to answer, and no authority but in IXFR (RFC 1995 §3). Ignoring such records would leave bytes that nobody reads.
        guard answers == 0, authorities == 0 || (authorities == 1 && type == RecordType.ixfr) else { return false }
        if authorities == 1 {
            guard reader.skipName(), reader.skip(8), let size = reader.uint16(), reader.skip(Int(size)) else {
                return false
            }
        }
        for _ in 0..<additional {
            let start = reader.position
            guard reader.skipName() else { return false }
            let nameLength = reader.position - start
            guard let type = reader.uint16(), let recordClass = reader.uint16(), let ttl = reader.uint32(),
                let size = reader.uint16()
            else { return false }
            let data = reader.position
            guard reader.skip(Int(size)) else { return false }
            // A signature covers all before it, so nothing may follow (RFC 8945 §5.1).
            guard signature.isEmpty else { return false }
            switch type {
            case RecordType.opt:
                // One, and its owner is the root, one byte (RFC 6891 §6.1.1).
                guard !hasEDNS, nameLength == 1 else { return false }
                hasEDNS = true
                payload = max(512, Int(recordClass))
                version = UInt8(truncatingIfNeeded: ttl >> 16)
                wantsDNSSEC = ttl & 0x8000 != 0
                options = data..<(data + Int(size))
            case RecordType.tsig:
                guard recordClass == RecordClass.any, ttl == 0 else { return false }
                signature = start..<reader.position
                signatureData = data
                guard isSignature(query) else { return false }
            default: break
            }
        }
        return true
    }

    /// Whether the TSIG record's form is as RFC 8945 §4.2 has it, without compression: parts of it are sent back.
    private func isSignature(_ query: UnsafeRawBufferPointer) -> Bool {
        var owner = MessageReader(query, at: signature.lowerBound)
        var data = MessageReader(
            UnsafeRawBufferPointer(rebasing: query[signatureData..<signature.upperBound]))
        guard owner.skipName(compressed: false), data.skipName(compressed: false), data.skip(8),
            let macSize = data.uint16(), data.skip(Int(macSize) + 4), let otherSize = data.uint16()
        else { return false }
        return data.remaining == Int(otherSize)
    }

    /// Reads the options of the OPT record; false if they, or one that is known here, are malformed.
    mutating func readOptions(_ query: UnsafeRawBufferPointer) -> Bool {
        var reader = MessageReader(UnsafeRawBufferPointer(rebasing: query[options]))
        while reader.remaining > 0 {
            guard let code = reader.uint16(), let size = reader.uint16(), let data = reader.bytes(Int(size)) else {
                return false
            }
            switch code {
            case OptionCode.serverIdentifier: wantsServerIdentifier = true
            case OptionCode.keepalive: wantsKeepalive = true
            case OptionCode.cookie:
                // Of several, the first counts (RFC 7873 §5.2).
                if !hasCookie, !readCookie(data) { return false }
            case OptionCode.clientSubnet:
                if subnet == nil {
                    guard let subnet = ClientSubnet(data) else { return false }
                    self.subnet = subnet
                }
            default: break
            }
        }
        return true
    }

    private mutating func readCookie(_ data: UnsafeRawBufferPointer) -> Bool {
        // A client's alone, or with a server's of 8 to 32 bytes (RFC 7873 §5.2.2).
        guard data.count == 8 || (16...40).contains(data.count) else { return false }
        var reader = MessageReader(data)
        guard let client = reader.uint64() else { return false }
        hasCookie = true
        clientCookie = client
        // Those of another length are not ours.
        if reader.remaining == ServerCookie.size, let head = reader.uint64(), let hash = reader.uint64() {
            serverCookie = ServerCookie(head: head, hash: hash)
        }
        return true
    }
}
