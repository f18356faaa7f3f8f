import Addressing
import Testing

@testable import PolicyDNS

@Suite struct AnsweringTests {
    private func subnet(in response: ParsedResponse) throws -> [UInt8] {
        try #require(response.edns?.options.first { $0.code == OptionCode.clientSubnet }).data
    }

    @Test("any name in a zone has an address of the pool, of the family asked for, with the policy's TTL")
    func addresses() throws {
        let asking = try Asking()
        for name in ["example.com", "www.example.com", "a.b.c.example.com", "_x.example.com"] {
            for (type, prefix) in [(RecordType.a, "198.51.100.0/24"), (RecordType.aaaa, "2001:db8:1::/64")] {
                let response = try asking.ask(name, type)
                #expect(response.isAuthoritative && response.rcode == 0 && response.answers.count == 1)
                #expect(response.answers[0].ttl == 300)
                #expect(try response.answers[0].name == domain(name))
                #expect(try Prefix(text: prefix).contains(try #require(response.addresses.first)))
            }
        }
        let paid = try asking.ask("www.paid.test")
        #expect(paid.addresses == [try address("203.0.113.7")])
        #expect(paid.answers[0].ttl == 5)
    }

    @Test("the case of the QNAME comes back as it went, and decides nothing")
    func letterCase() throws {
        let asking = try Asking()
        var bytes = try query("www.paid.test").bytes
        for (place, letter) in [(13, "W"), (17, "P"), (20, "D"), (22, "T")] {
            bytes[place] = try #require(letter.utf8.first)
        }
        let answer = try #require(asking.respond(bytes).bytes)
        #expect(answer[12..<bytes.count] == bytes[12...])
        #expect(try ParsedResponse(answer).addresses == [try address("203.0.113.7")])
    }

    @Test("answers of one worker vary with random, not with static, and go round with round-robin")
    func strategies() throws {
        func draw(_ strategy: Configuration.Strategy, _ names: [String]) throws -> [[IPAddress]] {
            var configuration = try sampleConfiguration()
            configuration.policies[2].strategy = strategy
            return try (0..<2).map { _ in
                let asking = try Asking(configuration)
                return try names.map { try #require(try asking.ask($0).addresses.first) }
            }
        }
        let same = [String](repeating: "www.example.com", count: 256)
        let random = try draw(.random, same)
        #expect(Set(random[0]).count > 100 && random[0] != random[1])
        let different = (0..<100).map { "h\($0).example.com" }
        let fixed = try draw(.static, different)
        #expect(fixed[0] == fixed[1] && Set(fixed[0]).count > 60)
        #expect(try draw(.static, ["H7.Example.COM"])[0][0] == fixed[0][7])
        let round = try draw(.roundRobin, same)
        #expect(Set(round[0]).count == 256)
        #expect(zip(round[0], round[0].dropFirst()).allSatisfy { ($1.bits & 0xFF) == (($0.bits &+ 1) & 0xFF) })
    }

    @Test("a static address does not change from one version of this program to the next")
    func staticIsStable() throws {
        var configuration = try sampleConfiguration()
        configuration.policies[2].strategy = .static
        let found = try Asking(configuration).ask("www.example.com").addresses
        // SipHash-2-4 of the QNAME with a key of zeros, then SplitMix64, computed apart from this program.
        #expect(found == [try address("198.51.100.63")])
    }

    @Test("what a name has not is answered NODATA with the SOA record, and TTL the lower of its own and MINIMUM")
    func noData() throws {
        let asking = try Asking()
        for (name, type) in [("www.example.com", UInt16(15)), ("example.com", 65), ("www.example.com", RecordType.soa)]
        {
            let response = try asking.ask(name, type)
            #expect(response.rcode == 0 && response.isAuthoritative && response.answers.isEmpty)
            let soa = try #require(response.authorities.first)
            #expect(soa.ttl == 60)
            #expect(try soa.name == domain("example.com"))
            #expect(
                soa.data
                    == .startOfAuthority(
                        primary: try domain("ns1.example.com"), contact: try domain("hostmaster.example.com"),
                        serial: 7,
                        minimum: 60))
        }
        let family = try asking.ask("www.paid.test", RecordType.aaaa)
        #expect(family.answers.isEmpty)
        #expect(try family.authorities.first?.name == domain("paid.test"))
        asking.label = 1
        let unmatched = asking.respond(try query("www.example.com").bytes)
        #expect(unmatched.response.policy == nil)
        #expect(try ParsedResponse(try #require(unmatched.bytes)).authorities.count == 1)
        asking.label = 99
        #expect(try asking.ask("www.example.com").answers.isEmpty, "a label that is not known")
    }

    @Test("the apex has SOA and NS, with the addresses of the name servers within")
    func apex() throws {
        let asking = try Asking()
        let soa = try asking.ask("example.com", RecordType.soa)
        #expect(soa.answers.map(\.ttl) == [3600] && soa.authorities.isEmpty)
        let ns = try asking.ask("example.com", RecordType.ns)
        #expect(
            ns.answers.map(\.data) == [
                .nameserver(try domain("ns1.example.com")), .nameserver(try domain("ns.elsewhere.net")),
            ])
        #expect(ns.additional.map(\.name) == [try domain("ns1.example.com"), try domain("ns1.example.com")])
        #expect(
            ns.additional.map(\.data) == [.address(try address("192.0.2.53")), .address(try address("2001:db8::53"))])
        let other = try asking.ask("paid.test", RecordType.ns)
        #expect(other.answers.count == 1 && other.additional.isEmpty)
        #expect(try asking.ask("ns1.example.com").addresses == [try address("192.0.2.53")])
        #expect(try asking.ask("ns1.example.com", RecordType.aaaa).addresses == [try address("2001:db8::53")])
    }

    @Test("the zone with the longest apex answers; DS for that apex is the parent's")
    func longestMatch() throws {
        var configuration = try sampleConfiguration()
        configuration.zones.append(
            .init(
                name: try domain("sub.example.com"), account: "paid",
                nameservers: [.init(name: try domain("ns1.example.com"))]))
        let asking = try Asking(configuration)
        #expect(try asking.ask("x.sub.example.com").addresses == [try address("203.0.113.7")])
        #expect(try asking.ask("xsub.example.com").addresses != [try address("203.0.113.7")])
        #expect(try asking.ask("sub.example.com", 15).authorities.first?.name == (try domain("sub.example.com")))
        #expect(try asking.ask("sub.example.com", RecordType.ds).authorities.first?.name == (try domain("example.com")))
        #expect(try asking.ask("example.com", RecordType.ds).authorities.first?.name == (try domain("example.com")))
    }

    @Test("the root zone serves any name")
    func root() throws {
        var configuration = try sampleConfiguration()
        configuration.zones = [
            .init(
                name: .root, account: "free",
                nameservers: [.init(name: try domain("ns"), addresses: [try address("192.0.2.1")])])
        ]
        configuration.policies = [.init(name: "all", pool: "one")]
        let asking = try Asking(configuration)
        for name in [".", "com", "www.example.org"] {
            #expect(try asking.ask(name).addresses == [try address("203.0.113.7")])
            #expect(try asking.ask(name, 15).authorities.first?.name == .root)
        }
        #expect(try asking.ask(".", RecordType.ns).answers.map(\.data) == [.nameserver(try domain("ns"))])
    }

    @Test("a million names in a configuration's place: many zones are told apart")
    func manyZones() throws {
        var configuration = try sampleConfiguration()
        for number in 0..<2000 {
            configuration.zones.append(
                .init(name: try domain("z\(number).test"), nameservers: [.init(name: try domain("ns.elsewhere.net"))]))
        }
        let asking = try Asking(configuration)
        for number in stride(from: 0, to: 2000, by: 97) {
            asking.monotonicTime += 10_000_000_000
            #expect(try asking.ask("x.z\(number).test", 15).authorities.first?.name == (try domain("z\(number).test")))
        }
        #expect(try asking.ask("z2000.test").rcode == ResponseCode.refused)
    }

    @Test("outside all zones is REFUSED, which EDNS explains")
    func refused() throws {
        let response = try Asking().ask(try query("www.example.org", payload: 1232))
        #expect(response.rcode == ResponseCode.refused && !response.isAuthoritative && response.authorities.isEmpty)
        #expect(response.edns?.options == [.init(code: 15, data: [0, 20])])
        #expect(try Asking().ask("www.example.org").edns == nil)
    }

    @Test("the subnet that a query states decides, and comes back with the number of bits that decided")
    func clientSubnet() throws {
        let asking = try Asking()
        let cases: [(subnet: String, near: Bool, scope: UInt8)] = [
            ("10.1.2.0/24", true, 16), ("10.1.0.0/16", true, 16),
            // The first bit in which 10.2.0.0 differs from 10.1.0.0 is the fifteenth.
            ("10.2.0.0/16", false, 15), ("192.0.2.0/24", false, 1),
            // It could be inside: the client should have told more.
            ("10.0.0.0/8", false, 16),
            ("2001:db8:77::/56", true, 48), ("2001:db8:76::/48", false, 48),
        ]
        for (text, near, scope) in cases {
            let response = try asking.ask(
                try query("cdn.example.com", with: .clientSubnet(try Prefix(text: text))))
            let isNear = try response.addresses == [address("203.0.113.8")]
            #expect(isNear == near, "\(text)")
            let sent = Query.Option.clientSubnet(try Prefix(text: text)).data
            #expect(try subnet(in: response) == sent[..<3] + [scope] + sent[4...], "\(text)")
        }
        let elsewhere = try asking.ask(
            try query("www.example.com", with: .clientSubnet(try Prefix(text: "10.1.0.0/16"))))
        #expect(try subnet(in: elsewhere)[3] == 0, "no policy for this name looks at clients")
    }

    @Test("where a policy looks at clients of one family, no answer is said to be good for all networks")
    func familyDecides() throws {
        var configuration = try sampleConfiguration()
        for (prefix, near) in [("10.1.0.0/16", false), ("::/0", true)] {
            configuration.policies[0].match.clients = [try Prefix(text: prefix)]
            let response = try Asking(configuration).ask(
                try query("cdn.example.com", with: .clientSubnet(try Prefix(text: "2001:db8::/56"))))
            #expect(try (response.addresses == [address("203.0.113.8")]) == near)
            #expect(try subnet(in: response)[3] == 1, "\(prefix)")
        }
    }

    @Test("without a subnet, or with one of no bits, the source address decides, mapped or not")
    func source() throws {
        let asking = try Asking()
        asking.source = try Endpoint(text: "10.1.200.1:5")
        #expect(try asking.ask("cdn.example.com").addresses == [try address("203.0.113.8")])
        let kept = try asking.ask(try query("cdn.example.com", with: .init(code: 8, data: [0, 1, 0, 0])))
        #expect(kept.addresses == [try address("203.0.113.8")])
        #expect(try subnet(in: kept) == [0, 1, 0, 0])
        asking.source = try Endpoint(text: "[::ffff:10.1.200.1]:5")
        #expect(try asking.ask("cdn.example.com").addresses == [try address("203.0.113.8")])
        asking.source = try Endpoint(text: "10.2.200.1:5")
        #expect(try asking.ask("cdn.example.com").addresses != [try address("203.0.113.8")])
    }

    @Test("class CHAOS tells what the configuration says, and nothing otherwise")
    func chaos() throws {
        func ask(_ asking: Asking, _ name: String) throws -> ParsedResponse {
            var query = try query(name, RecordType.txt)
            query.recordClass = RecordClass.chaos
            return try asking.ask(query)
        }
        let asking = try Asking()
        for (name, text) in [
            ("version.bind", "binding-lab"), ("VERSION.server", "binding-lab"), ("id.server", "node-1"),
            ("hostname.bind", "node-1"),
        ] {
            #expect(try ask(asking, name).answers.map(\.data) == [.text([Array(text.utf8)])])
        }
        var silent = try sampleConfiguration()
        silent.identity = .init()
        #expect(try ask(try Asking(silent), "version.bind").rcode == ResponseCode.refused)
        #expect(
            try Asking(silent).ask(try query("www.example.com", with: .init(code: 3, data: []))).edns?.options == [])
        #expect(
            try asking.ask(try query("www.example.com", with: .init(code: 3, data: []))).edns?.options
                == [.init(code: 3, data: Array("node-1".utf8))])
    }

    @Test("any type is answered with one HINFO record (RFC 8482)")
    func anyType() throws {
        let response = try Asking().ask("www.example.com", RecordType.any)
        #expect(response.answers.map(\.type) == [RecordType.hinfo])
        #expect(response.answers.first?.data == .other([7] + Array("RFC8482".utf8) + [0]))
    }

    @Test("keepalive is told over TCP only (RFC 7828)")
    func keepalive() throws {
        let question = try query("www.example.com", with: .init(code: 11, data: []))
        #expect(try Asking().ask(question, .tcp).edns?.options == [.init(code: 11, data: [0, 100])])
        #expect(try Asking().ask(question).edns?.options == [])
    }

    @Test("metrics learn the policy, the type and the RCODE")
    func response() throws {
        let asking = try Asking()
        let answered = asking.respond(try query("www.example.com").bytes).response
        #expect(answered.policy == 2 && answered.type == 1 && answered.rcode == 0 && !answered.truncated)
        #expect(asking.respond(try query("ns1.example.com").bytes).response.policy == nil)
        let badVersion = try #require(try GoldenPacket.all().first { $0.name == "edns-version-1" })
        #expect(asking.respond(badVersion.bytes).response.rcode == 16)
        #expect(asking.respond([1, 2, 3]).response.silence == .notAMessage)
        #expect(asking.respond(badVersion.bytes.withFlags(0x8000)).response.silence == .isAResponse)
    }

    @Test("another service is answered from at once")
    func adopts() throws {
        let asking = try Asking()
        var configuration = try sampleConfiguration()
        configuration.policies = []
        asking.adopt(try Service(configuration))
        #expect(try asking.ask("www.paid.test").answers.isEmpty)
    }
}
