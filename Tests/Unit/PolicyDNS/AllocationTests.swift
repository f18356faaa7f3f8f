import Addressing
import AllocationCount
import Testing

@testable import PolicyDNS

@Suite struct AllocationTests {
    @Test(
        "nothing is allocated for a query, whatever it asks",
        arguments: [
            "a", "aaaa", "edns", "edns-https", "cookie-client", "subnet-ipv4", "all-options", "soa-apex", "ns-apex",
            "any",
            "a-outside", "trailing-byte", "update", "signed", "a-longest-name",
        ])
    func allocations(_ name: String) throws {
        let packet = try #require(try GoldenPacket.all().first { $0.name == name })
        var responder = Responder(try Service(try sampleConfiguration()))
        let answer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
        defer { answer.deallocate() }
        let source = try Endpoint(text: "10.1.2.3:4000")
        let counted = packet.bytes.withUnsafeBytes { query in
            func respond(_ times: Int) -> UInt {
                let before = allocation_count()
                for time in 0..<times {
                    let arrival = Arrival(
                        source: source, label: 0, transport: .udp, unixTime: 1_700_000_000,
                        monotonicTime: UInt64(time) * 1_000_000)
                    _ = responder.respond(to: query, arrival, into: answer)
                }
                return allocation_count() - before
            }
            // The first one may set up what is set up once.
            _ = respond(1)
            return respond(10_000)
        }
        #expect(counted == 0)
    }

    @Test("the counter counts")
    func counts() {
        let before = allocation_count()
        var kept: [[Int]] = []
        for number in 0..<10 { kept.append([number]) }
        #expect(allocation_count() - before >= 10)
        #expect(kept.count == 10)
    }
}
