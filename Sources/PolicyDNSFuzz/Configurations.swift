import Addressing
import PolicyDNS

extension Configuration {
    /// The configurations that inputs are tried on.
    static var fuzzed: [Configuration] {
        do {
            return [try ordinary, try anyName, try limited]
        } catch {
            fatalError("\(error)")
        }
    }

    private static func pool(_ name: String, _ prefixes: String..., excluding: [Prefix] = []) throws -> Pool {
        Pool(
            name: name,
            addresses: try AddressPool(
                try prefixes.map { .init(try Prefix(text: $0)) }, excluding: excluding, excludingEdges: true))
    }

    /// Two zones, and policies that ask for everything.
    private static var ordinary: Configuration {
        get throws {
            let nameserver = Nameserver(
                name: try DomainName(text: "ns1.example.com"),
                addresses: [.v4(0xC000_0235), .v6(0x2001_0db8 << 96 | 0x35)])
            let zones = [
                Zone(
                    name: try DomainName(text: "example.com"), account: "free",
                    nameservers: [nameserver, Nameserver(name: try DomainName(text: "ns.elsewhere.net"))]),
                Zone(
                    name: try DomainName(text: "a.example.com"), account: "paid",
                    nameservers: [Nameserver(name: nameserver.name)]),
            ]
            var near = Policy(name: "near", pool: "one")
            near.match.clients = [try Prefix(text: "10.1.0.0/16"), try Prefix(text: "2001:db8:77::/48")]
            near.match.suffixes = [try DomainName(text: "www.example.com"), try DomainName(text: "b.a.example.com")]
            near.strategy = .roundRobin
            var paid = Policy(name: "paid", pool: "both")
            paid.match.accounts = ["paid"]
            paid.match.types = [.aaaa]
            paid.strategy = .static
            var rest = Policy(name: "rest", pool: "both")
            rest.match.labels = ["ams", "default"]
            var configuration = Configuration(
                zones: zones,
                pools: [try pool("one", "203.0.113.7/32"), try pool("both", "198.51.100.0/24", "2001:db8:1::/64")],
                policies: [near, paid, rest])
            configuration.listeners = [
                Listener(address: Endpoint(.v4(0x7F00_0001), 53)),
                Listener(address: Endpoint(.v4(0x7F00_0002), 53), label: "ams"),
            ]
            configuration.identity.version = "fuzzed"
            configuration.identity.server = "node-1"
            return configuration
        }
    }

    /// The root zone with a name server, and all addresses there are.
    private static var anyName: Configuration {
        get throws {
            let nameserver = Nameserver(name: try DomainName(text: "ns"), addresses: [.v4(0x0100_0001)])
            var configuration = Configuration(
                zones: [Zone(name: .root, nameservers: [nameserver])],
                pools: [
                    Pool(
                        name: "all",
                        addresses: try AddressPool([
                            .init(try Prefix(text: "0.0.0.0/0")), .init(try Prefix(text: "::/0")),
                        ]))
                ],
                policies: [Policy(name: "all", pool: "all")])
            configuration.limits.udpPayload = 4096
            return configuration
        }
    }

    /// As ``ordinary``, with the smallest answers and a low rate.
    private static var limited: Configuration {
        get throws {
            var configuration = try ordinary
            configuration.limits.udpPayload = 512
            configuration.limits.responsesPerSecond = 5
            configuration.identity.server = String(repeating: "s", count: 255)
            return configuration
        }
    }
}
