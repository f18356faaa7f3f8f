import Addressing
import Testing

@testable import PolicyDNS

@Suite struct MessageTests {
    @Test(
        "a name's text gives its wire form, and comes back as it is written canonically",
        arguments: [
            (".", [0], "."), ("com", [3, 99, 111, 109, 0], "com"), ("a.B.", [1, 97, 1, 98, 0], "a.b"),
            ("a\\.b.c", [3, 97, 46, 98, 1, 99, 0], "a\\.b.c"), ("\\000\\255", [2, 0, 255, 0], "\\000\\255"),
            ("\\065", [1, 97, 0], "a"), ("\\\\", [1, 92, 0], "\\\\"), ("a\\ b", [3, 97, 32, 98, 0], "a\\032b"),
        ] as [(String, [UInt8], String)])
    func nameText(_ text: String, _ wire: [UInt8], _ canonical: String) throws {
        let name = try domain(text)
        #expect(name.wire == wire)
        #expect(name.description == canonical)
        #expect(try domain(canonical) == name)
    }

    @Test(
        "what is no name is refused",
        arguments: [
            ("", .empty), ("..", .emptyLabel), (".com", .emptyLabel), ("a..b", .emptyLabel), ("a\\", .badEscape("\\")),
            ("a\\25", .badEscape("\\25")), ("\\256", .badEscape("\\256")), ("é", .notASCII("é")),
            (String(repeating: "x", count: 64), .labelTooLong(64)),
            (String(repeating: "xxx.", count: 64), .nameTooLong(257)),
        ] as [(String, DomainNameError)])
    func notNames(_ text: String, _ error: DomainNameError) {
        #expect(throws: error) { try DomainName(text: text) }
    }

    @Test("a name of 255 bytes is one, and below or at its parents and itself only")
    func relations() throws {
        #expect(try domain(String(repeating: "x.", count: 127)).wire.count == 255)
        let name = try domain("www.example.com")
        for above in ["www.example.com", "example.com", "com", "."] { #expect(try name.isAtOrBelow(domain(above))) }
        // The wire form of the last but one ends in the name's bytes, but not at a label.
        for other in ["ample.com", "a.www.example.com", "w.example.com", "example.org"] {
            #expect(try !name.isAtOrBelow(domain(other)))
        }
        #expect(try !domain("\\003www.example.com").isAtOrBelow(domain("www.example.com")))
    }

    @Test("compressed names are read, and pointers must lead back, so no loop is possible")
    func compression() throws {
        let response: [UInt8] = try query("www.example.com").bytes.withFlags(0x8000)
        func answering(_ owner: [UInt8]) -> [UInt8] {
            response.adding(record(owner, RecordType.a, 1, [192, 0, 2, 1]), countAt: 6)
        }
        let whole = try ParsedResponse(answering([1, 97, 0xC0, 16]))
        #expect(whole.answers.map(\.name) == [try domain("a.example.com")])
        #expect(whole.addresses == [try address("192.0.2.1")])
        let end = UInt8(response.count)
        for loop in [[0xC0, end], [1, 97, 0xC0, end], [0xC0, end + 2], [0xC0], [0x40, 0], [0xFF, 0xFF]] as [[UInt8]] {
            #expect(throws: MessageError.malformed("answer", at: response.count)) {
                try ParsedResponse(answering(loop))
            }
        }
    }

    @Test("a response's RDATA must be as long as its type says")
    func dataLength() throws {
        let response = try query("www.example.com").bytes.withFlags(0x8000)
        for (type, data) in [
            (RecordType.a, [1, 2, 3]), (RecordType.aaaa, [1]), (RecordType.ns, [0, 0]), (RecordType.soa, [0, 0, 1]),
            (RecordType.txt, [5, 1]),
        ] as [(UInt16, [UInt8])] {
            #expect(throws: MessageError.malformed("answer", at: response.count)) {
                try ParsedResponse(response.adding(record([0], type, 1, data), countAt: 6))
            }
        }
        #expect(throws: MessageError.notAResponse) { try ParsedResponse(try query("a").bytes) }
        #expect(throws: MessageError.trailingBytes(1)) { try ParsedResponse(response + [0]) }
        #expect(throws: MessageError.shorterThanHeader(3)) { try ParsedResponse([1, 2, 3]) }
    }

    @Test("the bytes of a query are those that the RFCs draw")
    func queryBytes() throws {
        var query = Query(try domain("a.test"), type: RecordType.aaaa)
        query.id = 0xABCD
        query.recursionDesired = true
        #expect(
            query.bytes == [0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 4, 116, 101, 115, 116, 0, 0, 28, 0, 1])
        query.edns = .init()
        query.edns?.flags = 0x8000
        query.edns?.options = [.clientSubnet(try Prefix(text: "192.0.2.128/25"))]
        #expect(query.bytes[11] == 1)
        #expect(
            query.bytes[24...] == [0, 0, 41, 0x04, 0xD0, 0, 0, 0x80, 0, 0, 12, 0, 8, 0, 8, 0, 1, 25, 0, 192, 0, 2, 128])
    }
}
