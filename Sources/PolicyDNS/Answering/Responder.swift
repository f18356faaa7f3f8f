import Addressing

/// Answers queries, one at a time: what one worker holds.
///
/// Nothing is allocated for a query, and no reference is counted.
public struct Responder: ~Copyable {
    /// What is answered from. It keeps `tables` alive.
    public private(set) var service: Service
    private var tables: ServiceTables
    private var name = QueryName()
    private var choice = AddressChoice()
    private var limiter = RateLimiter()

    public init(_ service: Service) {
        self.service = service
        tables = service.tables
        choice.adopt(tables.policies.sectionCount)
    }

    /// Answers from another configuration from the next query on.
    public mutating func adopt(_ service: Service) {
        self.service = service
        tables = service.tables
        choice.adopt(tables.policies.sectionCount)
    }

    /// Takes new entropy from the operating system: after a virtual machine was restored, two of them may
    /// have the same state.
    public mutating func reseed() { choice.reseed() }

    /// Writes the answer to `query` into `answer`, and says how long it is.
    ///
    /// - Parameters:
    ///   - query: a message as it came, without the length that precedes it in TCP.
    ///   - answer: other memory, of 512 bytes at least; 4096 are enough for UDP and 65535 for TCP.
    public mutating func respond(
        to query: UnsafeRawBufferPointer, _ arrival: Arrival, into answer: UnsafeMutableRawBufferPointer
    ) -> Response {
        precondition(answer.count >= 512, "an answer needs room for 512 bytes")
        guard query.count >= Header.size else { return .silence(.notAMessage) }
        guard query[2] & Header.response == 0 else { return .silence(.isAResponse) }
        guard query[2] & Header.opcodeMask == 0 else { return refuseOpcode(query, arrival, into: answer) }

        var contents = QueryContents()
        var isWellFormed = contents.read(query, name: &name)
        if isWellFormed, contents.version == 0, !contents.options.isEmpty {
            isWellFormed = contents.readOptions(query)
        }
        let isUDP = arrival.transport == .udp
        var options = ReplyOptions(
            payload: tables.udpPayload, server: tables.server.bytes, keepalive: isUDP ? nil : tables.keepalive)
        let isKnown = contents.hasCookie && setCookie(contents, arrival, &options)

        var reply = Reply(
            to: query, contents, into: answer,
            limit: isUDP ? min(contents.payload, tables.udpPayload) : Int(UInt16.max))
        if isWellFormed {
            decide(query, contents, arrival, options, &reply)
        } else {
            reply.rcode = ResponseCode.formErr
        }
        reply.finish(contents, options)

        var response = Response(length: 0)
        response.rcode = reply.rcode
        response.type = contents.hasQuestion ? contents.type : nil
        response.policy = reply.policy
        if isUDP, !isKnown {
            switch charge(query.count, reply.length, arrival) {
            case .send: break
            case .truncate: reply.truncate(contents, options)
            case .drop:
                response.silence = .rateLimited
                return response
            }
        }
        response.truncated = reply.isTruncated
        response.length = reply.length
        return response
    }

    /// Answers what is not a query: NOTIMP, with the opcode and nothing else, since what follows the header may mean
    /// anything.
    ///
    /// That refuses NOTIFY and UPDATE too, as RFC 1996 §4.7 and RFC 2136 §3.8 ask of servers that do not implement
    /// them.
    private mutating func refuseOpcode(
        _ query: UnsafeRawBufferPointer, _ arrival: Arrival, into answer: UnsafeMutableRawBufferPointer
    ) -> Response {
        var writer = MessageWriter(answer, limit: Header.size)
        writer.bytes(UnsafeRawBufferPointer(rebasing: query[..<2]))
        writer.byte(Header.response | (query[2] & Header.opcodeMask))
        writer.byte(UInt8(ResponseCode.notImp))
        writer.uint64(0)
        var response = Response(length: writer.count)
        response.rcode = ResponseCode.notImp
        if arrival.transport == .udp, charge(query.count, writer.count, arrival) == .drop {
            response.length = 0
            response.silence = .rateLimited
        }
        return response
    }

    @inline(__always)
    private mutating func charge(_ query: Int, _ answer: Int, _ arrival: Arrival) -> RateLimiter.Outcome {
        limiter.charge(
            query: query, answer: answer, to: arrival.source.address, now: arrival.monotonicTime,
            rate: tables.responsesPerSecond, slip: tables.slip)
    }

    /// Chooses the cookie to send; says whether the client sent a valid one, which shows that it is where it says.
    private func setCookie(_ contents: QueryContents, _ arrival: Arrival, _ options: inout ReplyOptions) -> Bool {
        let address = ClientNetwork(arrival.source.address).address
        let now = arrival.unixTime
        var isValid = false
        if let cookie = contents.serverCookie {
            isValid = cookie.isValid(
                contents.clientCookie, address, now: now, key: tables.secret.key(at: cookie.time))
            if isValid, !cookie.isOld(now: now) {
                options.cookie = cookie
                return true
            }
        }
        options.cookie = .make(contents.clientCookie, address, at: now, key: tables.secret.key(at: now))
        return isValid
    }

    /// Decides what the answer to a well-formed query is, and writes its sections.
    @inline(__always)
    private mutating func decide(
        _ query: UnsafeRawBufferPointer, _ contents: QueryContents, _ arrival: Arrival, _ options: ReplyOptions,
        _ reply: inout Reply
    ) {
        guard contents.version == 0 else {
            reply.rcode = ResponseCode.badVers
            return
        }
        guard contents.signature.isEmpty else {
            // No keys are known here (RFC 8945 §5.2.1).
            reply.rcode = ResponseCode.notAuth
            return
        }
        guard contents.hasQuestion else {
            // Without a question only a cookie can be asked for (RFC 7873 §5.4).
            reply.rcode = contents.hasCookie ? ResponseCode.noError : ResponseCode.formErr
            return
        }
        guard contents.recordClass == RecordClass.internet else {
            answerOtherClass(contents, &reply)
            return
        }
        switch contents.type {
        case RecordType.a: answer(.ipv4, contents, arrival, &reply)
        case RecordType.aaaa: answer(.ipv6, contents, arrival, &reply)
        case RecordType.opt, RecordType.tsig:
            // These are no types that a name can have.
            reply.rcode = ResponseCode.formErr
        case RecordType.axfr, RecordType.ixfr, RecordType.tkey:
            reply.rcode = ResponseCode.refused
            reply.extendedError = ExtendedError.notSupported
        default: answerOtherType(contents, options, &reply)
        }
    }

    /// Finds the zone of the name asked for; where there is none, refuses.
    @inline(__always)
    private func findZone(strictly: Bool, _ reply: inout Reply) -> NameTable.Match? {
        var match = tables.zones.names.find(name, strictly: strictly)
        // The parent's side of a zone cut has DS (RFC 4035 §3.1.4.1); the zone answers if the parent is not here.
        if strictly, match.zone < 0 { match = tables.zones.names.find(name) }
        guard match.zone >= 0 else {
            reply.rcode = ResponseCode.refused
            reply.extendedError = ExtendedError.notAuthoritative
            return nil
        }
        reply.isAuthoritative = true
        return match
    }

    @inline(__always)
    private func apex(_ match: NameTable.Match) -> Reply.Apex {
        Reply.Apex(offset: name.start(ofLast: match.zoneLabels), isRoot: match.zoneLabels == 0)
    }

    /// Answers a query for addresses: the third to the fifth of the paper's steps.
    @inline(__always)
    private mutating func answer(
        _ family: AddressFamily, _ contents: QueryContents, _ arrival: Arrival, _ reply: inout Reply
    ) {
        guard let match = findZone(strictly: false, &reply) else { return }
        let zone = tables.zones.zone(match.zone)
        if match.host >= 0 {
            var found = false
            for place in tables.zones.addresses(ofHost: match.host) {
                let address = tables.zones.address(place)
                guard address.family == family else { continue }
                reply.answer(address, ttl: zone.apexTTL, nameIsRoot: name.labelCount == 0)
                found = true
            }
            if found { return }
        } else if let policy = tables.policies.match(
            label: arrival.label, account: zone.account, family, name: name,
            client: contents.subnet?.network ?? ClientNetwork(arrival.source.address), scope: &reply.scope)
        {
            reply.policy = policy
            if let address = tables.policies.address(policy, family, for: name, choice: &choice) {
                reply.answer(address, ttl: tables.policies.policy(policy).ttl, nameIsRoot: name.labelCount == 0)
                return
            }
        }
        reply.startOfAuthority(zone, tables.zones, apex(match), isAnswer: false)
    }

    /// Answers a query for anything but addresses. Every name in a zone exists, so there is no NXDOMAIN.
    private func answerOtherType(_ contents: QueryContents, _ options: ReplyOptions, _ reply: inout Reply) {
        guard let match = findZone(strictly: contents.type == RecordType.ds, &reply) else { return }
        let zone = tables.zones.zone(match.zone)
        let isApex = match.zoneLabels == name.labelCount
        switch contents.type {
        case RecordType.any: reply.answerAnyType(ttl: zone.apexTTL, nameIsRoot: name.labelCount == 0)
        case RecordType.soa where isApex: reply.startOfAuthority(zone, tables.zones, apex(match), isAnswer: true)
        case RecordType.ns where isApex:
            reply.nameservers(zone, tables.zones, apex(match), reserved: options.size(contents))
        default: reply.startOfAuthority(zone, tables.zones, apex(match), isAnswer: false)
        }
    }

    /// Says in class CHAOS what the server is, if the operator wants that; there is nothing in other classes.
    private func answerOtherClass(_ contents: QueryContents, _ reply: inout Reply) {
        guard contents.recordClass == RecordClass.chaos else {
            reply.rcode = ResponseCode.refused
            return
        }
        let text: UnsafeRawBufferPointer
        if name.isOne(of: ServerName.version) {
            text = tables.version.bytes
        } else if name.isOne(of: ServerName.server) {
            text = tables.server.bytes
        } else {
            reply.rcode = ResponseCode.refused
            return
        }
        guard !text.isEmpty else {
            reply.rcode = ResponseCode.refused
            return
        }
        reply.isAuthoritative = true
        if contents.type == RecordType.txt || contents.type == RecordType.any {
            reply.answer(text: text, recordClass: RecordClass.chaos, nameIsRoot: false)
        }
    }
}

/// Names in class CHAOS under which servers tell of themselves (RFC 4892).
private enum ServerName {
    static let version = names([["version", "bind"], ["version", "server"]])
    static let server = names([["id", "server"], ["hostname", "bind"]])

    private static func names(_ names: [[String]]) -> [[UInt8]] {
        names.map { labels in labels.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0] }
    }
}

extension QueryName {
    fileprivate func isOne(of names: [[UInt8]]) -> Bool {
        names.contains { $0.elementsEqual(wire) }
    }
}
