import Addressing
import CLinux
import Glibc
import SystemPackage
import Testing

@testable import SocketLookup

extension KernelTests {
    @Suite(
        "Sockets under the labels of a pinned dispatcher",
        .enabled(if: obstacleToSocketLookup == nil, Comment(rawValue: obstacleToSocketLookup ?? "")))
    struct DispatcherSocketTests {
        @Test("several share the flows; one that drains gets none, and those of the others stay where they are")
        func draining() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let servers = try (1...3).map { try place.namespace.socket(.udp, "127.0.0.1:\($0)") }
            let dispatcher = try place.open()
            try dispatcher.bind([binding(.udp, "192.0.2.0/24", "53", to: "dns")])
            try dispatcher.register(servers.map(\.descriptor), under: "dns")
            let before = try flows(place)
            #expect(Set(before) == Set(servers.map(\.cookie)))

            let drained = try dispatcher.drain(from: "dns") { $0.cookie == servers[1].cookie }
            #expect(drained.map(\.cookie) == [servers[1].cookie])
            let after = try flows(place)
            #expect(Set(after) == [servers[0].cookie, servers[2].cookie])
            for (old, new) in zip(before, after) where old != servers[1].cookie { #expect(old == new) }
            let listed = try dispatcher.sockets()
            #expect(listed.map(\.shares).reduce(0, +) == 64)
            #expect(listed.filter { $0.condition == .draining }.map(\.cookie) == [servers[1].cookie])

            // It can come back; and once it is closed, it is listed no more.
            try dispatcher.register([servers[1].descriptor], under: "dns", replacing: false)
            #expect(Set(try flows(place)) == Set(servers.map(\.cookie)))
            try dispatcher.drain(from: "dns") { $0.cookie == servers[1].cookie }
            try place.namespace.close(servers[1].descriptor)
            #expect(try dispatcher.sockets().count == 2)
            #expect(try dispatcher.metrics().all.errors == 0)
        }

        @Test("a connection goes on when its listener drains")
        func connections() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let (old, new) = (
                try place.namespace.socket(.tcp, "127.0.0.1:1"), try place.namespace.socket(.tcp, "127.0.0.1:2")
            )
            let dispatcher = try place.open()
            try dispatcher.bind([binding("127.1.0.0/16", "80", to: "web")])
            try dispatcher.register([old.descriptor], under: "web")
            let client = try place.namespace.inside { try connected(to: "127.1.2.3:80") }
            defer { Glibc.close(client) }
            let connection = accept(old.descriptor.rawValue, nil, nil)
            try #require(connection >= 0)
            defer { Glibc.close(connection) }
            try dispatcher.register([new.descriptor], under: "web", replacing: false)
            try dispatcher.drain(from: "web") { $0.cookie == old.cookie }
            #expect(send(client, "on", 2, 0) == 2)
            var buffer = [UInt8](repeating: 0, count: 8)
            #expect(recv(connection, &buffer, 8, 0) == 2)
            #expect(try place.namespace.connects("127.1.2.3:80") == 0)
            #expect(old.descriptor.acceptedCount() == 0)
            #expect(new.descriptor.acceptedCount() == 1)
        }

        @Test("sockets take the places of others of their protocol and families; a dual-stack one serves both")
        func replacing() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let dispatcher = try place.open()
            try dispatcher.bind([binding("192.0.2.0/24", "80", to: "web"), binding("2001:db8::/32", "80", to: "web")])
            let (four, six, dual) = (
                try place.namespace.socket(.tcp, "127.0.0.1:1"), try place.namespace.socket(.tcp, "[::1]:1"),
                try place.namespace.socket(.tcp, "[::]:2", v6Only: false)
            )
            try dispatcher.register([four.descriptor, six.descriptor], under: "web")
            #expect(try place.decision(.tcp, "192.0.2.1:80").cookie == four.cookie)
            #expect(try place.decision(.tcp, "[2001:db8::1]:80").cookie == six.cookie)
            try dispatcher.register([dual.descriptor], under: "web")
            #expect(try place.decision(.tcp, "192.0.2.1:80").cookie == dual.cookie)
            #expect(try place.decision(.tcp, "[2001:db8::1]:80").cookie == dual.cookie)
            try dispatcher.register([four.descriptor], under: "web")
            #expect(try place.decision(.tcp, "192.0.2.1:80").cookie == four.cookie)
            #expect(try place.decision(.tcp, "[2001:db8::1]:80").cookie == dual.cookie)
            try dispatcher.unregister(from: "web") { _ in true }
            #expect(try place.decision(.tcp, "192.0.2.1:80") == LookupResult(returned: 0, cookie: 0))
            #expect(try dispatcher.sockets().isEmpty)
        }

        @Test("sixteen sockets can be replaced by sixteen others, and a seventeenth is refused")
        func many() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let dispatcher = try place.open()
            let servers = try (1...33).map { try place.namespace.socket(.tcp, "127.0.0.1:\($0)").descriptor }
            try dispatcher.register(Array(servers[0..<16]), under: "web")
            try dispatcher.register(Array(servers[16..<32]), under: "web")
            let listed = try dispatcher.sockets()
            #expect(listed.count == 16)
            #expect(listed.allSatisfy { $0.shares == 4 })
            #expect(throws: SocketLookupError.tooManySockets(label: "web", limit: 16)) {
                try dispatcher.register([servers[32]], under: "web", replacing: false)
            }
            #expect(try dispatcher.sockets() == listed)
        }

        @Test("what packets cannot be led to is refused with its reason, and changes nothing")
        func unsuitable() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let other = try TestNamespace()
            defer { other.close() }
            let dispatcher = try place.open()
            func refusal(_ descriptor: Int32) -> SocketUnsuitability? {
                do throws(SocketLookupError) {
                    try dispatcher.register([FileDescriptor(rawValue: descriptor)], under: "web")
                } catch {
                    if case .unsuitableSocket(_, let because) = error { return because }
                    Issue.record(error)
                }
                return nil
            }
            func made(_ domain: Int32, _ type: __socket_type, _ number: Int32 = 0) throws -> Int32 {
                try place.namespace.inside {
                    let fd = socket(domain, Int32(type.rawValue), number)
                    try #require(fd >= 0, "errno \(errno)")
                    return fd
                }
            }
            var opened: [Int32] = []
            defer { for descriptor in opened { Glibc.close(descriptor) } }
            func kept(_ descriptor: Int32) -> Int32 {
                opened.append(descriptor)
                return descriptor
            }
            #expect(refusal(-1) == .notADescriptor)
            #expect(refusal(kept(Glibc.open("/dev/null", O_RDONLY))) == .notASocket)
            #expect(refusal(kept(try made(AF_UNIX, SOCK_STREAM))) == .family(AF_UNIX))
            #expect(refusal(kept(try made(AF_INET, SOCK_RAW, Int32(IPPROTO_TCP)))) == .type(Int32(SOCK_RAW.rawValue)))
            #expect(refusal(kept(try made(AF_INET, SOCK_RAW, Int32(IPPROTO_ICMP)))) == .protocol(1))
            #expect(refusal(kept(try made(AF_INET6, SOCK_STREAM))) == .notListening)
            #expect(refusal(kept(try made(AF_INET, SOCK_DGRAM))) == .unbound)
            let mptcp = try place.namespace.inside { clinux_mptcp_socket(AF_INET) }
            if mptcp >= 0 { #expect(refusal(kept(mptcp)) == .protocol(262)) }

            let server = try place.namespace.socket(.tcp, "127.0.0.1:1")
            #expect(refusal(kept(try place.namespace.inside { try connected(to: "127.0.0.1:1") })) == .connected)
            let peer = kept(try made(AF_INET, SOCK_DGRAM))
            var (address, size) = try Endpoint(text: "127.0.0.1:9").socketAddress
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(peer, $0, size) }
            }
            try #require(result == 0)
            #expect(refusal(peer) == .connected)

            let foreign = try other.socket(.tcp, "127.0.0.1:1")
            let inode = try inode(of: other.descriptor)
            #expect(
                refusal(foreign.descriptor.rawValue)
                    == .otherNamespace(inode, dispatcher: place.location.inode))
            #expect(try dispatcher.sockets().isEmpty)
            #expect(refusal(server.descriptor.rawValue) == nil)
            #expect(try dispatcher.sockets().map(\.cookie) == [server.cookie])
        }

        @Test("the sockets of a running process are taken by their numbers there, or all that are ready")
        func ofProcess() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let server = try place.namespace.socket(.tcp, "127.0.0.1:1")
            let dispatcher = try place.open()
            try dispatcher.bind([binding("192.0.2.0/24", "80", to: "web")])
            do {
                let taken = try ProcessSockets(of: getpid(), in: place.namespace.descriptor)
                #expect(taken.sockets.map(\.original) == [server.descriptor.rawValue])
                let named = try ProcessSockets(of: getpid(), descriptors: [server.descriptor.rawValue])
                try dispatcher.register(named.sockets.map(\.descriptor), under: "web")
            }
            #expect(try place.decision(.tcp, "192.0.2.1:80").cookie == server.cookie)
            #expect(throws: SocketLookupError.self) { _ = try ProcessSockets(of: getpid(), descriptors: [9999]) }
            #expect(throws: SocketLookupError.self) { _ = try ProcessSockets(of: .max) }
        }

        /// Who gets each of many flows.
        private func flows(_ place: PinnedDispatcher) throws -> [UInt64] {
            try (1...400).map { try place.decision(.udp, "192.0.2.1:53", from: $0).cookie }
        }

        private func connected(to endpoint: String) throws -> Int32 {
            let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            try #require(client >= 0)
            var (storage, size) = try Endpoint(text: endpoint).socketAddress
            let result = withUnsafePointer(to: &storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(client, $0, size) }
            }
            try #require(result == 0, "errno \(errno)")
            return client
        }
    }
}
