import Addressing
import Testing

@testable import PolicyDNS

@Suite struct ComplianceTests {
    @Test("all probes of ISC's compliance test are answered as they should be, over UDP and TCP")
    func conforms() async throws {
        let asking = try Asking()
        let faults = try await ComplianceProbe.run(for: try domain("example.com")) { query, transport in
            asking.respond(query, transport).bytes
        }
        #expect(faults == [])
    }

    @Test("the probes are those of the tester's groups")
    func count() {
        let groups = Dictionary(grouping: ComplianceProbe.all, by: \.group).mapValues(\.count)
        #expect(groups == [.edns: 10, .full: 21, .comm: 2, .none: 1, .type: 65])
    }

    @Test(
        "an answer that breaks a rule is found out",
        arguments: [
            (place: 2, bits: UInt8(0x04), fault: "noaa"), (place: 3, bits: 0x80, fault: "ra"),
            (place: 3, bits: 0x40, fault: "z"), (place: 3, bits: 0x20, fault: "ad"),
            (place: 3, bits: 0x10, fault: "cd"),
            (place: 2, bits: 0x01, fault: "rd"), (place: 3, bits: 0x05, fault: "rcode 5"),
            (place: 2, bits: 0x08, fault: "opcode"), (place: 1, bits: 1, fault: "id"),
        ])
    func findsFaults(_ planted: (place: Int, bits: UInt8, fault: String)) throws {
        let probe = try #require(ComplianceProbe.all.first { $0.name == "edns" })
        var answer = try #require(try Asking().respond(try probe.query(for: try domain("example.com"))).bytes)
        #expect(probe.faults(of: answer) == [])
        answer[planted.place] ^= planted.bits
        #expect(probe.faults(of: answer).contains(planted.fault))
    }
}
