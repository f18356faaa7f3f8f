import Addressing

@testable import PolicyDNS

/// A query of ISC's DNS compliance test, and what must be true of the answer.
///
/// The list and the expectations are those of `genreport` (https://gitlab.isc.org/isc-projects/DNS-Compliance-Testing):
/// its groups EDNS, FULL, COMM, `dnswkk` of NONE, and TYPE.
struct ComplianceProbe: Sendable, CustomStringConvertible {
    enum Group: String, Sendable { case edns = "EDNS", full = "FULL", comm = "COMM", none = "NONE", type = "TYPE" }

    let name: String
    let group: Group
    var transport = TransportProtocol.udp
    /// The header's flags and opcode.
    var flags: UInt16 = 0
    var type = RecordType.soa
    var edns: Query.EDNS?
    var hasQuestion = true
    var isSigned = false

    var description: String { "\(group.rawValue) \(name)" }

    private var sendsCookie: Bool { edns?.options.contains { $0.code == OptionCode.cookie } ?? false }
    private var opcode: UInt8 { UInt8(flags >> 11) & 0xF }

    func query(for apex: DomainName, id: UInt16 = 0x1234) throws -> [UInt8] {
        guard hasQuestion else { return id.networkBytes + flags.networkBytes + [UInt8](repeating: 0, count: 8) }
        var query = Query(apex, type: type)
        query.id = id
        query.edns = edns
        let bytes = query.bytes.withFlags(flags)
        return isSigned ? bytes.adding(try signature(originalID: id), countAt: 10) : bytes
    }

    /// What is wrong with an answer, in the tester's own words; empty if all is well.
    func faults(of answer: [UInt8], id: UInt16 = 0x1234) -> [String] {
        let response: ParsedResponse
        do {
            response = try ParsedResponse(answer)
        } catch {
            return ["malformed: \(error)"]
        }
        var faults: [String] = []
        func expect(_ condition: Bool, _ fault: String) { if !condition { faults.append(fault) } }
        let isQuery = opcode == 0
        let hasStartOfAuthority = response.answers.contains { $0.type == RecordType.soa }
        let version = edns?.version ?? 0
        expect(response.id == id, "id")
        expect(response.opcode == opcode, "opcode")
        if isSigned {
            expect(response.rcode == ResponseCode.notAuth, "rcode \(response.rcode)")
            expect(isSignatureError(response), "notsig")
            return faults
        }
        if !isQuery {
            expect(response.rcode == ResponseCode.notImp, "rcode \(response.rcode)")
            expect(answer.count == 12, "non-empty")
        } else if version == 0 {
            let isBadCookie = sendsCookie && response.rcode == ResponseCode.badCookie && hasServerCookie(response)
            expect(response.rcode == ResponseCode.noError || isBadCookie, "rcode \(response.rcode)")
            expect(response.isAuthoritative, "noaa")
            if type == RecordType.soa { expect(hasStartOfAuthority, "nosoa") }
        } else {
            expect(response.rcode == ResponseCode.badVers, "rcode \(response.rcode)")
            expect(!hasStartOfAuthority, "soa")
        }
        expect((response.edns == nil) == (edns == nil), edns == nil ? "opt" : "noopt")
        if let edns = response.edns {
            expect(edns.version == 0, "version-not-zero")
            expect(edns.flags & 0x7FFF == 0, "mbz")
            expect(!edns.options.contains { $0.code == 100 }, "echoed")
            if let cookie = edns.options.first(where: { $0.code == OptionCode.cookie }) {
                expect(cookie.data.prefix(8).elementsEqual(1...8), "cookie-mismatch")
                expect((16...40).contains(cookie.data.count), "cookie-size")
            }
        }
        let sentDO = (edns?.flags ?? 0) & 0x8000 != 0
        expect(!response.isAuthoritative || isQuery, "aa")
        expect(!response.recursionAvailable, "ra")
        expect(!response.recursionDesired || (isQuery && flags & 0x100 != 0), "rd")
        expect(response.recursionDesired || flags & 0x100 == 0 || !isQuery, "nord")
        expect(!response.authenticData || (isQuery && (flags & 0x20 != 0 || sentDO)), "ad")
        expect(!response.checkingDisabled || (isQuery && flags & 0x10 != 0), "cd")
        expect(!response.reserved, "z")
        expect(!response.isTruncated, "tc")
        if transport == .udp { expect(answer.count <= max(512, Int(edns?.payload ?? 512)), "toobig") }
        return faults
    }

    private func hasServerCookie(_ response: ParsedResponse) -> Bool {
        response.edns?.options.contains { $0.code == OptionCode.cookie && $0.data.count >= 16 } ?? false
    }

    /// Whether a TSIG record ends the answer which says BADKEY, without a MAC and of the same key and algorithm.
    private func isSignatureError(_ response: ParsedResponse) -> Bool {
        guard let last = response.additional.last, last.type == RecordType.tsig, last.recordClass == RecordClass.any,
            last.ttl == 0, last.name == .root, case .other(let data) = last.data, let sent = try? signature()
        else { return false }
        let algorithmTimeAndFudge = sent[11..<(11 + 13 + 8)]
        return data.elementsEqual(Array(algorithmTimeAndFudge) + [0, 0, 0x12, 0x34, 0, 17, 0, 0])
    }
}

extension ComplianceProbe {
    private static func edns(
        payload: UInt16 = 4096, flags: UInt16 = 0, version: UInt8 = 0, _ options: Query.Option...
    ) -> Query.EDNS {
        var edns = Query.EDNS()
        edns.payload = payload
        edns.flags = flags
        edns.version = version
        edns.options = options
        return edns
    }

    private static let unknownOption = Query.Option(code: 100, data: [])
    private static let identifier = Query.Option(code: 3, data: [])
    private static let expire = Query.Option(code: 9, data: [])
    private static let subnet = Query.Option(code: 8, data: [0, 1, 0, 0])
    private static let cookie = Query.Option(code: 10, data: Array(1...8))
    private static let wantsDNSSEC: UInt16 = 0x8000

    static let all: [ComplianceProbe] = ednsGroup + fullGroup + otherGroups + typeGroup

    static let ednsGroup = [
        ComplianceProbe(name: "dns", group: .edns),
        ComplianceProbe(name: "edns", group: .edns, edns: edns()),
        ComplianceProbe(name: "edns1", group: .edns, edns: edns(version: 1)),
        ComplianceProbe(name: "edns@512", group: .edns, type: 48, edns: edns(payload: 512)),
        ComplianceProbe(name: "ednsopt", group: .edns, edns: edns(unknownOption)),
        ComplianceProbe(name: "edns1opt", group: .edns, edns: edns(version: 1, unknownOption)),
        ComplianceProbe(name: "do", group: .edns, edns: edns(flags: wantsDNSSEC)),
        ComplianceProbe(name: "ednsflags", group: .edns, edns: edns(flags: 0x0080)),
        ComplianceProbe(name: "optlist", group: .edns, edns: edns(identifier, subnet, expire, cookie)),
        ComplianceProbe(
            name: "ednstcp", group: .edns, transport: .tcp, type: 48, edns: edns(payload: 512, flags: wantsDNSSEC)),
    ]

    static let fullGroup = [
        ComplianceProbe(name: "aa", group: .full, flags: 0x0400),
        ComplianceProbe(name: "ad", group: .full, flags: 0x0020),
        ComplianceProbe(name: "cd", group: .full, flags: 0x0010),
        ComplianceProbe(name: "ra", group: .full, flags: 0x0080),
        ComplianceProbe(name: "rd", group: .full, flags: 0x0100),
        ComplianceProbe(name: "tc", group: .full, flags: 0x0200),
        ComplianceProbe(name: "zflag", group: .full, flags: 0x0040),
        ComplianceProbe(name: "opcode", group: .full, flags: 15 << 11, hasQuestion: false),
        ComplianceProbe(name: "opcodeflg", group: .full, flags: 15 << 11 | 0x07F0, hasQuestion: false),
        ComplianceProbe(name: "type666", group: .full, type: 666),
        ComplianceProbe(name: "tcp", group: .full, transport: .tcp),
        ComplianceProbe(name: "docd", group: .full, flags: 0x0010, edns: edns(flags: wantsDNSSEC)),
        ComplianceProbe(name: "edns1do", group: .full, edns: edns(flags: wantsDNSSEC, version: 1)),
        ComplianceProbe(name: "ednsnsid", group: .full, edns: edns(identifier)),
        ComplianceProbe(name: "ednscookie", group: .full, edns: edns(cookie)),
        ComplianceProbe(name: "ednsexpire", group: .full, edns: edns(expire)),
        ComplianceProbe(name: "ednssubnet", group: .full, edns: edns(subnet)),
        ComplianceProbe(name: "edns1nsid", group: .full, edns: edns(version: 1, identifier)),
        ComplianceProbe(name: "edns1cookie", group: .full, edns: edns(version: 1, cookie)),
        ComplianceProbe(name: "edns1expire", group: .full, edns: edns(version: 1, expire)),
        ComplianceProbe(name: "edns1subnet", group: .full, edns: edns(version: 1, subnet)),
    ]

    static let otherGroups = [
        ComplianceProbe(name: "bind11", group: .comm, edns: edns(flags: wantsDNSSEC, cookie)),
        ComplianceProbe(name: "dig11", group: .comm, flags: 0x0120, edns: edns(cookie)),
        ComplianceProbe(name: "dnswkk", group: .none, isSigned: true),
    ]

    /// A, NS, MD … AVC, DOA, DLV, and TYPE1000.
    private static let types: [UInt16] =
        Array(1...30) + [33] + Array(35...39) + Array(42...53) + [55, 59, 60, 61, 99] + Array(104...109)
        + Array(256...259) + [32769, 1000]

    static let typeGroup = types.map { ComplianceProbe(name: "TYPE\($0)", group: .type, type: $0) }

    /// Puts every probe to a server, over UDP and over TCP, and says what is wrong.
    ///
    /// - Parameter ask: sends a query and gives the answer, nil for none.
    static func run(
        for apex: DomainName, _ ask: (_ query: [UInt8], _ transport: TransportProtocol) async throws -> [UInt8]?
    ) async throws -> [String] {
        var faults: [String] = []
        for transport in TransportProtocol.allCases {
            for var probe in all where probe.transport == .udp || transport == .tcp {
                probe.transport = transport
                let answer = try await ask(try probe.query(for: apex), transport)
                let found = answer.map { probe.faults(of: $0) } ?? ["timeout"]
                faults += found.map { "\(probe) over \(transport): \($0)" }
            }
        }
        return faults
    }
}
