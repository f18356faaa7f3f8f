import Addressing
import Testing

@testable import Lab

@Suite("Surveys of names")
struct SurveyTests {
    @Test("a survey asks every address of a prefix once before any comes again")
    func permutation() throws {
        let prefix = try Prefix(text: "10.16.0.0/20")
        let asked = (0..<4096).map(prefix.scattered)
        #expect(Set(asked).count == 4096)
        #expect(asked.allSatisfy(prefix.contains))
        #expect(prefix.scattered(4096) == prefix.scattered(0))
    }

    @Test("a survey of a prefix with more addresses asks all over it", arguments: ["2001:db8::/64", "::/0"])
    func sample(text: String) throws {
        let prefix = try Prefix(text: text)
        let asked = (0..<4096).map(prefix.scattered)
        #expect(Set(asked).count == 4096)
        #expect(asked.allSatisfy(prefix.contains))
        // Each sixteenth of the prefix has its share.
        let sixteenths = asked.map { ($0.bits - prefix.address.bits) >> UInt128(124 - prefix.length) }
        #expect(Set(sixteenths).count == 16)
    }

    @Test("a survey of one address asks that")
    func single() throws {
        let prefix = try Prefix(text: "192.0.2.7/32")
        #expect(prefix.scattered(5) == prefix.address)
    }

    @Test("a survey tells answers that are too even from those that are uneven")
    func verdicts() throws {
        let within = try Prefix(text: "192.0.2.0/28")
        func verdict(_ addresses: [Int]) throws -> String? {
            let answers = SurveyAnswers(hosts: 1, within: within, drawn: addresses.map { (0, $0) })
            return try answers.judge(addresses: 16).facts["uniform"]
        }
        // SplitMix64 from a fixed seed.
        var state: UInt64 = 1
        let drawn = (0..<4096).map { _ -> Int in
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
            return Int((word ^ word >> 31) & 15)
        }
        #expect(try verdict(drawn) == "yes")
        #expect(try verdict(drawn.map { $0 & 13 }) == "no")
        #expect(try verdict((0..<4096).map { $0 & 15 }) == "too even")
        // Too few to tell.
        #expect(try verdict([0, 1, 2]) == nil)
    }
}
