/// The sites that a listener serves, and how it answers for them.
///
/// A site is found by the name that the client states. The address that the connection came to is not looked at.
final class SiteDirectory {
    private let names: Set<String>

    init(_ sites: HostNames) { names = Set((0..<sites.count).map(sites.name)) }

    /// Longer requests than this are nobody's here.
    private static let longestRequest = 1 << 15

    /// The reply to the request at the front of `bytes`, and how many bytes that took; nil while it is incomplete.
    func reply(to bytes: [UInt8]) -> (reply: [UInt8], length: Int)? {
        guard let first = bytes.first else { return nil }
        if first == ClientHello.handshakeRecord {
            switch ClientHello.read(bytes) {
            case .incomplete:
                return bytes.count > Self.longestRequest ? (SiteReply.alert(.decodeError), bytes.count) : nil
            case .malformed: return (SiteReply.alert(.decodeError), bytes.count)
            case .hello(let name, let length):
                guard let name, let site = find(name) else { return (SiteReply.alert(.unrecognizedName), length) }
                return (SiteReply.record(site: site), length)
            }
        }
        guard let end = HTTPRequest.end(of: bytes) else {
            return bytes.count > Self.longestRequest
                ? (SiteReply.response("431 Request Header Fields Too Large"), bytes.count) : nil
        }
        guard let host = HTTPRequest.host(in: bytes[..<end]) else {
            return (SiteReply.response("400 Bad Request"), end)
        }
        guard let site = find(host) else { return (SiteReply.response("421 Misdirected Request"), end) }
        return (SiteReply.response("200 OK", site: site), end)
    }

    private func find(_ name: String) -> String? {
        let name = name.lowercased()
        return names.contains(name) ? name : nil
    }
}

/// As much of an HTTP/1.1 request as the choice of a site takes (RFC 9112).
enum HTTPRequest {
    /// A request for the front page of `host`, after whose answer the connection stays open.
    static func bytes(host: String) -> [UInt8] { Array("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8) }

    /// Where the empty line at the end of the header section ends; nil while it has not come.
    static func end(of bytes: [UInt8]) -> Int? {
        let mark = Array("\r\n\r\n".utf8)
        guard bytes.count >= mark.count else { return nil }
        return (0...(bytes.count - mark.count)).first { bytes[$0..<($0 + mark.count)].elementsEqual(mark) }
            .map { $0 + mark.count }
    }

    /// The host that the one Host field names, without a port (§3.2); nil for a request that has none, or two.
    static func host(in header: ArraySlice<UInt8>) -> String? {
        let lines = String(decoding: header, as: UTF8.self).split(separator: "\r\n").dropFirst()
        let hosts = lines.compactMap { line -> Substring? in
            guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == "host" else { return nil }
            return line[line.index(after: colon)...]
        }
        guard hosts.count == 1, let field = hosts.first else { return nil }
        let host = field.split(separator: ":").first.map { $0.filter { $0 != " " && $0 != "\t" } } ?? ""
        return host.isEmpty ? nil : host
    }
}

/// What a site, or a listener without that site, says; and how a visitor reads it.
enum SiteReply {
    enum Alert: UInt8 {
        case decodeError = 50
        case unrecognizedName = 112
    }

    private static let alertRecord: UInt8 = 21
    private static let dataRecord: UInt8 = 23

    static func alert(_ alert: Alert) -> [UInt8] { [alertRecord, 3, 3, 0, 2, 2, alert.rawValue] }

    /// Says the site in the clear: no handshake is gone through with.
    static func record(site: String) -> [UInt8] {
        let text = Array("site \(site)\n".utf8)
        return [dataRecord, 3, 3, UInt8(text.count >> 8), UInt8(truncatingIfNeeded: text.count)] + text
    }

    static func response(_ status: String, site: String? = nil) -> [UInt8] {
        let body = site.map { "site \($0)\n" } ?? ""
        return Array("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
    }

    /// What a reply says, once it is there as a whole: `site NAME`, or why there is none.
    static func text(_ bytes: [UInt8]) -> String? {
        guard let first = bytes.first else { return nil }
        if first == alertRecord || first == dataRecord {
            guard bytes.count >= 5, bytes.count >= 5 + (Int(bytes[3]) << 8 | Int(bytes[4])) else { return nil }
            if first == alertRecord { return "TLS alert \(bytes.count > 6 ? "\(bytes[6])" : "without a description")" }
            return line(bytes[5...])
        }
        guard let end = HTTPRequest.end(of: bytes) else { return nil }
        let header = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
        let length = header.first { $0.hasPrefix("Content-Length: ") }.flatMap { Int($0.dropFirst(16)) } ?? 0
        guard bytes.count >= end + length else { return nil }
        return length > 0 ? line(bytes[end...]) : header.first.map(String.init) ?? "an empty reply"
    }

    private static func line(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}

extension AcceptedConnection {
    /// The reply to the next request that has come as a whole.
    func nextReply() -> [UInt8]? {
        guard let (reply, length) = sites?.reply(to: unread) else { return nil }
        unread.removeFirst(length)
        return reply
    }
}
