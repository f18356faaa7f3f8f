import Addressing
import CLinux
import Glibc
import SystemPackage
import Testing

@testable import SocketLookup

// Test runs show a program's decision without a packet; `figure-4c` shows that packets follow it.

extension KernelTests {
    @Suite(
        "sk_lookup on this kernel",
        .enabled(if: obstacleToSocketLookup == nil, Comment(rawValue: obstacleToSocketLookup ?? "")))
    struct SocketLookupTests {
        @Test("the feature probes agree that these tests can run")
        func support() throws {
            #expect(try KernelSupport.skLookup())
            #expect(try KernelSupport.testRun())
        }

        @Test("the probes do what they say")
        func probes() async throws {
            let context = try LookupContext(
                .tcp, remote: Endpoint(text: "198.51.100.1:1024"), local: Endpoint(text: "192.0.2.1:80"))
            let pass = try await CompiledPrograms.load("pass")
            let drop = try await CompiledPrograms.load("drop")
            #expect(try pass.testRun(context) == LookupResult(returned: 1, cookie: 0))
            #expect(try drop.testRun(context) == LookupResult(returned: 0, cookie: 0))

            let redirect = try await CompiledPrograms.load("redirect")
            #expect(try redirect.testRun(context) == LookupResult(returned: 1, cookie: 0))
            let namespace = try TestNamespace()
            defer { namespace.close() }
            let server = try namespace.socket(.tcp, "127.0.0.1:7")
            var slot: UInt32 = 0
            var value = UInt64(server.descriptor.rawValue)
            let sockets = try #require(redirect.map("sockets"))
            #expect(bpf_map_update_elem(sockets, &slot, &value, 0) == 0)
            #expect(try redirect.testRun(context) == LookupResult(returned: 1, cookie: server.cookie))
        }

        @Test("a link attaches, is updated, and detaches")
        func link() async throws {
            let namespace = try TestNamespace()
            defer { namespace.close() }
            _ = try namespace.socket(.tcp, "127.0.0.1:80")
            let drop = try await CompiledPrograms.load("drop")
            let pass = try await CompiledPrograms.load("pass")
            #expect(try namespace.connects("127.0.0.1:80") == 0)
            let link = try drop.attach(to: namespace.descriptor)
            #expect(try namespace.connects("127.0.0.1:80") == ECONNREFUSED)
            try link.update(to: pass)
            #expect(try namespace.connects("127.0.0.1:80") == 0)
            try link.update(to: drop)
            #expect(try namespace.connects("127.0.0.1:80") == ECONNREFUSED)
            try link.detach()
            #expect(try namespace.connects("127.0.0.1:80") == 0)
            #expect(throws: SocketLookupError.self) { try link.update(to: pass) }
        }

        @Test("a link that goes away detaches")
        func linkOwnsItsDescriptor() async throws {
            let namespace = try TestNamespace()
            defer { namespace.close() }
            _ = try namespace.socket(.tcp, "127.0.0.1:80")
            let drop = try await CompiledPrograms.load("drop")
            do {
                let link = try drop.attach(to: namespace.descriptor)
                #expect(try namespace.connects("127.0.0.1:80") == ECONNREFUSED)
                withExtendedLifetime(link) {}
            }
            #expect(try namespace.connects("127.0.0.1:80") == 0)
        }

        @Test("the dispatcher leads each protocol and family to its own socket under one label")
        func registration() async throws {
            let program = try await CompiledPrograms.load("dispatch")
            let dispatcher = try Dispatcher(program)
            let namespace = try TestNamespace()
            defer { namespace.close() }
            let (four, six) = (try Prefix(text: "192.0.2.0/24"), try Prefix(text: "2001:db8::/32"))
            for `protocol` in TransportProtocol.allCases {
                try dispatcher.bind(`protocol`, four, PortRange(80), to: "web")
                try dispatcher.bind(`protocol`, six, PortRange(80), to: "web", otherwise: .pass)
            }
            #expect(try program.decision(.tcp, "192.0.2.9:80") == LookupResult(returned: 0, cookie: 0))
            #expect(try program.decision(.tcp, "[2001:db8::9]:80") == LookupResult(returned: 1, cookie: 0))
            #expect(try program.decision(.tcp, "192.0.2.9:81") == LookupResult(returned: 1, cookie: 0))

            let tcp4 = try namespace.socket(.tcp, "127.0.0.1:1")
            let tcp6 = try namespace.socket(.tcp, "[::1]:1")
            let udp4 = try namespace.socket(.udp, "127.0.0.1:1")
            let udp6 = try namespace.socket(.udp, "[::1]:1")
            for socket in [tcp4, tcp6, udp4, udp6] { try dispatcher.register(socket.descriptor, under: "web") }
            #expect(try program.decision(.tcp, "192.0.2.9:80").cookie == tcp4.cookie)
            #expect(try program.decision(.tcp, "[2001:db8::9]:80").cookie == tcp6.cookie)
            #expect(try program.decision(.udp, "192.0.2.9:80").cookie == udp4.cookie)
            #expect(try program.decision(.udp, "[2001:db8::9]:80").cookie == udp6.cookie)

            // One that takes both families replaces both.
            let dual = try namespace.socket(.tcp, "[::]:2", v6Only: false)
            try dispatcher.register(dual.descriptor, under: "web")
            #expect(try program.decision(.tcp, "192.0.2.9:80").cookie == dual.cookie)
            #expect(try program.decision(.tcp, "[2001:db8::9]:80").cookie == dual.cookie)
            #expect(throws: SocketLookupError.notRegistered(descriptor: tcp4.descriptor.rawValue, label: "web")) {
                try dispatcher.unregister(tcp4.descriptor, from: "web")
            }
            let mapped = try namespace.socket(.tcp, "[::ffff:127.0.0.1]:3", v6Only: false)
            try dispatcher.register(mapped.descriptor, under: "web")
            #expect(try program.decision(.tcp, "192.0.2.9:80").cookie == mapped.cookie)
            #expect(try program.decision(.tcp, "[2001:db8::9]:80").cookie == dual.cookie)
            try dispatcher.unregister(mapped.descriptor, from: "web")
            #expect(try program.decision(.tcp, "192.0.2.9:80") == LookupResult(returned: 0, cookie: 0))

            // A closed socket is no longer there.
            try namespace.close(dual.descriptor)
            #expect(try program.decision(.tcp, "[2001:db8::9]:80") == LookupResult(returned: 1, cookie: 0))
        }

        @Test("the paper's Figure 4c: one prefix on one port, and one address on every port, at once")
        func figure4c() async throws {
            let program = try await CompiledPrograms.load("dispatch")
            let dispatcher = try Dispatcher(program)
            let namespace = try TestNamespace()
            defer { namespace.close() }
            let dns = try namespace.socket(.tcp, "127.0.0.1:1")
            let everything = try namespace.socket(.tcp, "127.0.0.1:2")
            try dispatcher.register(dns.descriptor, under: "sk:2")
            try dispatcher.register(everything.descriptor, under: "sk:4")
            try dispatcher.bind(.tcp, Prefix(text: "192.0.2.0/24"), PortRange(53), to: "sk:2")
            try dispatcher.bind(.tcp, Prefix(text: "203.0.113.1/32"), .all, to: "sk:4")
            for port in UInt16.min...UInt16.max {
                let one = try program.decision(.tcp, "203.0.113.1:\(port)")
                let other = try program.decision(.tcp, "192.0.2.77:\(port)")
                guard one.cookie == everything.cookie, other.cookie == (port == 53 ? dns.cookie : 0) else {
                    Issue.record("port \(port): \(one), \(other)")
                    return
                }
            }
            #expect(try program.decision(.tcp, "203.0.113.2:53").cookie == 0)

            // And with packets: loopback addresses need no route, so these stand for the paper's.
            try dispatcher.bind(.tcp, Prefix(text: "127.1.0.0/16"), PortRange(53), to: "sk:2")
            try dispatcher.bind(.tcp, Prefix(text: "127.2.0.1/32"), .all, to: "sk:4")
            #expect(try namespace.connects("127.1.2.3:53") == ECONNREFUSED)
            let link = try program.attach(to: namespace.descriptor)
            #expect(try namespace.connects("127.1.2.3:53") == 0)
            #expect(try namespace.connects("127.1.2.3:54") == ECONNREFUSED)
            #expect(try namespace.connects("127.2.0.1:1") == 0)
            #expect(try namespace.connects("127.2.0.1:65535") == 0)
            #expect(try namespace.connects("127.2.0.2:65535") == ECONNREFUSED)
            #expect(dns.descriptor.acceptedCount() == 1)
            #expect(everything.descriptor.acceptedCount() == 2)
            try link.detach()
        }

        @Test("the dispatcher decides as an independent model does", arguments: 0..<12)
        func model(seed: UInt64) async throws {
            var random = SplitMix(seed: seed)
            let program = try await CompiledPrograms.load("dispatch")
            let dispatcher = try Dispatcher(program)
            let namespace = try TestNamespace()
            defer { namespace.close() }
            // A label without sockets, and three with one for each protocol and family.
            var cookies: [String: [UInt64]] = ["empty": [0, 0, 0, 0]]
            for (index, label) in ["a", "b", "c"].enumerated() {
                for (`protocol`, address) in [
                    (TransportProtocol.tcp, "127.0.0.1"), (.tcp, "[::1]"), (.udp, "127.0.0.1"), (.udp, "[::1]"),
                ] {
                    let socket = try namespace.socket(`protocol`, "\(address):\(index + 1)")
                    try dispatcher.register(socket.descriptor, under: label)
                    cookies[label, default: []].append(socket.cookie)
                }
            }
            var bindings: [(match: Match, label: String, otherwise: Fallback)] = []
            for _ in 0..<40 {
                if let index = bindings.indices.randomElement(using: &random),
                    Int.random(in: 0..<4, using: &random) == 0
                {
                    let (match, label, _) = bindings.remove(at: index)
                    try dispatcher.unbind(match.protocol, match.prefix, match.ports, from: label)
                } else {
                    let match = try Match.random(using: &random)
                    let label = ["a", "b", "c", "empty"].randomElement(using: &random) ?? "a"
                    let otherwise = Bool.random(using: &random) ? Fallback.drop : .pass
                    do throws(SocketLookupError) {
                        try dispatcher.bind(match.protocol, match.prefix, match.ports, to: label, otherwise: otherwise)
                    } catch {
                        // Not `catch .tie`: Swift 6.3.1 crashes on a partial catch of a typed error.
                        guard case .tie = error else { throw error }
                        continue
                    }
                    bindings.removeAll { $0.match == match }
                    bindings.append((match, label, otherwise))
                }
                for _ in 0..<60 {
                    let `protocol` = Bool.random(using: &random) ? TransportProtocol.tcp : .udp
                    let endpoint = Endpoint.random(using: &random)
                    let best = bindings.filter { binding in
                        binding.match.protocol == `protocol` && binding.match.prefix.contains(endpoint.address)
                            && binding.match.ports.contains(endpoint.port)
                    }.min {
                        (-$0.match.prefix.length, $0.match.ports.count) < (
                            -$1.match.prefix.length, $1.match.ports.count
                        )
                    }
                    var expected = LookupResult(returned: 1, cookie: 0)
                    if let best {
                        let slot = (`protocol` == .udp ? 2 : 0) + (endpoint.address.family == .ipv6 ? 1 : 0)
                        expected.cookie = try #require(cookies[best.label])[slot]
                        if expected.cookie == 0, best.otherwise == .drop { expected.returned = 0 }
                    }
                    let decided = try program.decision(`protocol`, "\(endpoint)")
                    guard decided == expected else {
                        Issue.record(
                            "seed \(seed): \(`protocol`) \(endpoint): \(decided), expected \(expected) by \(bindings)")
                        return
                    }
                }
            }
        }

        @Test("thousands of addresses with a port of their own follow the prefix around them when it moves")
        func scale() async throws {
            let program = try await CompiledPrograms.load("dispatch")
            let dispatcher = try Dispatcher(program)
            let namespace = try TestNamespace()
            defer { namespace.close() }
            var cookies: [String: UInt64] = [:]
            for (port, label) in ["old", "new", "own"].enumerated() {
                let socket = try namespace.socket(.udp, "127.0.0.1:\(port + 1)")
                try dispatcher.register(socket.descriptor, under: label)
                cookies[label] = socket.cookie
            }
            let prefix = try Prefix(text: "198.18.0.0/20")
            try dispatcher.bind(.udp, prefix, .all, to: "old")
            for offset: UInt128 in 0..<4096 {
                try dispatcher.bind(.udp, Prefix(#require(prefix.address(at: offset))), PortRange(53), to: "own")
            }
            try dispatcher.bind(.udp, prefix, .all, to: "new")
            for offset: UInt128 in stride(from: 0, to: 4096, by: 15) {
                let address = try #require(prefix.address(at: offset))
                #expect(try program.decision(.udp, "\(address):53").cookie == cookies["own"])
                #expect(try program.decision(.udp, "\(address):54").cookie == cookies["new"])
            }
        }

        @Test("what cannot be led to is refused with a reason")
        func refusals() async throws {
            let pass = try await CompiledPrograms.load("pass")
            #expect(throws: SocketLookupError.notADispatcher(program: "pass", because: "it has no map 'tables'")) {
                try Dispatcher(pass)
            }
            #expect(throws: SocketLookupError.self) { try Program(object: "/nonexistent.bpf.o") }
            let dispatcher = try Dispatcher(await CompiledPrograms.load("dispatch"))
            let local = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(local) }
            #expect(throws: SocketLookupError.self) {
                try dispatcher.register(FileDescriptor(rawValue: local), under: "web")
            }
            // A TCP socket that does not listen.
            let idle = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(idle) }
            let refusal = #expect(throws: SocketLookupError.self) {
                try dispatcher.register(FileDescriptor(rawValue: idle), under: "web")
            }
            guard case .call("bpf(BPF_MAP_UPDATE_ELEM)", EOPNOTSUPP, _, _) = refusal else {
                Issue.record("\(String(describing: refusal))")
                return
            }
        }

        @Test("a program that the verifier refuses shows why")
        func verifierLog() async throws {
            let source = """
                #include <linux/bpf.h>
                #include <bpf/bpf_helpers.h>
                SEC("sk_lookup") int bad(struct bpf_sk_lookup *ctx) { return 2; }
                char _license[] SEC("license") = "GPL";
                """
            let object = try await CompiledPrograms.compile(source, named: "bad")
            defer { unlink(object.string) }
            let refusal = #expect(throws: SocketLookupError.self) { try Program(object: object) }
            guard case .call("bpf_object__load", _, _, let log?) = refusal else {
                Issue.record("\(String(describing: refusal))")
                return
            }
            #expect(log.contains("R0"), "\(log)")
        }

        @Test(
            "a datagram tells where it was sent, and its answer leaves from there",
            arguments: [
                ("0.0.0.0:5300", "127.9.8.7:5300"), ("[::]:5300", "127.9.8.7:5300"), ("[::]:5300", "[::1]:5300"),
            ])
        func datagrams(bound: String, asked: String) throws {
            let namespace = try TestNamespace()
            defer { namespace.close() }
            let server = try namespace.socket(.udp, bound, v6Only: false).descriptor
            #expect(clinux_enable_destination(server.rawValue) == 0)
            let client = try namespace.socket(.udp, asked.hasPrefix("[") ? "[::1]:0" : "127.0.0.1:0").descriptor
            var question = Array("who".utf8)
            var to = try Endpoint(text: asked).socketAddress.0
            #expect(clinux_send_datagram(client.rawValue, &question, 3, 0, &to, nil) == 3)

            var buffer = [UInt8](repeating: 0, count: 64)
            var (source, destination) = (sockaddr_storage(), sockaddr_storage())
            #expect(clinux_receive_datagram(server.rawValue, &buffer, 64, 0, &source, &destination) == 3)
            #expect(destination.endpoint == asked)
            #expect(clinux_send_datagram(server.rawValue, &buffer, 3, 0, &source, &destination) == 3)

            var answered = sockaddr_storage()
            #expect(clinux_receive_datagram(client.rawValue, &buffer, 64, 0, &answered, nil) == 3)
            #expect(answered.endpoint == asked)
        }
    }
}

extension Program {
    func decision(_ protocol: TransportProtocol, _ local: String) throws -> LookupResult {
        let local = try Endpoint(text: local)
        let remote = IPAddress(family: local.address.family, bits: 1)
        return try testRun(LookupContext(`protocol`, remote: Endpoint(remote, 1024), local: local))
    }
}

extension TestNamespace {
    /// The errno of a TCP connect; 0 if it is established.
    func connects(_ endpoint: String) throws -> Int32 {
        try inside {
            let endpoint = try Endpoint(text: endpoint)
            let client = Glibc.socket(endpoint.address.family.domain, Int32(SOCK_STREAM.rawValue), 0)
            try #require(client >= 0)
            defer { Glibc.close(client) }
            var (storage, size) = endpoint.socketAddress
            return withUnsafePointer(to: &storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(client, $0, size) == 0 ? 0 : errno }
            }
        }
    }
}

extension FileDescriptor {
    /// How many connections wait to be accepted.
    func acceptedCount() -> Int {
        let flags = fcntl(rawValue, F_GETFL)
        _ = fcntl(rawValue, F_SETFL, flags | O_NONBLOCK)
        var count = 0
        while true {
            let connection = accept(rawValue, nil, nil)
            guard connection >= 0 else { return count }
            Glibc.close(connection)
            count += 1
        }
    }
}

extension sockaddr_storage {
    /// As text, IPv4 also where it is v4-mapped.
    var endpoint: String {
        withUnsafeBytes(of: self) { bytes in
            let port = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
            if Int32(ss_family) == AF_INET {
                let bits = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
                return "\(Endpoint(.v4(bits), port))"
            }
            let bits = UInt128(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt128.self))
            let address = bits >> 32 == 0xFFFF ? IPAddress.v4(UInt32(truncatingIfNeeded: bits)) : .v6(bits)
            return "\(Endpoint(address, port))"
        }
    }
}

extension Match {
    /// Few bits vary, so that prefixes nest and ranges overlap.
    static func random(using random: inout SplitMix) throws -> Match {
        let address = Endpoint.random(using: &random).address
        let width = address.family.width
        let length =
            [0, 1, width / 4, width - 8, width - 4, width - 3, width - 2, width - 1, width]
            .randomElement(using: &random) ?? 0
        let host = UInt128(width - length)
        let prefix = try Prefix(IPAddress(family: address.family, bits: (address.bits >> host) << host), length: length)
        let bounds = [Endpoint.randomPort(using: &random), Endpoint.randomPort(using: &random)].sorted()
        return try Match(
            Bool.random(using: &random) ? .tcp : .udp, prefix,
            Bool.random(using: &random) ? PortRange(bounds[0]) : PortRange(bounds[0], through: bounds[1]))
    }
}

extension Endpoint {
    static func random(using random: inout SplitMix) -> Endpoint {
        let low = UInt128.random(in: 0..<16, using: &random)
        let address: IPAddress =
            switch Int.random(in: 0..<5, using: &random) {
            case 0: .v4(0xFFFF_FFF0 | UInt32(low))
            case 1: .v6((UInt128.max << 4) | low)
            case 2: .v6(low)
            case 3: .v6(0x2001_0db8 << 96 | low)
            default: .v4(0xC000_0200 | UInt32(low))
            }
        return Endpoint(address, randomPort(using: &random))
    }

    fileprivate static func randomPort(using random: inout SplitMix) -> UInt16 {
        let near = UInt16.random(in: 0..<12, using: &random)
        return Bool.random(using: &random) ? near : .max - near
    }
}

/// Splitmix64: enough for seeds that give the same bindings everywhere.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
