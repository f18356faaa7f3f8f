import Addressing
import Testing

@testable import PolicyDNS

@Suite struct ServiceTests {
    private func refusal(_ change: (inout Configuration) throws -> Void) throws -> ConfigurationError? {
        var configuration = try sampleConfiguration()
        try change(&configuration)
        return #expect(throws: ConfigurationError.self) { try Service(configuration) }
    }

    @Test("the sample configuration is accepted, and one without listeners has the default label")
    func accepts() throws {
        var configuration = try sampleConfiguration()
        #expect(try Service(configuration).labels == ["default", "ams"])
        #expect(try Service(configuration).policies == ["near", "paid", "free"])
        configuration.listeners = []
        #expect(try Service(configuration).labels == ["default"])
    }

    @Test("what zones and name servers may not be is refused, with its place")
    func zones() throws {
        #expect(try refusal { $0.zones = [] } == ConfigurationError(["zones"], .none(kind: "zone")))
        #expect(
            try refusal { $0.zones[1].name = try domain("EXAMPLE.com") }
                == ConfigurationError(["zones", "1", "name"], .duplicate(kind: "zone", name: "example.com")))
        #expect(
            try refusal { $0.zones[1].nameservers = [] }
                == ConfigurationError(["zones", "1", "nameservers"], .none(kind: "name server")))
        #expect(
            try refusal { $0.zones[0].nameservers[0].addresses = [] }
                == ConfigurationError(
                    ["zones", "0", "nameservers", "0"],
                    .nameserverWithoutAddress(name: try domain("ns1.example.com"), zone: try domain("example.com"))))
        #expect(
            try refusal { $0.zones[0].nameservers[1].addresses = [try address("192.0.2.1")] }
                == ConfigurationError(
                    ["zones", "0", "nameservers", "1", "addresses"],
                    .addressesOutsideZones(name: try domain("ns.elsewhere.net"))))
        #expect(
            try refusal { $0.zones[1].nameservers[0].addresses = [try address("192.0.2.1")] }
                == ConfigurationError(
                    ["zones", "1", "nameservers", "0", "addresses"],
                    .addressesDiffer(name: try domain("ns1.example.com"))))
        #expect(
            try refusal { $0.zones[0].nameservers[1] = $0.zones[0].nameservers[0] }?.path
                == ["zones", "0", "nameservers", "1", "name"])
        #expect(
            try refusal { $0.zones[0].negativeTTL = 1 << 31 }?.path == ["zones", "0", "negative-ttl"])
        #expect(try refusal { $0.zones[0].apexTTL = 1 << 31 }?.path == ["zones", "0", "apex-ttl"])
    }

    @Test("twenty thousand zones are made ready in a time that grows with their number only", .timeLimit(.minutes(1)))
    func manyZones() throws {
        var configuration = try sampleConfiguration()
        configuration.zones += try (0..<20_000).map { number in
            let name = try domain("zone\(number).test")
            let nameserver = Configuration.Nameserver(
                name: try domain("ns.zone\(number).test"), addresses: [.v4(UInt32(number))])
            return Configuration.Zone(name: name, account: "free", nameservers: [nameserver])
        }
        configuration.policies[0].match.suffixes += try (0..<1000).map { try domain("cdn.zone\($0).test") }
        #expect(try Service(configuration).configuration.zones.count == 20_002)
        configuration.zones[17_000].nameservers[0].addresses = []
        let path = ["zones", "17000", "nameservers", "0"]
        #expect(try refusal { $0 = configuration }?.path == path)
    }

    @Test("names that policies refer to must exist; the error has what there is")
    func policies() throws {
        #expect(
            try refusal { $0.policies[2].pool = "bot" }
                == ConfigurationError(
                    ["policies", "2", "pool"],
                    .undefined(kind: "pool", name: "bot", candidates: ["both", "near", "one"])))
        #expect(
            try refusal { $0.policies[2].match.labels = ["default", "asm"] }
                == ConfigurationError(
                    ["policies", "2", "match", "label", "1"],
                    .undefined(kind: "label", name: "asm", candidates: ["ams", "default"])))
        #expect(
            try refusal { $0.policies[1].match.accounts = ["payed"] }
                == ConfigurationError(
                    ["policies", "1", "match", "account", "0"],
                    .undefined(kind: "zone with the account", name: "payed", candidates: ["free", "paid"])))
        #expect(
            try refusal { $0.policies[0].match.suffixes = [try domain("example.org")] }
                == ConfigurationError(
                    ["policies", "0", "match", "suffix", "0"], .suffixOutsideZones(name: try domain("example.org"))))
        #expect(
            try refusal { $0.policies[0].match.clients = [try Prefix(text: "::ffff:10.0.0.0/104")] }
                == ConfigurationError(
                    ["policies", "0", "match", "client", "0"], .mapped(try Prefix(text: "::ffff:10.0.0.0/104"))))
        #expect(
            try refusal { $0.policies[1].name = "near" }
                == ConfigurationError(["policies", "1", "name"], .duplicate(kind: "policy", name: "near")))
        #expect(
            try refusal { $0.pools[1].name = "both" }
                == ConfigurationError(["pools", "1", "name"], .duplicate(kind: "pool", name: "both")))
        #expect(try refusal { $0.policies[0].ttl = 1 << 31 }?.path == ["policies", "0", "ttl"])
        var above = try sampleConfiguration()
        above.policies[0].match.suffixes = [try domain("com")]
        _ = try Service(above)
    }

    @Test(
        "limits have ranges",
        arguments: [
            ("udp-payload", \Configuration.Limits.udpPayload, [511, 4097]), ("tcp-connections", \.tcpConnections, [0]),
            ("tcp-connections-per-client", \.tcpConnectionsPerClient, [0]), ("tcp-idle-timeout", \.tcpIdleTimeout, [0]),
            ("tcp-lifetime", \.tcpLifetime, [-1]), ("responses-per-second", \.responsesPerSecond, [-1, 1_000_001]),
            ("slip", \.slip, [-1, 65536]),
        ] as [(String, WritableKeyPath<Configuration.Limits, Int> & Sendable, [Int])])
    func limits(_ key: String, _ limit: WritableKeyPath<Configuration.Limits, Int> & Sendable, _ values: [Int]) throws {
        for value in values {
            #expect(try refusal { $0.limits[keyPath: limit] = value }?.path == ["limits", key])
        }
    }

    @Test("what the server says of itself has 1 to 255 bytes")
    func identity() throws {
        #expect(try refusal { $0.identity.version = "" }?.path == ["identity", "version"])
        #expect(
            try refusal { $0.identity.server = String(repeating: "é", count: 128) }
                == ConfigurationError(["identity", "server"], .length(256, allowed: 1...255)))
    }

    @Test("an explanation names the policy that answers, and says of each before it what was missing")
    func explains() throws {
        let service = try Service(try sampleConfiguration())
        let far = service.explain(
            name: try domain("x.cdn.example.com"), type: .a, client: try Prefix(text: "10.2.0.1"))
        #expect(far.zone == (try domain("example.com")))
        #expect(
            far.policies.map(\.description) == [
                "near: client is 10.2.0.1/32, not in 10.1.0.0/16 or in 2001:db8:77::/48",
                "paid: account is free, not paid", "free: matches, and answers from both",
            ])
        #expect(far.pool == "both" && far.poolHasFamily && far.scope == 15)
        let near = service.explain(name: try domain("cdn.example.com"), type: .a, client: try Prefix(text: "10.1.9.9"))
        #expect(near.policies.map(\.mismatch) == [nil] && near.pool == "near" && near.scope == 16)
        let six = service.explain(
            name: try domain("cdn.example.com"), type: .aaaa, client: try Prefix(text: "10.1.9.9"), label: "ams")
        #expect(six.policies.map(\.mismatch) == [.type, .account, .label] && six.pool == nil)
        let paid = service.explain(name: try domain("www.paid.test"), type: .aaaa, client: try Prefix(text: "10.1.9.9"))
        #expect(paid.pool == "one" && !paid.poolHasFamily)
        #expect(
            service.explain(name: try domain("ns1.example.com"), type: .a, client: try Prefix(text: "10.1.9.9"))
                .isNameserver)
        #expect(service.explain(name: try domain("org"), type: .a, client: try Prefix(text: "10.1.9.9")).zone == nil)
    }
}
