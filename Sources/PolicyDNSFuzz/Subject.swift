import Addressing
import PolicyDNS

/// What one input is tried on: responders of several configurations, and a client's reader.
///
/// An input's first two bytes say which responder, transport, client and label, and how much time goes by; the rest is the message.
final class Subject {
    private var servers: [Server]
    private var answer = [UInt8](repeating: 0, count: 65535)

    init() {
        servers = Configuration.fuzzed.map(Server.init)
    }

    /// Tries an input, and traps where anything is not as it must be.
    func run(_ input: UnsafeRawBufferPointer) {
        guard input.count >= 2 else { return }
        let choice = input[0]
        let message = UnsafeRawBufferPointer(rebasing: input[2...])
        if choice & 0x80 != 0 {
            readAsClient(message)
            return
        }
        answer.withUnsafeMutableBytes { answer in
            servers[Int(choice & 3) % servers.count].respond(
                to: message, over: choice & 4 == 0 ? .udp : .tcp, from: Int(choice >> 3 & 3),
                label: Int(choice >> 5 & 3),
                after: UInt64(input[1]), into: answer)
        }
    }

    private func readAsClient(_ message: UnsafeRawBufferPointer) {
        guard let response = try? ParsedResponse(message) else { return }
        precondition(message.count >= 12 && message[2] & 0x80 != 0)
        let names =
            [response.question?.name].compactMap(\.self) + (response.answers + response.authorities).map(\.name)
        for name in names {
            precondition(name.wire.count <= 255 && name.wire.last == 0)
            precondition((try? DomainName(text: name.description)) == name, "a name's text does not give the name")
        }
    }
}

/// A responder, and what its clients sent and got.
private final class Server {
    private var responder: Responder
    private let configuration: Configuration
    private let addresses: [IPAddress]
    private var sent = [Int](repeating: 0, count: 4)
    private var received = [Int](repeating: 0, count: 4)
    private var milliseconds: UInt64 = 0

    private static let clients: [IPAddress] = [
        .v4(0xC000_0201), .v4(0x0A01_0203), .v6(0x2001_0db8_0077_0000_0000_0000_0000_0001), .v6(0xFFFF_0A01_0909),
    ]

    init(_ configuration: Configuration) {
        self.configuration = configuration
        do {
            responder = Responder(try Service(configuration))
        } catch {
            fatalError("\(error)")
        }
        addresses = configuration.zones.flatMap(\.nameservers).flatMap(\.addresses)
    }

    func respond(
        to query: UnsafeRawBufferPointer, over transport: TransportProtocol, from client: Int, label: Int,
        after wait: UInt64, into answer: UnsafeMutableRawBufferPointer
    ) {
        milliseconds += wait
        let arrival = Arrival(
            source: Endpoint(Server.clients[client], 4000), label: label, transport: transport,
            unixTime: UInt32(truncatingIfNeeded: 1_700_000_000 + milliseconds / 1000),
            monotonicTime: (1000 + milliseconds) * 1_000_000)
        let response = responder.respond(to: query, arrival, into: answer)

        guard response.length > 0 else {
            switch response.silence {
            case .notAMessage: precondition(query.count < 12)
            case .isAResponse: precondition(query[2] & 0x80 != 0)
            case .rateLimited:
                precondition(transport == .udp && configuration.limits.responsesPerSecond > 0)
                sent[client] += query.count + 28
            case nil: preconditionFailure("silent without a reason")
            }
            return
        }
        precondition(response.silence == nil && query.count >= 12 && query[2] & 0x80 == 0, "answered no query")
        let bytes = UnsafeRawBufferPointer(rebasing: answer[..<response.length])
        precondition(bytes[0] == query[0] && bytes[1] == query[1], "another ID")
        precondition(bytes[2] & 0xF8 == query[2] & 0xF8 | 0x80, "another opcode, or no response")
        do {
            check(try ParsedResponse(bytes), response, query)
        } catch {
            fatalError("the answer cannot be read: \(error)")
        }
        guard transport == .udp else { return }
        precondition(response.length <= configuration.limits.udpPayload, "larger than the limit")
        sent[client] += query.count + 28
        received[client] += response.length + 28
        precondition(
            received[client] <= sent[client] * 3 / 2 + 4096 + Int(milliseconds) + 1000,
            "more than 1.5 times the queries")
    }

    private func check(_ parsed: ParsedResponse, _ response: Response, _ query: UnsafeRawBufferPointer) {
        precondition(parsed.rcode == response.rcode && parsed.isTruncated == response.truncated)
        precondition(
            !parsed.recursionAvailable && !parsed.reserved && !parsed.authenticData && !parsed.checkingDisabled)
        precondition(parsed.question?.type == response.type)
        if let question = parsed.question {
            precondition(
                query.count >= 12 + question.rawName.count
                    && query[12..<(12 + question.rawName.count)].elementsEqual(question.rawName), "another QNAME")
        }
        if parsed.edns == nil { precondition(response.length <= 512 || !parsed.answers.isEmpty) }
        precondition(!parsed.isTruncated || (parsed.answers.isEmpty && parsed.authorities.isEmpty))
        precondition(parsed.rcode == 0 || parsed.answers.isEmpty)
        precondition(!parsed.isAuthoritative || parsed.rcode == 0)
        for address in parsed.addresses {
            if let policy = response.policy {
                let name = configuration.policies[policy].pool
                precondition(
                    configuration.pools.contains { $0.name == name && $0.addresses.contains(address) },
                    "an address that is not in the pool")
            } else {
                precondition(addresses.contains(address), "an address that is no name server's")
            }
        }
    }
}
