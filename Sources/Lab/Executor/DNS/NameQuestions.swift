import Addressing
import CLinux
import Glibc
import PolicyDNS

/// A question for a name server, and where to ask it.
struct NameQuestion {
    var name: DomainName
    var type: QuestionType
    var to: Endpoint
    var payload: Int?
    var recursion = false

    init(_ name: String, _ type: QuestionType, to endpoint: Endpoint) throws(ExecutorError) {
        do {
            self.name = try DomainName(text: name)
        } catch {
            throw .unsuitable("'\(name)': \(error)")
        }
        self.type = type
        to = endpoint
    }

    func bytes(id: UInt16) -> [UInt8] {
        var query = Query(name, type: type.number)
        query.id = id
        query.recursionDesired = recursion
        query.edns = payload.map {
            var edns = Query.EDNS()
            edns.payload = UInt16(clamping: $0)
            // Asks the server to say which one it is (RFC 5001 §2.1).
            edns.options = [Query.Option(code: OptionCode.serverIdentifier, data: [])]
            return edns
        }
        return query.bytes
    }
}

/// A name server's answer, and where it came from.
struct NameAnswer {
    var response: ParsedResponse
    var from: Endpoint

    /// Nil for what is no answer to anything.
    init?(_ bytes: [UInt8], from endpoint: Endpoint) {
        do {
            response = try ParsedResponse(bytes)
        } catch {
            return nil
        }
        from = endpoint
    }

    var addresses: [IPAddress] { response.addresses }

    /// What the server calls itself (NSID, RFC 5001); nil if it was not asked, or does not say.
    var server: String? {
        response.edns?.options.first { $0.code == OptionCode.serverIdentifier }
            .map { String(decoding: $0.data, as: UTF8.self) }
    }
}

extension QuestionType {
    fileprivate var number: UInt16 {
        switch self {
        case .a: RecordType.a
        case .aaaa: RecordType.aaaa
        case .ns: RecordType.ns
        case .soa: RecordType.soa
        }
    }
}

extension World {
    /// How many questions are on their way at a time: as many as a socket's queue surely has room for.
    private static let atOnce = 64

    /// Asks over UDP, from one socket, and each question once.
    ///
    /// - Returns: an answer to each question; nil for those that none came for within the deadline.
    /// - Throws: ``KernelRefusal`` for an ICMP error.
    func ask(_ questions: [NameQuestion], from name: String) throws -> [NameAnswer?] {
        guard let family = questions.first?.to.address.family else { return [] }
        let socket = try namespace(name).enter {
            let socket = try Descriptor.socket(family, .udp)
            // Not connected: an answer from another address must be seen. Errors then come only to who asks for them.
            try KernelRefusal.check("setsockopt", clinux_enable_error_queue(socket.raw))
            try socket.bind(to: Endpoint(.wildcard(family), 0))
            return socket
        }
        var answers = [NameAnswer?](repeating: nil, count: questions.count)
        var pending: [UInt16: Int] = [:]
        var refusal: KernelRefusal?
        try loop.add(socket.raw, CLINUX_READABLE) { _ in
            do {
                if let errno = socket.takeError() { throw KernelRefusal("recv", errno) }
                while let (bytes, source, _) = try socket.receiveDatagram() {
                    guard let source = Endpoint(source), let answer = NameAnswer(bytes, from: source),
                        let index = pending.removeValue(forKey: answer.response.id)
                    else { continue }
                    answers[index] = answer
                }
            } catch {
                refusal = error as? KernelRefusal
            }
        }
        defer { loop.remove(socket) }
        var next = 0
        while refusal == nil, next < questions.count || !pending.isEmpty {
            try Task.checkCancellation()
            while next < questions.count, pending.count < World.atOnce {
                let id = UInt16(truncatingIfNeeded: next)
                try socket.send(questions[next].bytes(id: id), to: questions[next].to)
                pending[id] = next
                next += 1
            }
            let before = pending.count
            let goesOn = try loop.serve(until: deadline) { pending.count < before || refusal != nil }
            guard goesOn else { break }
        }
        if let refusal { throw refusal }
        return answers
    }

    /// Asks over TCP, a connection for each question.
    func askOverTCP(_ questions: [NameQuestion], from name: String) throws -> [NameAnswer?] {
        let conversations = try converse(questions.count, keeping: false) { index in
            let bytes = questions[index].bytes(id: UInt16(truncatingIfNeeded: index))
            return try talk(
                from: name, to: questions[index].to,
                [UInt8(bytes.count >> 8), UInt8(truncatingIfNeeded: bytes.count)] + bytes
            ) { World.message(in: $0) != nil }
        }
        var answers = [NameAnswer?](repeating: nil, count: questions.count)
        for (index, conversation) in conversations.enumerated() {
            if case .failed(let refusal) = conversation.state { throw refusal }
            answers[index] = World.message(in: conversation.reply).flatMap {
                NameAnswer($0, from: conversation.destination)
            }
        }
        return answers
    }

    /// The message that two bytes tell the length of (RFC 1035 §4.2.2), once it is there as a whole.
    private static func message(in bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count >= 2 else { return nil }
        let length = Int(bytes[0]) << 8 | Int(bytes[1])
        return bytes.count >= 2 + length ? Array(bytes[2..<(2 + length)]) : nil
    }

    func ask(
        _ questions: [NameQuestion], over transport: TransportProtocol, from name: String
    ) throws -> [NameAnswer?] {
        switch transport {
        case .udp: try ask(questions, from: name)
        case .tcp: try askOverTCP(questions, from: name)
        }
    }

    /// The query type for addresses of a family.
    func type(for family: AddressFamily) -> QuestionType { family == .ipv4 ? .a : .aaaa }
}
