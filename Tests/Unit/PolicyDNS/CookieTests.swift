import Addressing
import Testing

@testable import PolicyDNS

@Suite struct CookieTests {
    private func key(_ first: UInt64, _ second: UInt64) -> SipHash.Key {
        // Keys are written as byte strings, and read as little-endian words.
        SipHash.Key(first: first.byteSwapped, second: second.byteSwapped)
    }

    @Test("SipHash-2-4 gives the values of its authors' test vectors")
    func sipHash() {
        // From vectors.h of the reference implementation: key 00 01 … 0f, input the first n bytes of 00 01 02 …
        let expected: [(length: Int, hash: UInt64)] = [
            (0, 0x726f_db47_dd0e_0e31), (1, 0x74f8_39c5_93dc_67fd), (7, 0xab02_00f5_8b01_d137),
            (8, 0x93f5_f579_9a93_2462), (15, 0xa129_ca61_49be_45e5),
        ]
        for (length, hash) in expected {
            let input = (0..<length).map { UInt8($0) }
            let found = input.withUnsafeBytes {
                SipHash.hash($0, key: key(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f))
            }
            #expect(found == hash, "of \(length) bytes")
        }
    }

    private let first = (high: UInt64(0xe5e9_73e5_a6b2_a43f), low: UInt64(0x48e7_dc84_9e37_bfcf))

    @Test(
        "server cookies are those of RFC 9018 appendix A",
        arguments: [
            (
                client: 0x2464_c4ab_cf10_c957, address: "198.51.100.100", time: 1_559_731_985,
                hash: 0x1f81_30c3_eee2_9480
            ),
            (
                client: 0x2464_c4ab_cf10_c957, address: "198.51.100.100", time: 1_559_734_385,
                hash: 0xd4a5_64a1_442a_ca77
            ),
            (client: 0xfc93_fc62_807d_db86, address: "203.0.113.203", time: 1_559_734_700, hash: 0xf73a_7810_aca2_381e),
        ] as [(client: UInt64, address: String, time: UInt32, hash: UInt64)])
    func vectors(_ vector: (client: UInt64, address: String, time: UInt32, hash: UInt64)) throws {
        let cookie = ServerCookie.make(
            vector.client, try address(vector.address), at: vector.time, key: key(first.high, first.low))
        #expect(cookie.head == 0x0100_0000_0000_0000 | UInt64(vector.time))
        #expect(cookie.hash == vector.hash)
    }

    @Test(
        "an IPv6 client's cookie is that of RFC 9018 appendix A.4, and one of the key before is valid with that key only"
    )
    func rolledOver() throws {
        let client = try address("2001:db8:220:1:59de:d0f4:8769:82b8")
        let old = key(0xdd3b_df93_44b6_78b1, 0x85a6_f5cb_60fc_a715)
        let new = key(0x4455_36bc_d251_3298, 0x075a_5d37_9663_c962)
        let now: UInt32 = 1_559_741_961
        #expect(ServerCookie.make(0x2268_1ab9_7d52_c298, client, at: now, key: new).hash == 0xa6bb_79d1_6625_507a)
        let sent = ServerCookie(head: 0x0100_0000_5cf7_c579, hash: 0x2655_6bd0_934c_72f8)
        #expect(sent.isValid(0x2268_1ab9_7d52_c298, client, now: now, key: old))
        #expect(!sent.isValid(0x2268_1ab9_7d52_c298, client, now: now, key: new))
    }

    @Test("reserved bits count in the hash as they were sent (RFC 9018 appendix A.3)")
    func reservedBits() throws {
        let sent = ServerCookie(head: 0x01ab_cdef_5cf7_8f71, hash: 0xa314_227b_6679_ebf5)
        let client = try address("203.0.113.203")
        #expect(sent.isValid(0xfc93_fc62_807d_db86, client, now: 1_559_727_985, key: key(first.high, first.low)))
    }

    @Test("a cookie is good for an hour, five minutes of the future included, across the wrap of the clock too")
    func age() throws {
        let client = try address("192.0.2.1")
        let secret = key(1, 2)
        for made in [1_700_000_000, UInt32.max - 10, 5] as [UInt32] {
            let cookie = ServerCookie.make(9, client, at: made, key: secret)
            func valid(_ age: Int32) -> Bool {
                cookie.isValid(9, client, now: made &+ UInt32(bitPattern: age), key: secret)
            }
            #expect(valid(0) && valid(3600) && !valid(3601) && valid(-300) && !valid(-301))
            #expect(!cookie.isOld(now: made &+ 1800) && cookie.isOld(now: made &+ 1801))
        }
    }

    private func cookie(in response: ParsedResponse) throws -> [UInt8] {
        try #require(response.edns?.options.first { $0.code == OptionCode.cookie }).data
    }

    @Test("a client learns a cookie, keeps it for half an hour, and then gets another")
    func learning() throws {
        let asking = try Asking()
        asking.unixTime = 1_700_000_000
        let learned = try cookie(in: try asking.ask(try query("www.example.com", with: .cookie(client: 7))))
        #expect(learned.count == 24 && learned.prefix(8).elementsEqual(UInt64(7).networkBytes))
        let server = Array(learned[8...])
        let again = try query("www.example.com", with: .cookie(client: 7, server: server))
        asking.unixTime += 1800
        #expect(try cookie(in: try asking.ask(again)) == learned)
        asking.unixTime += 1
        let renewed = try cookie(in: try asking.ask(again))
        #expect(renewed != learned && renewed.prefix(8) == learned.prefix(8))
    }

    @Test("cookies hold across workers, reloads and the daily change of keys, and fail for another client or secret")
    func validity() throws {
        var configuration = try sampleConfiguration()
        configuration.limits.responsesPerSecond = 1
        configuration.limits.slip = 0
        let secret = ServerSecret.random()
        let first = try Asking(configuration, secret: secret)
        // Ten minutes before the day ends.
        first.unixTime = 86400 * 20_000 - 600
        let server = Array(try cookie(in: try first.ask(try query("www.example.com", with: .cookie(client: 7))))[8...])
        let again = try query("www.example.com", with: .cookie(client: 7, server: server)).bytes

        /// Whether a rate of one per second does not hold this client.
        func isExempt(_ asking: Asking) -> Bool {
            asking.unixTime = 86400 * 20_000 + 600
            return (0..<5).allSatisfy { _ in asking.respond(again).bytes != nil }
        }
        #expect(isExempt(try Asking(configuration, secret: secret)))
        first.adopt(try Service(configuration, secret: secret))
        #expect(isExempt(first))
        #expect(!isExempt(try Asking(configuration)), "another secret")
        #expect(!isExempt(try Asking(configuration, secret: secret, source: "192.0.2.100:4000")), "another address")
        #expect(
            isExempt(try Asking(configuration, secret: secret, source: "[::ffff:192.0.2.99]:4000")), "the same, mapped")
    }

    @Test("a query without a question gets a cookie (RFC 7873 §5.4)")
    func withoutQuestion() throws {
        let packet = try #require(try GoldenPacket.all().first { $0.name == "cookie-without-question" })
        let response = try Asking().ask(packet.bytes)
        #expect(response.question == nil && response.rcode == 0 && response.answers.isEmpty)
        #expect(try cookie(in: response).count == 24)
    }
}
