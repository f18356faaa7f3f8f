import Addressing
import Testing

@testable import PolicyDNS

@Suite struct RobustnessTests {
    /// What is wrong with an answer to anything at all.
    private func fault(_ query: [UInt8], _ answer: [UInt8]?, limit: Int = 1232) -> String? {
        guard query.count >= 12, query[2] & 0x80 == 0 else { return answer == nil ? nil : "answered what is no query" }
        guard let answer else { return "silent" }
        guard answer.count <= limit else { return "an answer of \(answer.count) bytes" }
        guard answer.count >= 12, answer[..<2] == query[..<2] else { return "another ID" }
        guard answer[2] & 0x80 != 0 else { return "no response" }
        do {
            _ = try ParsedResponse(answer)
        } catch {
            return "the answer cannot be read: \(error)"
        }
        return nil
    }

    @Test("there are more than fifty golden packets, and each has the answer that it should")
    func golden() throws {
        let asking = try Asking()
        let packets = try GoldenPacket.all()
        #expect(packets.count > 100)
        #expect(Set(packets.map(\.name)).count == packets.count)
        for packet in packets {
            for transport in TransportProtocol.allCases {
                let answer = asking.respond(packet.bytes, transport).bytes
                #expect(fault(packet.bytes, answer) == nil, "\(packet) over \(transport)")
                let rcode = try answer.map { try ParsedResponse($0).rcode }
                #expect(rcode == packet.rcode, "\(packet) over \(transport)")
            }
            asking.monotonicTime += 10_000_000_000
        }
    }

    @Test("every truncation of every golden packet has an answer that can be read, or silence where it must")
    func truncations() throws {
        let asking = try Asking()
        for packet in try GoldenPacket.all() {
            for count in packet.bytes.indices {
                let query = Array(packet.bytes[..<count])
                asking.monotonicTime += 10_000_000_000
                let found = fault(query, asking.respond(query).bytes)
                #expect(found == nil, "\(packet) cut to \(count) bytes")
            }
        }
    }

    // In parts, which run beside each other: 15 s of processor time in a debug build.
    @Test(
        "every change of a byte of every golden packet has an answer that can be read, or silence where it must",
        arguments: 0..<8)
    func changes(_ part: Int) throws {
        let asking = try Asking()
        for (index, packet) in try GoldenPacket.all().enumerated() where index % 8 == part {
            for place in packet.bytes.indices {
                var query = packet.bytes
                for value in UInt8(1)...255 {
                    query[place] = packet.bytes[place] ^ value
                    asking.monotonicTime += 10_000_000_000
                    if let found = fault(query, asking.respond(query).bytes) {
                        Issue.record("\(packet) with byte \(place) changed by \(value): \(found)")
                    }
                }
            }
        }
    }

    @Test("changed and cut answers are read or refused, never worse")
    func clientSide() throws {
        let asking = try Asking()
        var read = 0
        for packet in try GoldenPacket.all() {
            asking.monotonicTime += 10_000_000_000
            guard let answer = asking.respond(packet.bytes).bytes else { continue }
            for place in answer.indices {
                var changed = answer
                for value: UInt8 in [1, 0x3F, 0x80, 0xC0, 0xFF] {
                    changed[place] = answer[place] ^ value
                    if (try? ParsedResponse(changed)) != nil { read += 1 }
                }
                #expect(throws: MessageError.self) { try ParsedResponse(Array(answer[..<place])) }
            }
        }
        #expect(read > 0)
    }

    @Test("no answer is longer than the client or the server allows, whatever is asked")
    func limits() throws {
        var configuration = try sampleConfiguration()
        configuration.limits.udpPayload = 600
        configuration.zones[0].nameservers[0].addresses = try (1...40).map { try address("192.0.2.\($0)") }
        configuration.zones[1].nameservers[0].addresses = []
        let asking = try Asking(configuration)
        for (payload, limit) in [(nil, 512), (UInt16(100), 512), (550, 550), (600, 600), (4096, 600)] {
            for type in [RecordType.a, RecordType.ns, RecordType.soa, RecordType.any] {
                for name in ["example.com", "ns1.example.com"] {
                    asking.monotonicTime += 10_000_000_000
                    let query = try query(name, type, payload: payload)
                    let answer = try #require(asking.respond(query.bytes).bytes)
                    #expect(answer.count <= limit)
                    #expect(fault(query.bytes, answer) == nil)
                }
            }
        }
        let truncated = try asking.ask("ns1.example.com")
        #expect(truncated.isTruncated && truncated.answers.isEmpty)
        let whole = try asking.ask(try query("ns1.example.com"), .tcp)
        #expect(!whole.isTruncated && whole.answers.count == 40)
        asking.monotonicTime += 10_000_000_000
        let nameservers = try asking.ask(try query("example.com", RecordType.ns, payload: 600))
        #expect(!nameservers.isTruncated, "additional records are left out without TC")
        #expect(nameservers.answers.count == 2)
        #expect((1..<40).contains(nameservers.additional.count))
    }
}
