import Addressing

@testable import PolicyDNS

/// Queries of every kind, well-formed and not, by name: what robustness is tested with, and what fuzzing starts from.
struct GoldenPacket: Sendable, CustomStringConvertible {
    let name: String
    let bytes: [UInt8]
    /// The RCODE over UDP; nil for silence.
    let rcode: UInt16?

    var description: String { name }

    static func all() throws -> [GoldenPacket] { try questions() + options() + malformed() + otherOpcodes() }

    /// A packet which answers `rcode`.
    private init(_ name: String, _ bytes: [UInt8], _ rcode: UInt16?) {
        self.name = name
        self.bytes = bytes
        self.rcode = rcode
    }

    private static let noError = ResponseCode.noError
    private static let formErr = ResponseCode.formErr
    private static let refused = ResponseCode.refused

    private static func questions() throws -> [GoldenPacket] {
        func plain(_ name: String, _ type: UInt16 = RecordType.a, _ recordClass: UInt16 = 1) throws -> [UInt8] {
            var query = try query(name, type)
            query.recordClass = recordClass
            return query.bytes
        }
        let longest = [String](repeating: String(repeating: "x", count: 63), count: 3).joined(separator: ".")
        return [
            GoldenPacket("a", try plain("www.example.com"), noError),
            GoldenPacket("aaaa", try plain("www.example.com", RecordType.aaaa), noError),
            GoldenPacket(
                "a-mixed-case", try plain("www.example.com").map { $0 == UInt8(ascii: "w") ? UInt8(ascii: "W") : $0 },
                noError),
            GoldenPacket("a-apex", try plain("example.com"), noError),
            GoldenPacket("a-deep", try plain("a.b.c.d.e.f.g.h.example.com"), noError),
            GoldenPacket("a-binary-label", try plain("\\000\\255\\046.example.com"), noError),
            GoldenPacket(
                "a-longest-name", try plain(longest + "." + String(repeating: "y", count: 49) + ".example.com"), noError
            ),
            GoldenPacket("a-many-labels", try plain(String(repeating: "a.", count: 121) + "example.com"), noError),
            GoldenPacket("a-nameserver", try plain("ns1.example.com"), noError),
            GoldenPacket("aaaa-nameserver", try plain("ns1.example.com", RecordType.aaaa), noError),
            GoldenPacket("a-outside", try plain("www.example.org"), refused),
            GoldenPacket("a-root", try plain("."), refused),
            GoldenPacket("a-above", try plain("com"), refused),
            GoldenPacket("a-paid", try plain("www.paid.test"), noError),
            GoldenPacket("aaaa-no-such-family", try plain("www.paid.test", RecordType.aaaa), noError),
            GoldenPacket("soa-apex", try plain("example.com", RecordType.soa), noError),
            GoldenPacket("soa-below", try plain("www.example.com", RecordType.soa), noError),
            GoldenPacket("ns-apex", try plain("example.com", RecordType.ns), noError),
            GoldenPacket("ns-below", try plain("www.example.com", RecordType.ns), noError),
            GoldenPacket("mx", try plain("www.example.com", 15), noError),
            GoldenPacket("https", try plain("www.example.com", 65), noError),
            GoldenPacket("ds-apex", try plain("example.com", RecordType.ds), noError),
            GoldenPacket("any", try plain("www.example.com", RecordType.any), noError),
            GoldenPacket("type-0", try plain("www.example.com", 0), noError),
            GoldenPacket("type-65535", try plain("www.example.com", 65535), noError),
            GoldenPacket("maila", try plain("example.com", 254), noError),
            GoldenPacket("mailb", try plain("example.com", 253), noError),
            GoldenPacket("axfr", try plain("example.com", RecordType.axfr), refused),
            GoldenPacket("ixfr", try plain("example.com", RecordType.ixfr), refused),
            GoldenPacket(
                "ixfr-with-soa",
                try plain("example.com", RecordType.ixfr).adding(
                    record([0xC0, 12], RecordType.soa, 1, [0, 0] + [UInt8](repeating: 0, count: 20)), countAt: 8),
                refused),
            GoldenPacket("tkey", try plain("example.com", RecordType.tkey), refused),
            GoldenPacket("type-opt", try plain("example.com", RecordType.opt), formErr),
            GoldenPacket("type-tsig", try plain("example.com", RecordType.tsig), formErr),
            GoldenPacket("version-bind", try plain("version.bind", RecordType.txt, RecordClass.chaos), noError),
            GoldenPacket("version-server", try plain("version.server", RecordType.txt, RecordClass.chaos), noError),
            GoldenPacket("id-server", try plain("id.server", RecordType.txt, RecordClass.chaos), noError),
            GoldenPacket("hostname-bind", try plain("hostname.bind", RecordType.any, RecordClass.chaos), noError),
            GoldenPacket("chaos-other-type", try plain("version.bind", RecordType.a, RecordClass.chaos), noError),
            GoldenPacket("chaos-other-name", try plain("authors.bind", RecordType.txt, RecordClass.chaos), refused),
            GoldenPacket("class-hesiod", try plain("example.com", RecordType.txt, 4), refused),
            GoldenPacket("class-any", try plain("example.com", RecordType.a, RecordClass.any), refused),
        ]
    }

    private static func options() throws -> [GoldenPacket] {
        func edns(
            _ options: Query.Option..., payload: UInt16 = 1232, type: UInt16 = RecordType.a
        ) throws -> [UInt8] {
            var query = try query("www.example.com", type, payload: payload)
            query.edns?.options = options
            return query.bytes
        }
        func option(_ code: UInt16, _ data: [UInt8]) -> Query.Option { Query.Option(code: code, data: data) }
        let cookie = Query.Option.cookie(client: 0x0102_0304_0506_0708)
        var version1 = try query("www.example.com", payload: 1232)
        version1.edns?.version = 1
        var allFlags = try query("www.example.com", payload: 1232)
        allFlags.edns?.flags = 0xFFFF
        return [
            GoldenPacket("edns", try edns(), noError),
            GoldenPacket("edns-aaaa", try edns(type: RecordType.aaaa), noError),
            GoldenPacket("edns-https", try edns(type: 65), noError),
            GoldenPacket("edns-payload-0", try edns(payload: 0), noError),
            GoldenPacket("edns-payload-65535", try edns(payload: 65535), noError),
            GoldenPacket("edns-version-1", version1.bytes, ResponseCode.badVers),
            GoldenPacket("edns-all-flags", allFlags.bytes, noError),
            GoldenPacket("cookie-client", try edns(cookie), noError),
            GoldenPacket(
                "cookie-invalid", try edns(.cookie(client: 1, server: [UInt8](repeating: 7, count: 16))), noError),
            GoldenPacket(
                "cookie-other-size", try edns(.cookie(client: 1, server: [UInt8](repeating: 7, count: 32))), noError),
            GoldenPacket("cookie-twice", try edns(cookie, option(10, [1])), noError),
            GoldenPacket("cookie-too-short", try edns(option(10, [1, 2, 3])), formErr),
            GoldenPacket("cookie-between-sizes", try edns(option(10, [UInt8](repeating: 1, count: 12))), formErr),
            GoldenPacket("cookie-too-long", try edns(option(10, [UInt8](repeating: 1, count: 41))), formErr),
            GoldenPacket("subnet-ipv4", try edns(.clientSubnet(try Prefix(text: "10.1.2.0/24"))), noError),
            GoldenPacket("subnet-ipv6", try edns(.clientSubnet(try Prefix(text: "2001:db8:77::/48"))), noError),
            GoldenPacket("subnet-none", try edns(option(8, [0, 1, 0, 0])), noError),
            GoldenPacket("subnet-family-0", try edns(option(8, [0, 0, 0, 0])), noError),
            GoldenPacket("subnet-odd-length", try edns(option(8, [0, 1, 9, 0, 10, 0x80])), noError),
            GoldenPacket("subnet-bits-after", try edns(option(8, [0, 1, 9, 0, 10, 0x40])), formErr),
            GoldenPacket("subnet-too-long", try edns(option(8, [0, 1, 24, 0, 10, 1, 2, 3])), formErr),
            GoldenPacket("subnet-too-short", try edns(option(8, [0, 1, 24, 0, 10, 1])), formErr),
            GoldenPacket("subnet-length-33", try edns(option(8, [0, 1, 33, 0, 10, 1, 2, 3, 0])), formErr),
            GoldenPacket("subnet-scope", try edns(option(8, [0, 1, 24, 24, 10, 1, 2])), formErr),
            GoldenPacket("subnet-family-3", try edns(option(8, [0, 3, 8, 0, 10])), formErr),
            GoldenPacket("subnet-empty", try edns(option(8, [])), formErr),
            GoldenPacket("nsid", try edns(option(3, [])), noError),
            GoldenPacket("keepalive", try edns(option(11, [])), noError),
            GoldenPacket("padding", try edns(option(12, [UInt8](repeating: 0, count: 100))), noError),
            GoldenPacket("unknown-options", try edns(option(100, [1]), option(65535, []), option(0, [])), noError),
            GoldenPacket(
                "all-options",
                try edns(
                    option(3, []), .clientSubnet(try Prefix(text: "10.1.0.0/16")), option(9, []), cookie, option(11, [])
                ), noError),
        ]
    }

    private static func malformed() throws -> [GoldenPacket] {
        let plain = try query("www.example.com").bytes
        let question = Array(plain[12...])
        let edns = try query("www.example.com", payload: 1232).bytes
        let opt = Array(edns[plain.count...])
        func named(_ wire: [UInt8]) -> [UInt8] { Array(plain[..<12]) + wire + [0, 1, 0, 1] }
        func withoutQuestion(_ options: Query.Option...) throws -> [UInt8] {
            var query = try query("www.example.com", payload: 1232)
            query.edns?.options = options
            let bytes = query.bytes
            return Array(bytes[..<4]) + [0, 0] + bytes[6..<12] + bytes[(12 + question.count)...]
        }
        var badSize = edns
        badSize[badSize.count - 1] = 4
        var badOption = try query("www.example.com", payload: 1232, with: .init(code: 100, data: [1, 2])).bytes
        badOption[badOption.count - 3] = 3
        var noQuestions = plain
        noQuestions[5] = 0
        var twoQuestions = plain + question
        twoQuestions[5] = 2
        var allCounts = plain
        for place in 4..<12 { allCounts[place] = 0xFF }
        let label64 = [64] + [UInt8](repeating: 97, count: 64)
        let name256: [UInt8] = [UInt8](repeating: 0, count: 256).indices.map { $0 % 64 == 0 ? 63 : 97 } + [0]
        return [
            GoldenPacket("empty", [], nil),
            GoldenPacket("eleven-bytes", Array(plain[..<11]), nil),
            GoldenPacket("header-only", Array(plain[..<12]), formErr),
            GoldenPacket("response", plain.withFlags(0x8000), nil),
            GoldenPacket("response-of-opcode-15", plain.withFlags(0xF800), nil),
            GoldenPacket("no-question", Array(plain[..<5]) + [0] + plain[6..<12], formErr),
            GoldenPacket("question-not-counted", noQuestions, formErr),
            GoldenPacket("cookie-without-question", try withoutQuestion(.cookie(client: 5)), noError),
            GoldenPacket("edns-without-question", try withoutQuestion(), formErr),
            GoldenPacket("two-questions", twoQuestions, formErr),
            GoldenPacket("all-counts", allCounts, formErr),
            GoldenPacket("pointer-to-itself", named([0xC0, 12]), formErr),
            GoldenPacket("pointer-to-header", named([0xC0, 0]), formErr),
            GoldenPacket("pointer-forward", named([0xC0, 200]), formErr),
            GoldenPacket("pointers-in-a-loop", named([1, 97, 0xC0, 16, 0xC0, 14]), formErr),
            GoldenPacket("pointer-cut", Array(plain[..<12]) + [0xC0], formErr),
            GoldenPacket("label-of-64", named(label64 + [0]), formErr),
            GoldenPacket("label-of-type-10", named([0x80, 1, 0]), formErr),
            GoldenPacket("name-of-257", named(name256), formErr),
            GoldenPacket("name-unended", Array(plain[..<12]) + [3, 119, 119, 119], formErr),
            GoldenPacket("trailing-byte", plain + [0], formErr),
            GoldenPacket("trailing-byte-after-edns", edns + [0], formErr),
            GoldenPacket(
                "answer-in-query", plain.adding(record([0xC0, 12], 1, 1, [1, 2, 3, 4]), countAt: 6), formErr),
            GoldenPacket("authority-in-query", plain.adding(record([0xC0, 12], 2, 1, [0]), countAt: 8), formErr),
            GoldenPacket(
                "additional-record", plain.adding(record([0xC0, 12], 1, 1, [1, 2, 3, 4]), countAt: 10), noError),
            GoldenPacket("edns-twice", edns.adding(opt, countAt: 10), formErr),
            GoldenPacket("edns-of-a-name", plain.adding([1, 97] + opt, countAt: 10), formErr),
            GoldenPacket("edns-cut", Array(edns.dropLast(1)), formErr),
            GoldenPacket("edns-size-too-large", badSize, formErr),
            GoldenPacket("option-size-too-large", badOption, formErr),
            GoldenPacket("edns-not-counted", Array(plain) + opt, formErr),
            GoldenPacket("signed", plain.adding(try signature(), countAt: 10), ResponseCode.notAuth),
            GoldenPacket("signed-with-edns", edns.adding(try signature(), countAt: 10), ResponseCode.notAuth),
            GoldenPacket(
                "signed-before-edns", plain.adding(try signature(), countAt: 10).adding(opt, countAt: 10), formErr),
            GoldenPacket(
                "signature-malformed", plain.adding(record([0], RecordType.tsig, 255, [0]), countAt: 10), formErr),
            GoldenPacket(
                "signature-of-class-in", plain.adding(record([0], RecordType.tsig, 1, [0]), countAt: 10), formErr),
        ]
    }

    private static func otherOpcodes() throws -> [GoldenPacket] {
        let plain = try query("example.com", RecordType.soa).bytes
        let notImp = ResponseCode.notImp
        return [
            GoldenPacket("iquery", plain.withFlags(1 << 11), notImp),
            GoldenPacket("status", plain.withFlags(2 << 11), notImp),
            GoldenPacket("notify", plain.withFlags(4 << 11 | 0x0400), notImp),
            GoldenPacket(
                "update", plain.withFlags(5 << 11).adding(record([0xC0, 12], 255, 255, []), countAt: 8), notImp),
            GoldenPacket("opcode-15", Array(plain.withFlags(15 << 11 | 0x07F0)[..<12]), notImp),
        ]
    }
}
