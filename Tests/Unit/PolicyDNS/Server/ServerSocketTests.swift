import Addressing
import Glibc
import Testing

@testable import PolicyDNS

@Suite("Sockets that a server takes")
struct ServerSocketTests {
    private func refusal(_ make: () throws -> Int32) throws -> String? {
        let original = try make()
        // A number that no other test's socket gets while this one looks whether it is closed.
        let descriptor = fcntl(original, F_DUPFD_CLOEXEC, 900)
        close(original)
        do throws(ServerError) {
            _ = try ServerSocket(taking: descriptor, label: "x")
            return nil
        } catch {
            // It was closed.
            #expect(fcntl(descriptor, F_GETFD) == -1)
            guard case .unsuitableSocket(descriptor, let because) = error else { return "\(error)" }
            return because
        }
    }

    private func bound(_ type: __socket_type, _ family: Int32 = AF_INET) -> Int32 {
        let descriptor = socket(family, Int32(type.rawValue), 0)
        let address = Endpoint(.loopback(family == AF_INET6 ? .ipv6 : .ipv4), 0)
        #expect(address.withSocketAddress { bind(descriptor, $0, $1) } == 0)
        return descriptor
    }

    @Test("a pipe is refused")
    func pipe() throws {
        var ends: [Int32] = [0, 0]
        #expect(Glibc.pipe(&ends) == 0)
        defer { close(ends[1]) }
        #expect(try refusal { ends[0] } == "it is not a socket")
    }

    @Test("a Unix socket is refused")
    func unix() throws {
        #expect(
            try refusal { socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0) }
                == "it is a socket of address family 1, not of IPv4 or IPv6")
    }

    @Test("a UDP socket without a port is refused")
    func unbound() throws {
        #expect(
            try refusal { socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0) }
                == "it is a UDP socket that is not bound to a port")
    }

    @Test("a connected UDP socket is refused")
    func connected() throws {
        let because = try refusal {
            let descriptor = bound(SOCK_DGRAM)
            #expect(Endpoint(.v4(0x7F00_0001), 9).withSocketAddress { connect(descriptor, $0, $1) } == 0)
            return descriptor
        }
        #expect(because == "it is a UDP socket connected to 127.0.0.1:9, which hears from nobody else")
    }

    @Test("a TCP socket that does not listen is refused")
    func notListening() throws {
        #expect(try refusal { bound(SOCK_STREAM) } == "it is a TCP socket that does not listen")
    }

    @Test("a bound UDP socket and a TCP listener are taken, of either family", arguments: [AF_INET, AF_INET6])
    func taken(_ family: Int32) throws {
        let datagrams = try ServerSocket(taking: bound(SOCK_DGRAM, family), label: "a")
        #expect(datagrams.transport == .udp)
        #expect(datagrams.address.address == .loopback(family == AF_INET6 ? .ipv6 : .ipv4))
        #expect(fcntl(datagrams.descriptor, F_GETFD) == FD_CLOEXEC)
        let listener = bound(SOCK_STREAM, family)
        #expect(listen(listener, 1) == 0)
        let streams = try ServerSocket(taking: listener, label: "a")
        #expect(streams.transport == .tcp)
        #expect(fcntl(listener, F_GETFL) & O_NONBLOCK != 0)
    }

    @Test("a shared socket stays its owner's")
    func shared() throws {
        let descriptor = bound(SOCK_DGRAM)
        defer { close(descriptor) }
        do {
            let socket = try ServerSocket(sharing: descriptor, label: "a")
            #expect(socket.descriptor != descriptor)
        }
        #expect(fcntl(descriptor, F_GETFD) != -1)
    }

    @Test("a listener's sockets share one port, which is free for both transports")
    func opened() throws {
        let sockets = try ServerSocket.open(.init(address: Endpoint(.v4(0x7F00_0001), 0)), workers: 3)
        #expect(sockets.map { $0.map(\.transport) } == [[.udp, .tcp], [.udp, .tcp], [.udp, .tcp]])
        #expect(Set(sockets.flatMap { $0.map(\.address) }).count == 1)
        #expect(sockets[0][0].address.port != 0)
    }

    @Test("a port that another socket holds is refused, with what to do")
    func inUse() throws {
        let descriptor = bound(SOCK_DGRAM)
        defer { close(descriptor) }
        let address = try #require(Endpoint(of: descriptor, getsockname))
        let error = #expect(throws: ServerError.self) {
            _ = try ServerSocket.open(.init(address: address), workers: 1)
        }
        #expect(error == .call("bind", errno: EADDRINUSE, doing: "opening udp \(address)"))
        #expect(
            error?.description
                == "bind failed while opening udp \(address): EADDRINUSE (Address already in use); "
                + "another socket holds the port without SO_REUSEPORT, or as another user")
    }
}
