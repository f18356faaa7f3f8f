import Addressing
import ArgumentParser
import PolicyDNS

struct DNSQueryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query",
        abstract: "Show which policy of a configuration matches a query, why, and an answer that it may get.",
        discussion: "Nothing is sent: the configuration is asked as the server would. dig and its like ask a server.")

    @OptionGroup var file: ConfigurationOption

    @Argument(help: "The name asked for.", transform: { try DomainName(text: $0) })
    var name: DomainName

    @Argument(help: "The type: A or AAAA.")
    var type: Configuration.QueryType = .a

    @Option(
        help: "The client's address, or its subnet as a resolver tells of it: what policies match as `client`.",
        transform: { try Prefix(text: $0) })
    var client: Prefix?

    @Option(help: "The label of the listener. Default: that of the first one.")
    var label: String?

    @Option(help: "How many answers are drawn.")
    var count = 1

    func validate() throws {
        if client?.length == 0 { throw ValidationError("--client takes a prefix that says something: /1 or longer") }
        guard (0...100_000).contains(count) else { throw ValidationError("--count is 0 to 100000") }
    }

    func run() async throws {
        let service = try file.file.service()
        let label = label ?? service.labels[0]
        guard service.labels.contains(label) else {
            let labels = service.labels.joined(separator: ", ")
            throw Misuse("there is no label '\(label)'; the labels are \(labels)")
        }
        let client = client ?? Prefix(.loopback(.ipv4))
        let explanation = service.explain(name: name, type: type, client: client, label: label)
        var lines = ["\(name) \(type.rawValue) from \(client) at label '\(label)'"]
        lines.append(explanation.zone.map { "zone      \($0)" } ?? "zone      none")
        if explanation.isNameserver { lines.append("policy    none: a name server has fixed addresses") }
        lines += explanation.policies.map { "policy    \($0)" }
        if explanation.scope > 0 { lines.append("client    \(explanation.scope) bits of its address decided") }
        lines += try answers(service, client, label).map { "answer    \($0)" }
        try StandardOutput.write(lines.joined(separator: "\n") + "\n")
    }

    /// What the server answers, in words: the query goes through all that a datagram would.
    private func answers(_ service: Service, _ client: Prefix, _ label: String) throws -> [String] {
        var query = Query(name, type: type == .a ? RecordType.a : RecordType.aaaa)
        query.edns = Query.EDNS()
        query.edns?.options = [.clientSubnet(client)]
        let bytes = query.bytes
        let arrival = Arrival(
            source: Endpoint(.loopback(client.family), 53), label: service.labels.firstIndex(of: label) ?? 0,
            transport: .tcp, unixTime: 0, monotonicTime: 0)
        var responder = Responder(service)
        var answers: [String] = []
        for _ in 0..<count {
            let response = try withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
                let response = bytes.withUnsafeBytes { responder.respond(to: $0, arrival, into: buffer) }
                return try ParsedResponse(UnsafeRawBufferPointer(rebasing: buffer[..<response.length]))
            }
            let ttl = response.answers.first.map { ", TTL \($0.ttl) s" } ?? ""
            answers.append(
                response.addresses.isEmpty
                    ? "\(ResponseCode.name(response.rcode)), no address"
                    : response.addresses.map(\.description).joined(separator: ", ") + ttl)
        }
        return answers
    }
}

extension Configuration.QueryType: ExpressibleByArgument {
    public init?(argument: String) { self.init(rawValue: argument.uppercased()) }
}
