import Addressing
import Testing

@testable import PolicyDNS

@Suite struct RateLimiterTests {
    @Test(
        "however often a query is asked from one network, the answers are 1.5 times as much at most, and the allowance once",
        arguments: try GoldenPacket.all())
    func amplification(_ packet: GoldenPacket) throws {
        let asking = try Asking()
        var sent = 0
        var received = 0
        for _ in 0..<2000 {
            sent += packet.bytes.count + RateLimiter.packetHeader
            if let answer = asking.respond(packet.bytes).bytes { received += answer.count + RateLimiter.packetHeader }
        }
        #expect(received <= sent * 3 / 2 + RateLimiter.allowance)
    }

    @Test(
        "an answer that is too large for its query is sent whole at first, then truncated, and whole again after a while"
    )
    func allowance() throws {
        let asking = try Asking()
        let question = try query("www.example.com", 65)
        let first = try asking.ask(question)
        #expect(!first.isTruncated && first.authorities.count == 1)
        while !(try asking.ask(question)).isTruncated {}
        let truncated = try asking.ask(question)
        #expect(truncated.authorities.isEmpty && truncated.rcode == 0)
        #expect(!(try asking.ask(question, .tcp)).isTruncated, "over TCP clients are where they say")
        asking.source.address = try address("192.0.3.1")
        #expect(!(try asking.ask(question)).isTruncated, "another network has an allowance of its own")
        asking.source.address = try address("192.0.2.7")
        #expect((try asking.ask(question)).isTruncated, "another client of the same network has not")
        asking.monotonicTime += 1_000_000_000
        #expect(!(try asking.ask(question)).isTruncated)
    }

    @Test("what resolvers ask of a name, A, AAAA and HTTPS with EDNS, is never truncated")
    func mixture() throws {
        let asking = try Asking()
        for _ in 0..<10_000 {
            for type in [RecordType.a, RecordType.aaaa, 65] {
                #expect(!(try asking.ask(try query("www.example.com", type, payload: 1232))).isTruncated)
            }
        }
    }

    private func limited(rate: Int, slip: Int) throws -> Asking {
        var configuration = try sampleConfiguration()
        configuration.limits.responsesPerSecond = rate
        configuration.limits.slip = slip
        return try Asking(configuration)
    }

    @Test("a network gets so many answers per second, and of those over the rate every slip-th truncated")
    func rate() throws {
        let asking = try limited(rate: 10, slip: 3)
        let question = try query("www.example.com").bytes
        func outcomes(_ count: Int) throws -> String {
            String(
                try (0..<count).map { _ in
                    let (response, bytes) = asking.respond(question)
                    guard let bytes else {
                        #expect(response.silence == .rateLimited && response.rcode == 0)
                        return "-"
                    }
                    return try ParsedResponse(bytes).isTruncated ? "T" : "A"
                })
        }
        #expect(try outcomes(16) == "AAAAAAAAAA--T--T")
        asking.monotonicTime += 200_000_000
        #expect(try outcomes(5) == "AA--T")
        asking.monotonicTime += 60_000_000_000
        #expect(try outcomes(11) == "AAAAAAAAAA-")
    }

    @Test("slip 0 sends nothing over the rate, and TCP has no rate")
    func noSlip() throws {
        let asking = try limited(rate: 1, slip: 0)
        let question = try query("www.example.com").bytes
        #expect(asking.respond(question).bytes != nil)
        #expect((0..<20).allSatisfy { _ in asking.respond(question).bytes == nil })
        #expect((0..<20).allSatisfy { _ in asking.respond(question, .tcp).bytes != nil })
        #expect(asking.respond(try query("example.com").bytes.withFlags(4 << 11)).response.silence == .rateLimited)
    }

    @Test("IPv6 networks are /56, IPv4 networks /24, mapped or not")
    func networks() throws {
        let question = try query("www.example.com").bytes
        func share(_ first: String, _ second: String) throws -> Bool {
            let asking = try limited(rate: 1, slip: 0)
            asking.source.address = try address(first)
            #expect(asking.respond(question).bytes != nil)
            asking.source.address = try address(second)
            return asking.respond(question).bytes == nil
        }
        #expect(try share("192.0.2.0", "192.0.2.255"))
        #expect(try share("2001:db8:0:100::", "2001:db8:0:1ff:ffff:ffff:ffff:ffff"))
        #expect(try share("192.0.2.1", "::ffff:192.0.2.200"))
        // Two networks share a place by chance once in 65536 times: twice in a row is once in 4 × 10^9.
        let ipv4 = try (0..<2).map { _ in try share("192.0.2.0", "192.0.3.0") }
        let ipv6 = try (0..<2).map { _ in try share("2001:db8:0:100::", "2001:db8:0:200::") }
        #expect(ipv4 != [true, true])
        #expect(ipv6 != [true, true])
    }
}
