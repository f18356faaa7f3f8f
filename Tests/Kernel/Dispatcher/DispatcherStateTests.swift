import Addressing
import CLinux
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import SocketLookup

/// Looks up the same addresses over and over, and counts how often the answer changes.
private final class Watch: Sendable {
    struct Seen {
        var changes = 0
        var lookups = 0
        var strange: [String] = []
        var isOver = false
    }

    let seen = Mutex(Seen())
    private let program: Int32
    private let probes: [LookupContext]
    private let cookies: (UInt64, UInt64)

    init(program: Int32, probes: [LookupContext], cookies: (UInt64, UInt64)) {
        self.program = program
        self.probes = probes
        self.cookies = cookies
    }

    func run() throws {
        // Whoever waits for lookups must not wait for ever.
        defer { seen.withLock { $0.isOver = true } }
        var last = cookies.0
        while !seen.withLock({ $0.isOver }) {
            for probe in probes {
                let result = try testRun(program, probe)
                seen.withLock { seen in
                    seen.lookups += 1
                    if result.cookie != cookies.0 && result.cookie != cookies.1 {
                        seen.strange.append("\(probe.local): \(result)")
                    }
                    if result.cookie != last { seen.changes += 1 }
                }
                last = result.cookie
            }
        }
    }
}

extension KernelTests {
    @Suite(
        "The dispatcher's pinned state",
        .enabled(if: obstacleToSocketLookup == nil, Comment(rawValue: obstacleToSocketLookup ?? "")))
    struct DispatcherStateTests {
        @Test("a dispatcher is loaded once, has only the modes that its group needs, and goes without a trace")
        func loading() async throws {
            let place = try await PinnedDispatcher(loading: false)
            defer { place.close() }
            #expect(try DispatcherState.status(at: place.location).loaded == nil)
            let notLoaded = SocketLookupError.notLoaded(path: place.location.directory.string)
            #expect(throws: notLoaded) { try DispatcherState.unload(at: place.location) }
            try DispatcherState.load(place.object, at: place.location)
            #expect(throws: SocketLookupError.alreadyLoaded(path: place.location.directory.string)) {
                try DispatcherState.load(place.object, at: place.location)
            }
            #expect(place.names == ["state": place.pins(generation: 0)])
            for path in [place.location.base, place.location.directory, place.location.state] {
                #expect(try mode(of: path) == 0o750, "\(path)")
            }
            for name in place.pins(generation: 0) {
                #expect(try mode(of: place.location.state.appending(name)) == 0o640, "\(name)")
            }
            let status = try DispatcherState.status(at: place.location)
            #expect(status.loaded?.bindings == 0)
            #expect(status.loaded?.program?.tag.count == 16)
            #expect(status.leftovers.isEmpty)
            try DispatcherState.unload(at: place.location)
            #expect(place.names == nil)
            #expect(try AttachedPrograms(of: place.namespace.descriptor).count == 0)
        }

        @Test("an unload works whatever is missing", arguments: ["info", "names", "tables", "program"])
        func unloadingWhatIsBroken(missing: String) async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            try Pins.remove(place.location.state.appending(missing))
            if missing != "program" { #expect(throws: SocketLookupError.self) { _ = try place.open() } }
            try DispatcherState.unload(at: place.location)
            #expect(place.names == nil)
            #expect(try AttachedPrograms(of: place.namespace.descriptor).count == 0)
        }

        @Test("whoever changes it is alone, and those who look are not in each other's way")
        func locking() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let busy = SocketLookupError.busy(path: place.location.directory.string)
            do {
                let one = try DispatcherState(at: place.location, for: .looking)
                let other = try DispatcherState(at: place.location, for: .looking, waiting: false)
                #expect(try one.bindings() == other.bindings())
                #expect(throws: busy) { _ = try DispatcherState(at: place.location, waiting: false) }
                #expect(throws: SocketLookupError.self) {
                    try one.bind([binding("192.0.2.0/24", "53", to: "dns")])
                }
            }
            let one = try place.open()
            #expect(throws: busy) { _ = try DispatcherState(at: place.location, for: .looking, waiting: false) }
            #expect(throws: busy) { try DispatcherState.unload(at: place.location, waiting: false) }
            #expect(try one.bindings().isEmpty)
        }

        @Test("bindings are added, moved, listed and removed, and the sockets under a label get their packets")
        func bindings() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let dns = try place.namespace.socket(.udp, "127.0.0.1:1")
            let dispatcher = try place.open()
            let wide = try binding(.udp, "192.0.2.0/24", "0-65535", to: "all", otherwise: .pass)
            let narrow = try binding(.udp, "192.0.2.0/24", "53", to: "dns")
            #expect(try dispatcher.bind([wide, narrow]).added == [wide, narrow])
            try dispatcher.register([dns.descriptor], under: "dns")
            #expect(try place.decision(.udp, "192.0.2.9:53") == LookupResult(returned: 1, cookie: dns.cookie))
            #expect(try place.decision(.udp, "192.0.2.9:54") == LookupResult(returned: 1, cookie: 0))
            #expect(try place.decision(.tcp, "192.0.2.9:53") == LookupResult(returned: 1, cookie: 0))
            #expect(try dispatcher.bindings() == [wide, narrow])

            var moved = wide
            moved.label = "dns"
            let change = BindingDifference.Change(old: wide, new: moved)
            #expect(try dispatcher.difference(to: [moved]).changed == [change])
            #expect(try dispatcher.bind([moved]).changed == [change])
            #expect(try place.decision(.udp, "192.0.2.9:54") == LookupResult(returned: 1, cookie: dns.cookie))

            #expect(throws: SocketLookupError.notBound(Match(.tcp, wide.match.prefix, wide.match.ports))) {
                try dispatcher.unbind([narrow.match, Match(.tcp, wide.match.prefix, wide.match.ports)])
            }
            #expect(throws: SocketLookupError.boundElsewhere(narrow.match, to: "dns", not: "web")) {
                try dispatcher.unbind([narrow.match], from: "web")
            }
            #expect(try dispatcher.bindings() == [moved, narrow])
            try dispatcher.unbind([moved.match, narrow.match])
            #expect(try dispatcher.bindings().isEmpty)
            #expect(try place.decision(.udp, "192.0.2.9:53") == LookupResult(returned: 1, cookie: 0))
        }

        @Test("a set that cannot be is refused, and changes nothing")
        func refusedSets() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let dispatcher = try place.open()
            let first = try binding("192.0.2.0/24", "10-20", to: "first")
            try dispatcher.replace(with: [first])
            let tie = try binding("192.0.2.0/24", "15-25", to: "second")
            #expect(throws: SocketLookupError.tie(tie.match, with: first.match, label: "first")) {
                try dispatcher.bind([tie])
            }
            #expect(throws: SocketLookupError.duplicate(tie.match)) { try dispatcher.replace(with: [tie, tie]) }
            // Also where it differs from the set in force in nothing else.
            #expect(throws: SocketLookupError.duplicate(first.match)) { try dispatcher.replace(with: [first, first]) }
            let mapped = try binding("::ffff:192.0.2.0/120", "1", to: "six")
            #expect(throws: SocketLookupError.mappedPrefix(mapped.match)) { try dispatcher.bind([mapped]) }
            let long = String(repeating: "x", count: 65)
            #expect(throws: SocketLookupError.unsuitableLabel(long)) {
                try dispatcher.bind([binding("192.0.2.0/24", "1", to: long)])
            }
            #expect(try dispatcher.bindings() == [first])
            #expect(place.names == ["state": place.pins(generation: 1)])
        }

        @Test("it decides as an independent model does, set after set", arguments: 0..<4 as Range<UInt64>)
        func model(seed: UInt64) async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            var random = SplitMix(seed: seed)
            let dispatcher = try place.open()
            var cookies: [String: [UInt64]] = ["empty": [0, 0, 0, 0]]
            for (index, label) in ["a", "b", "c"].enumerated() {
                for (`protocol`, address) in [
                    (TransportProtocol.tcp, "127.0.0.1"), (.tcp, "[::1]"), (.udp, "127.0.0.1"), (.udp, "[::1]"),
                ] {
                    let socket = try place.namespace.socket(`protocol`, "\(address):\(index + 1)")
                    try dispatcher.register([socket.descriptor], under: label)
                    cookies[label, default: []].append(socket.cookie)
                }
            }
            for _ in 0..<4 {
                var bindings: [Binding] = []
                while bindings.count < 250 {
                    let match = try Match.random(using: &random)
                    let isTaken = bindings.contains {
                        $0.match.protocol == match.protocol && $0.match.prefix == match.prefix
                            && $0.match.ports.count == match.ports.count
                            && $0.match.ports.first <= match.ports.last && match.ports.first <= $0.match.ports.last
                    }
                    if isTaken { continue }
                    bindings.append(
                        Binding(
                            match, to: ["a", "b", "c", "empty"].randomElement(using: &random) ?? "a",
                            otherwise: Bool.random(using: &random) ? .drop : .pass))
                }
                try dispatcher.replace(with: bindings)
                for _ in 0..<1500 {
                    let `protocol` = Bool.random(using: &random) ? TransportProtocol.tcp : .udp
                    let endpoint = Endpoint.random(using: &random)
                    let best = bindings.filter { binding in
                        binding.match.protocol == `protocol` && binding.match.prefix.contains(endpoint.address)
                            && binding.match.ports.contains(endpoint.port)
                    }.min {
                        (-$0.match.prefix.length, $0.match.ports.count)
                            < (-$1.match.prefix.length, $1.match.ports.count)
                    }
                    var expected = LookupResult(returned: 1, cookie: 0)
                    if let best {
                        let slot = (`protocol` == .udp ? 2 : 0) + (endpoint.address.family == .ipv6 ? 1 : 0)
                        expected.cookie = try #require(cookies[best.label])[slot]
                        if expected.cookie == 0, best.otherwise == .drop { expected.returned = 0 }
                    }
                    let decided = try place.decision(`protocol`, "\(endpoint)")
                    try #require(decided == expected, "seed \(seed): \(`protocol`) \(endpoint)")
                }
            }
        }

        @Test("a set takes another's place in one step: lookups see one change for each replacement, and no gap")
        func atomicity() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let (a, b) = (
                try place.namespace.socket(.tcp, "127.0.0.1:1"), try place.namespace.socket(.tcp, "127.0.0.1:2")
            )
            let dispatcher = try place.open()
            try dispatcher.register([a.descriptor], under: "a")
            try dispatcher.register([b.descriptor], under: "b")
            // Prefixes in prefixes, and one with more ranges than a node holds.
            func set(_ label: String) throws -> [Binding] {
                try (0..<200).map { try binding("10.0.\($0).0/24", "80", to: label) }
                    + [binding("10.0.0.0/8", "0-65535", to: label), binding("10.1.0.0/16", "443", to: label)]
                    + (0..<20).map { try binding("10.2.0.0/16", "\(1000 + 2 * $0)", to: label) }
            }
            let (first, second) = (try set("a"), try set("b"))
            try dispatcher.replace(with: first)

            let program = try Pins.open(place.location.state.appending("program"))
            defer { Glibc.close(program) }
            let remote = Endpoint(.v4(1), 1024)
            let probes = try ["10.0.0.1:80", "10.0.199.1:80", "10.9.9.9:9", "10.1.2.3:443", "10.2.0.1:1038"].map {
                LookupContext(.tcp, remote: remote, local: try Endpoint(text: $0))
            }
            let watch = Watch(program: program, probes: probes, cookies: (a.cookie, b.cookie))
            let watching = Task.detached { try watch.run() }
            let replacements = 40
            for index in 1...replacements {
                try dispatcher.replace(with: index % 2 == 1 ? second : first)
                // So that each set is looked up in before the next comes.
                let before = watch.seen.withLock { $0.lookups }
                while watch.seen.withLock({ $0.lookups < before + 2 * probes.count && !$0.isOver }) { sched_yield() }
            }
            watch.seen.withLock { $0.isOver = true }
            try await watching.value
            let result = watch.seen.withLock { $0 }
            #expect(result.strange.isEmpty)
            #expect(result.changes == replacements)
        }

        @Test("counters tell exactly what lookups came to, and stay with a binding that stays")
        func counters() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let (a, b) = (
                try place.namespace.socket(.tcp, "127.0.0.1:1"), try place.namespace.socket(.tcp, "127.0.0.1:2")
            )
            let dispatcher = try place.open()
            let web = try binding("192.0.2.0/24", "80", to: "web")
            let none = try binding("192.0.2.0/24", "81", to: "none")
            try dispatcher.bind([web, none])
            try dispatcher.register([a.descriptor, b.descriptor], under: "web")
            func of(_ binding: Binding) throws -> BindingCounters? {
                try dispatcher.metrics().bindings.first { $0.binding == binding }?.counters
            }
            for port: UInt16 in 1...100 { _ = try place.decision(.tcp, "192.0.2.1:80", from: port) }
            for _ in 0..<7 { _ = try place.decision(.tcp, "192.0.2.1:81") }
            for _ in 0..<5 { _ = try place.decision(.tcp, "192.0.2.1:82") }
            #expect(try of(web) == BindingCounters(hits: 100))
            #expect(try of(none) == BindingCounters(misses: 7))
            var metrics = try dispatcher.metrics()
            #expect(metrics.lookups == 112)
            #expect(metrics.all == BindingCounters(hits: 100, misses: 7))

            // The flows of a socket that is gone are errors, and go to the other.
            let flows = try (1...100 as ClosedRange<UInt16>).filter {
                try place.decision(.tcp, "192.0.2.1:80", from: $0).cookie == a.cookie
            }
            try place.namespace.close(a.descriptor)
            for port: UInt16 in 1...100 {
                #expect(try place.decision(.tcp, "192.0.2.1:80", from: port).cookie == b.cookie)
            }
            #expect(try of(web) == BindingCounters(hits: 300, errors: UInt64(flows.count)))
            try place.namespace.close(b.descriptor)
            #expect(try place.decision(.tcp, "192.0.2.1:80") == LookupResult(returned: 0, cookie: 0))
            #expect(try of(web) == BindingCounters(hits: 300, misses: 1, errors: UInt64(flows.count) + 2))
            // Until they are taken out.
            try dispatcher.unregister(from: "web") { $0.condition == .closed }
            _ = try place.decision(.tcp, "192.0.2.1:80")
            #expect(try of(web) == BindingCounters(hits: 300, misses: 2, errors: UInt64(flows.count) + 2))

            // A counter that is free again begins at 0 with the next binding.
            let other = try binding("192.0.2.0/24", "82", to: "web")
            try dispatcher.replace(with: [none, other])
            try dispatcher.bind([web])
            #expect(try of(none) == BindingCounters(misses: 7))
            #expect(try of(other) == BindingCounters())
            #expect(try of(web) == BindingCounters())
            metrics = try dispatcher.metrics()
            #expect(metrics.all == BindingCounters(hits: 300, misses: 9, errors: UInt64(flows.count) + 2))
        }

        @Test("thousands of bindings have a counter each, and go without a trace")
        func manyBindings() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let server = try place.namespace.socket(.udp, "127.0.0.1:1")
            let dispatcher = try place.open()
            try dispatcher.register([server.descriptor], under: "own")
            let base = try Prefix(text: "198.18.0.0/16")
            let bindings = try (0..<3000).map { (offset: UInt128) in
                let match = Match(.udp, Prefix(try #require(base.address(at: offset))), PortRange(53))
                return Binding(match, to: "own")
            }
            try dispatcher.replace(with: bindings)
            #expect(place.names?["state"] == (place.pins(generation: 1) + ["counters-1", "counters-2"]).sorted())
            for index in [0, 1023, 1024, 2047, 2048, 2999] {
                for _ in 0...index % 5 {
                    let address = bindings[index].match.prefix.address
                    #expect(try place.decision(.udp, "\(address):53").cookie == server.cookie)
                }
            }
            #expect(try dispatcher.bindings() == bindings)
            for (index, counted) in try dispatcher.metrics().bindings.enumerated() {
                let isProbed = [0, 1023, 1024, 2047, 2048, 2999].contains(index)
                #expect(counted.counters == BindingCounters(hits: isProbed ? UInt64(index % 5) + 1 : 0))
            }
            try dispatcher.replace(with: [])
            #expect(try place.decision(.udp, "198.18.0.1:53") == LookupResult(returned: 1, cookie: 0))
        }

        @Test("another version of the program takes over; bindings, sockets and counters stay")
        func upgrade() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let server = try place.namespace.socket(.tcp, "127.0.0.1:1")
            let web = try binding("127.1.0.0/16", "80", to: "web")
            let before = try DispatcherState.status(at: place.location).loaded
            do {
                let dispatcher = try place.open()
                try dispatcher.register([server.descriptor], under: "web")
                try dispatcher.bind([web])
                #expect(try place.namespace.connects("127.1.2.3:80") == 0)
                #expect(try dispatcher.upgrade(to: place.object) == false)
                let next = try await PinnedDispatcher.compile([("0x9E3779B1", "0x85EBCA6B")])
                defer { unlink(next.string) }
                #expect(try dispatcher.upgrade(to: next) == true)
                #expect(try place.namespace.connects("127.1.2.3:80") == 0)
                #expect(try dispatcher.bindings() == [web])
                #expect(try dispatcher.sockets().map(\.cookie) == [server.cookie])
                #expect(try dispatcher.metrics().all == BindingCounters(hits: 2))

                // One with other maps is refused, and what ran goes on.
                let other = try await PinnedDispatcher.compile([("#define LABELS 4096", "#define LABELS 2048")])
                defer { unlink(other.string) }
                let refusal = #expect(throws: SocketLookupError.self) { try dispatcher.upgrade(to: other) }
                guard case .incompatible(other.string, _) = refusal else {
                    Issue.record("\(String(describing: refusal))")
                    return
                }
                #expect(try place.namespace.connects("127.1.2.3:80") == 0)
            }
            let after = try DispatcherState.status(at: place.location).loaded
            #expect(after?.link == before?.link)
            #expect(after?.program?.tag != before?.program?.tag)
            #expect(try AttachedPrograms(of: place.namespace.descriptor).programs == [after?.program?.number])
            #expect(place.names == ["state": place.pins(generation: 1)])
        }

        @Test("the directory of a namespace that is gone is no dispatcher of another with its number")
        func deadNamespace() async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            try Link(pinnedAt: place.location.state.appending("link")).detach()
            #expect(try DispatcherState.status(at: place.location).loaded == nil)
            #expect(throws: SocketLookupError.notLoaded(path: place.location.directory.string)) {
                _ = try place.open()
            }
            try DispatcherState.load(place.object, at: place.location)
            #expect(try DispatcherState.status(at: place.location).loaded?.bindings == 0)
        }

        private func mode(of path: FilePath) throws -> mode_t {
            var status = stat()
            try #require(stat(path.string, &status) == 0, "\(path)")
            return status.st_mode & 0o7777
        }
    }
}
