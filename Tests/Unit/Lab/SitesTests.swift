import Testing

@testable import Lab

@Suite("Sites by name")
struct SitesTests {
    private let hello = ClientHello.bytes(serverName: "h1.example.com", random: [UInt8](repeating: 7, count: 32))
    private let directory = SiteDirectory(HostNames(2, below: "example.com"))

    private func text(_ request: [UInt8]) throws -> String? {
        let (reply, length) = try #require(directory.reply(to: request))
        #expect(length == request.count)
        return SiteReply.text(reply)
    }

    @Test("a ClientHello tells the server name that it was made with")
    func serverName() {
        #expect(ClientHello.read(hello) == .hello(serverName: "h1.example.com", length: hello.count))
    }

    @Test("bytes after a ClientHello are left for the next request")
    func trailing() {
        #expect(ClientHello.read(hello + [1, 2, 3]) == .hello(serverName: "h1.example.com", length: hello.count))
    }

    @Test("a ClientHello is incomplete wherever it is cut")
    func truncated() {
        for length in hello.indices { #expect(ClientHello.read(Array(hello[..<length])) == .incomplete, "\(length)") }
    }

    @Test("a ClientHello may be cut into records, in the middle of a number")
    func records() {
        let message = Array(hello[5...])
        for cut in 1..<message.count {
            let parts = [message[..<cut], message[cut...]]
            let bytes = parts.flatMap { part -> [UInt8] in
                let header: [UInt8] = [22, 3, 1, 0, UInt8(part.count)]
                return header + part
            }
            #expect(ClientHello.read(bytes) == .hello(serverName: "h1.example.com", length: bytes.count), "\(cut)")
        }
    }

    @Test("no change of one byte makes reading a ClientHello crash, or take more bytes than there are")
    func changed() {
        for index in hello.indices {
            for value in [0, 1, 0x7F, 0x80, 0xFF, hello[index] &+ 1] as [UInt8] {
                var bytes = hello
                bytes[index] = value
                if case .hello(_, let length) = ClientHello.read(bytes) { #expect(length <= bytes.count) }
            }
        }
    }

    @Test("a ClientHello whose extensions claim more bytes than there are is malformed")
    func overlong() {
        var bytes = hello
        // The length of the extensions: after the record's and the message's header, version, random, no session,
        // a cipher suite, and no compression.
        let place = 5 + 4 + 2 + 32 + 1 + 4 + 2
        bytes[place] = 0xFF
        #expect(ClientHello.read(bytes) == .malformed)
        #expect(ClientHello.read([22, 3, 1, 0, 4, 2, 0, 0, 0]) == .malformed)
        #expect(ClientHello.read([22, 3, 1, 0, 0]) == .malformed)
    }

    @Test("a ClientHello without a server name is told apart from one that is malformed")
    func nameless() {
        let body: [UInt8] = [3, 3] + [UInt8](repeating: 0, count: 32) + [0, 0, 2, 0x13, 1, 1, 0]
        let message: [UInt8] = [1, 0, 0, UInt8(body.count)] + body
        let bytes = [22, 3, 1, 0, UInt8(message.count)] + message
        #expect(ClientHello.read(bytes) == .hello(serverName: nil, length: bytes.count))
    }

    @Test("each site is found by its Host header and by its server name, whatever the case")
    func found() throws {
        #expect(try text(HTTPRequest.bytes(host: "h2.example.com")) == "site h2.example.com")
        #expect(try text(HTTPRequest.bytes(host: "H2.Example.com:8080")) == "site h2.example.com")
        #expect(try text(hello) == "site h1.example.com")
    }

    @Test("a site that is not there is a 421, or the alert unrecognized_name")
    func unknown() throws {
        #expect(try text(HTTPRequest.bytes(host: "h3.example.com")) == "HTTP/1.1 421 Misdirected Request")
        #expect(
            try text(ClientHello.bytes(serverName: "h3.example.com", random: [UInt8](repeating: 7, count: 32)))
                == "TLS alert 112")
    }

    @Test(
        "a request without exactly one host is bad",
        arguments: [
            "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h1.example.com\r\nhost: h2.example.com\r\n\r\n",
        ])
    func bad(request: String) throws {
        #expect(try text(Array(request.utf8)) == "HTTP/1.1 400 Bad Request")
    }

    @Test("what has not come as a whole has no reply yet")
    func incomplete() throws {
        let request = HTTPRequest.bytes(host: "h1.example.com")
        for length in request.indices { #expect(directory.reply(to: Array(request[..<length])) == nil) }
        let reply = try #require(directory.reply(to: request)).reply
        for length in reply.indices { #expect(SiteReply.text(Array(reply[..<length])) == nil) }
    }

    @Test("requests without an end are given up on")
    func endless() throws {
        let endless = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 15 + 1)
        #expect(try text(endless) == "HTTP/1.1 431 Request Header Fields Too Large")
    }
}
