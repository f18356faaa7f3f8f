import Addressing
import Foundation
import PolicyDNS
import Testing
import YAMLReading
import Yams

@Suite struct ConfigurationTests {
    private let text = """
        listeners:
          - 192.0.2.53:53
          - {address: "[2001:db8::53]:53", label: ams}
        labels: [sjc]
        zones:
          - name: example.com
            account: free
            nameservers:
              - ns.example.net
              - {name: ns1.example.com, addresses: [192.0.2.53, "2001:db8::53"]}
            negative-ttl: 60
        pools:
          - {name: small, prefixes: 198.51.100.0/24, exclude-edges: true}
          - name: both
            prefixes: [{prefix: 203.0.113.0/25, weight: 3}, {prefix: 203.0.113.128/25, weight: 1}, "2001:db8:1::/64"]
            exclude: [203.0.113.7/32]
        policies:
          - name: free-ams
            match: {label: ams, account: [free], client: 10.0.0.0/8, type: A, suffix: [www.example.com]}
            pool: small
            ttl: 30
            strategy: static
          - {name: rest, pool: both}
        limits: {responses-per-second: 100}
        """

    private func refusal(_ text: String) -> String? {
        #expect(throws: YAMLFileError.self) {
            let _: Configuration = try YAMLFile.decode(text, file: "dns.yaml", as: "configuration")
        }?.description
    }

    @Test("a configuration file is read: short forms, defaults and all")
    func reads() throws {
        let read: Configuration = try YAMLFile.decode(text, file: "dns.yaml", as: "configuration")
        #expect(read.listeners.map(\.label) == [nil, "ams"])
        #expect(read.listeners.map(\.address.port) == [53, 53])
        #expect(read.labels == ["sjc"])
        let zone = try #require(read.zones.first)
        #expect(zone.nameservers.map(\.name.description) == ["ns.example.net", "ns1.example.com"])
        #expect(zone.nameservers.map(\.addresses.count) == [0, 2])
        #expect(zone.negativeTTL == 60)
        #expect(zone.apexTTL == 86400)
        #expect(read.pools.map(\.addresses.excludesEdges) == [true, false])
        #expect(read.pools[1].addresses.members.map(\.weight) == [3, 1, nil])
        let policy = read.policies[0]
        #expect(policy.match.labels == ["ams"])
        #expect(policy.match.accounts == ["free"])
        #expect(policy.match.clients == [try Prefix(text: "10.0.0.0/8")])
        #expect(policy.match.types == [.a])
        #expect(policy.match.suffixes.map(\.description) == ["www.example.com"])
        #expect(policy.ttl == 30)
        #expect(policy.strategy == .static)
        #expect(read.policies[1].match == Configuration.Match())
        #expect(read.policies[1].strategy == .random)
        #expect(read.limits.responsesPerSecond == 100)
        #expect(read.limits.udpPayload == 1232)
    }

    @Test("what is written can be read again")
    func roundTrip() throws {
        let read: Configuration = try YAMLFile.decode(text, file: "dns.yaml", as: "configuration")
        let again: Configuration = try YAMLFile.decode(
            YAMLEncoder().encode(read), file: "again.yaml", as: "configuration")
        #expect(again == read)
    }

    @Test(
        "what is wrong is told with file, line and column",
        arguments: [
            (
                "198.51.100.0/24", "198.51.100.1/24",
                "dns.yaml:13:29: 198.51.100.1/24 has host bits set: write 198.51.100.0/24"
            ),
            ("weight: 3", "wieght: 3", "dns.yaml:15:41: unknown key 'wieght'; did you mean 'weight'?"),
            (
                "weight: 3", "weight: 0",
                "dns.yaml:15:15: 203.0.113.0/25 has the weight 0: leave it out, or give it 1 or more"
            ),
            (
                "203.0.113.7/32", "192.0.2.7/32",
                "dns.yaml:16:14: 192.0.2.7/32 is excluded, but in none of the pool's prefixes"
            ),
            (
                "strategy: static", "strategy: sticky",
                "dns.yaml:22:15: 'sticky' is not a strategy: write one of 'random', 'static', 'round-robin'"
            ),
            (
                "name: example.com", "name: example..com",
                "dns.yaml:6:11: a domain name has no empty labels: remove the extra dot"
            ),
            ("ttl: 30", "ttl: soon", "dns.yaml:21:10: expected a whole number from 0 to 4294967295, found 'soon'"),
            (
                "192.0.2.53:53", "192.0.2.53",
                "dns.yaml:2:5: '192.0.2.53' is not an endpoint: write 192.0.2.1:53 or [2001:db8::1]:53"
            ),
        ])
    func refusals(_ good: String, _ bad: String, _ message: String) throws {
        let place = try #require(text.range(of: good))
        #expect(refusal(text.replacingCharacters(in: place, with: bad)) == message)
    }
}
