import Addressing
import CLinux
import Foundation
import Glibc
import Sockets
import Subprocess
import SystemPackage
import Testing

@testable import SocketLookup

extension KernelTests {
    /// Examples/whole-prefix-server, asked by clients of its own namespace that are outside of its prefixes.
    @Suite(
        "The example of a server on whole prefixes",
        .enabled(if: obstacleToSocketLookup == nil, Comment(rawValue: obstacleToSocketLookup ?? "")))
    struct WholePrefixServerTests {
        /// Ends, a reserved one, one below 1024 that is well known, and some between; never the server's own two,
        /// which are ephemeral.
        private static let ports: [UInt16] = [1, 53, 80, 443, 1023, 1024, 4711, 8080, 20_000, 65_535]

        @Test("every address of a /24 answers over TCP and UDP, on any port, and from where it was asked")
        func ipv4() async throws {
            try await withServer { namespace in
                for last in 0...UInt32(255) {
                    let address = IPAddress.v4(0xC000_0200 | last)
                    try expectAnswers(from: Endpoint(address, Self.ports[Int(last) % Self.ports.count]), in: namespace)
                }
                for port in Self.ports { try expectAnswers(from: Endpoint(.v4(0xC000_0207), port), in: namespace) }
            }
        }

        @Test("any address of an IPv6 prefix answers likewise")
        func ipv6() async throws {
            try await withServer { namespace in
                let prefix = UInt128(0x2001_0DB8) << 96
                for (index, port) in Self.ports.enumerated() {
                    // A multiple of an odd number has all of the low 64 bits differ.
                    let low = UInt128(0x9E37_79B9_7F4A_7C15 &* UInt64(index))
                    try expectAnswers(from: Endpoint(.v6(prefix | low), port), in: namespace)
                }
                try expectAnswers(from: Endpoint(.v6(prefix | UInt128(UInt64.max)), 53), in: namespace)
            }
        }

        @Test("its own UDP port is answered from the address that was asked, too")
        func ownPort() async throws {
            try await withServer { namespace in
                let port = try #require(try port(ofUDPSocketIn: namespace))
                try expectAnswers(.udp, from: Endpoint(.v4(0xC000_0263), port), in: namespace)
                try expectAnswers(
                    .udp, from: Endpoint(.v6(UInt128(0x2001_0DB8) << 96 | 0x99), port), in: namespace)
            }
        }

        @Test("what is outside of the prefixes is not the server's")
        func outside() async throws {
            try await withServer { namespace in
                let client = try socket(.tcp, .ipv4, in: namespace)
                defer { close(client) }
                let refused = Endpoint(.v4(0x7F00_0001), 4711).withSocketAddress { connect(client, $0, $1) }
                #expect(refused == -1)
                #expect(errno == ECONNREFUSED)
            }
        }

        /// Calls `body` while the server runs in the namespace, which has routes to its prefixes.
        private func withServer(_ body: @escaping @Sendable (Int32) async throws -> Void) async throws {
            let object = try await PinnedDispatcher.compile()
            defer { unlink(object.string) }
            let namespace = try TestNamespace()
            defer { namespace.close() }
            let path = FilePath(CommandLine.arguments[0]).removingLastComponent().appending("WholePrefixServer")
            let script = """
                ip route add local 192.0.2.0/24 dev lo && ip route add local 2001:db8::/64 dev lo &&
                    exec "$0" "$1" 192.0.2.0/24 2001:db8::/64
                """
            let number = namespace.descriptor.rawValue
            _ = try await run(
                .name("nsenter"),
                arguments: [
                    "--net=/proc/\(getpid())/fd/\(number)", "sh", "-c", script, path.string, object.string,
                ], input: .none, output: .sequence, error: .discarded
            ) { execution in
                var said: [UInt8] = []
                for try await piece in execution.standardOutput {
                    piece.withUnsafeBytes { said += $0 }
                    if said.last == UInt8(ascii: "\n") { break }
                }
                do {
                    try #require(String(decoding: said, as: UTF8.self) == "serving 192.0.2.0/24, 2001:db8::/64\n")
                    try await body(number)
                } catch {
                    await execution.teardown(using: [])
                    throw error
                }
                await execution.teardown(using: [])
            }
        }

        private func expectAnswers(from asked: Endpoint, in namespace: Int32) throws {
            for `protocol` in TransportProtocol.allCases { try expectAnswers(`protocol`, from: asked, in: namespace) }
        }

        private func expectAnswers(_ protocol: TransportProtocol, from asked: Endpoint, in namespace: Int32) throws {
            let client = try socket(`protocol`, asked.address.family, in: namespace)
            defer { close(client) }
            var answer = [UInt8](repeating: 0, count: 1024)
            switch `protocol` {
            case .tcp:
                try #require(
                    asked.withSocketAddress { connect(client, $0, $1) } == 0, "connect to \(asked): errno \(errno)")
                let request = Array("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".utf8)
                try #require(send(client, request, request.count, Int32(MSG_NOSIGNAL)) == request.count)
                let count = recv(client, &answer, answer.count, Int32(MSG_WAITALL))
                let text = String(decoding: answer.prefix(max(0, count)), as: UTF8.self)
                #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(text.hasSuffix("\r\n\r\ntcp \(asked)\n"))
            case .udp:
                // Unconnected, so that an answer from elsewhere arrives as well, and is told apart.
                let sent = asked.withSocketAddress { sendto(client, "hello", 5, 0, $0, $1) }
                try #require(sent == 5, "send to \(asked): errno \(errno)")
                var source = sockaddr_storage()
                var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
                let count = withUnsafeMutablePointer(to: &source) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        recvfrom(client, &answer, answer.count, 0, $0, &size)
                    }
                }
                try #require(count >= 0, "\(asked): errno \(errno)")
                #expect(Endpoint(source) == asked)
                #expect(String(decoding: answer.prefix(count), as: UTF8.self) == "udp \(asked) hello")
            }
        }

        /// A client's, bound to the loopback address; it waits ten seconds for an answer.
        private func socket(
            _ protocol: TransportProtocol, _ family: AddressFamily, in namespace: Int32
        ) throws -> Int32 {
            try TestNamespace.inside(namespace) {
                let type = `protocol` == .tcp ? SOCK_STREAM : SOCK_DGRAM
                let client = Glibc.socket(family.domain, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
                try #require(client >= 0)
                var limit = timeval(tv_sec: 10, tv_usec: 0)
                setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
                let own = Endpoint(family == .ipv4 ? .v4(0x7F00_0001) : .v6(1), 0)
                try #require(own.withSocketAddress { bind(client, $0, $1) } == 0)
                return client
            }
        }

        /// The port of the namespace's only UDP socket, which is bound to [::].
        private func port(ofUDPSocketIn namespace: Int32) throws -> UInt16? {
            let table = try TestNamespace.inside(namespace) {
                try String(contentsOfFile: "/proc/thread-self/net/udp6", encoding: .utf8)
            }
            let line = table.split(separator: "\n").dropFirst().first
            return line?.split(separator: " ")[1].split(separator: ":").last.flatMap { UInt16($0, radix: 16) }
        }
    }
}
