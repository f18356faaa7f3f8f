import Addressing
import Testing

@testable import PolicyDNS

// What the tests of answering share: a configuration, and queries put to a responder without a socket.

func domain(_ text: String) throws -> DomainName { try DomainName(text: text) }

func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

/// Two zones, and policies of all kinds: enough for each kind of answer.
func sampleConfiguration() throws -> Configuration {
    var example = Configuration.Zone(
        name: try domain("example.com"), account: "free",
        nameservers: [
            .init(
                name: try domain("ns1.example.com"),
                addresses: [try address("192.0.2.53"), try address("2001:db8::53")]),
            .init(name: try domain("ns.elsewhere.net")),
        ])
    example.negativeTTL = 60
    example.apexTTL = 3600
    example.serial = 7
    let paid = Configuration.Zone(
        name: try domain("paid.test"), account: "paid",
        nameservers: [.init(name: try domain("ns1.example.com"))])
    let pools = [
        Configuration.Pool(
            name: "both",
            addresses: try AddressPool([
                .init(try Prefix(text: "198.51.100.0/24")), .init(try Prefix(text: "2001:db8:1::/64")),
            ])),
        Configuration.Pool(name: "one", addresses: AddressPool(try Prefix(text: "203.0.113.7/32"))),
        Configuration.Pool(name: "near", addresses: AddressPool(try Prefix(text: "203.0.113.8/32"))),
    ]
    var near = Configuration.Policy(name: "near", pool: "near")
    near.match.clients = [try Prefix(text: "10.1.0.0/16"), try Prefix(text: "2001:db8:77::/48")]
    near.match.suffixes = [try domain("cdn.example.com")]
    near.match.types = [.a]
    var paidPolicy = Configuration.Policy(name: "paid", pool: "one")
    paidPolicy.match.accounts = ["paid"]
    paidPolicy.ttl = 5
    var free = Configuration.Policy(name: "free", pool: "both")
    free.match.accounts = ["free"]
    free.match.labels = ["default"]
    var configuration = Configuration(zones: [example, paid], pools: pools, policies: [near, paidPolicy, free])
    configuration.listeners = [
        .init(address: try Endpoint(text: "127.0.0.1:53")),
        .init(address: try Endpoint(text: "127.0.0.2:53"), label: "ams"),
    ]
    configuration.identity.version = "binding-lab"
    configuration.identity.server = "node-1"
    return configuration
}

/// A responder, the clock that it is told, and a client.
final class Asking {
    private var responder: Responder
    var source: Endpoint
    var unixTime: UInt32 = 1_700_000_000
    var monotonicTime: UInt64 = 10_000_000_000
    var label = 0
    private var buffer = [UInt8](repeating: 0xEE, count: 65535)

    init(_ configuration: Configuration, secret: ServerSecret = .random(), source: String = "192.0.2.99:4000") throws {
        responder = Responder(try Service(configuration, secret: secret))
        self.source = try Endpoint(text: source)
    }

    convenience init() throws { try self.init(try sampleConfiguration()) }

    func adopt(_ service: Service) { responder.adopt(service) }

    /// What is said of an answer, and its bytes; nil for silence.
    func respond(
        _ query: [UInt8], _ transport: TransportProtocol = .udp, room: Int = 65535
    ) -> (response: Response, bytes: [UInt8]?) {
        let arrival = Arrival(
            source: source, label: label, transport: transport, unixTime: unixTime, monotonicTime: monotonicTime)
        let response = query.withUnsafeBytes { query in
            buffer.withUnsafeMutableBytes { buffer in
                responder.respond(to: query, arrival, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<room]))
            }
        }
        return (response, response.length > 0 ? Array(buffer[..<response.length]) : nil)
    }

    func ask(_ query: [UInt8], _ transport: TransportProtocol = .udp) throws -> ParsedResponse {
        try ParsedResponse(try #require(respond(query, transport).bytes))
    }

    func ask(_ query: Query, _ transport: TransportProtocol = .udp) throws -> ParsedResponse {
        try ask(query.bytes, transport)
    }

    func ask(_ name: String, _ type: UInt16 = RecordType.a) throws -> ParsedResponse {
        try ask(query(name, type))
    }
}

/// A query with EDNS if options or a payload size are given.
func query(
    _ name: String, _ type: UInt16 = RecordType.a, payload: UInt16? = nil, with options: Query.Option...
) throws -> Query {
    var query = Query(try domain(name), type: type)
    query.id = 0x1234
    if payload != nil || !options.isEmpty {
        query.edns = .init()
        query.edns?.payload = payload ?? 1232
        query.edns?.options = options
    }
    return query
}

extension [UInt8] {
    /// The message with its two bytes of flags replaced.
    func withFlags(_ flags: UInt16) -> [UInt8] {
        Array(self[..<2]) + flags.networkBytes + self[4...]
    }

    /// The message with the count at a place of the header raised, and bytes added at its end.
    func adding(_ bytes: [UInt8], countAt place: Int) -> [UInt8] {
        var message = self + bytes
        message[place + 1] += 1
        return message
    }
}

/// A resource record.
func record(_ owner: [UInt8], _ type: UInt16, _ recordClass: UInt16, ttl: UInt32 = 0, _ data: [UInt8]) -> [UInt8] {
    owner + type.networkBytes + recordClass.networkBytes + ttl.networkBytes + UInt16(data.count).networkBytes + data
}

/// The TSIG record of HMAC-SHA-256 with a MAC of zeros and the root for a key name, as ISC's compliance tester sends it.
func signature(originalID: UInt16 = 0x1234) throws -> [UInt8] {
    let algorithm = try domain("hmac-sha256").wire
    let time: [UInt8] = [0, 0, 0x65, 0x53, 0xF1, 0x00]
    let data: [UInt8] =
        algorithm + time + [1, 44, 0, 32] + [UInt8](repeating: 0, count: 32) + originalID.networkBytes + [0, 0, 0, 0]
    return record([0], RecordType.tsig, RecordClass.any, data)
}
