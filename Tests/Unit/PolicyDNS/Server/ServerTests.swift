import Addressing
import Foundation
import Synchronization
import Testing

@testable import PolicyDNS

// One after the other: each keeps the processors busy, and its clients wait for answers.
@Suite("A server", .serialized)
struct ServerTests {
    private static let anyPort = Configuration.Listener(address: Endpoint(.v4(0x7F00_0001), 0))

    private func configuration(
        ttl: UInt32 = 300, listeners: [Configuration.Listener] = [anyPort], workers: Int = 2
    ) throws -> Configuration {
        var configuration = try testConfiguration(ttl: ttl, listeners: listeners)
        configuration.workers = workers
        return configuration
    }

    private func address(_ sockets: borrowing ServerSockets, _ transport: TransportProtocol = .udp) throws -> Endpoint {
        try #require(sockets.places.first { $0.transport == transport }).address
    }

    /// The TTL of an answer; nil for none.
    private func ask(_ destination: Endpoint) throws -> UInt32? {
        let client = try ClientSocket(.udp, destination.address.family)
        try client.send(testQuery(1), to: destination)
        guard client.wait(for: POLLIN, milliseconds: 10_000) else { return nil }
        return client.receiveDatagram().flatMap { ttlOfAnswer($0.bytes) }
    }

    private func isClosed(_ address: Endpoint) throws -> Bool {
        let client = try ClientSocket(.tcp, address.address.family)
        do {
            try client.connect(to: address)
        } catch let error as CallFailed {
            return error.number == ECONNREFUSED
        }
        return false
    }

    // MARK: reload

    @Test(
        "no query is lost in a hundred reloads, and none that follows one is answered from before it",
        arguments: [TransportProtocol.udp, .tcp])
    func reloadUnderLoad(_ transport: TransportProtocol) throws {
        let sockets = try ServerSockets.open(try configuration())
        let address = try self.address(sockets, transport)
        let account = try Server.run(try testService(configuration(ttl: 1)), on: sockets) { server in
            try Load.run(transport, on: address) { load in
                for ttl in UInt32(2)...101 {
                    try server.reload(testService(configuration(ttl: ttl)))
                    load.expect(ttl: ttl)
                    load.waitForAnswers(5)
                }
                load.waitForAnswers(100)
            }
        }
        #expect(account.answered == account.sent)
        #expect(account.answered > 600)
        #expect(account.stale == 0)
        #expect(account.last == 101)
    }

    @Test("a reload opens and closes listeners, and loses no query on the one that stays")
    func reloadListeners() throws {
        let events = SharedEvents()
        let other = Configuration.Listener(address: Endpoint(.v4(0x7F00_0002), 0))
        let third = Configuration.Listener(address: Endpoint(.v4(0x7F00_0003), 0), label: "third")
        let before = try configuration(listeners: [Self.anyPort, other])
        let sockets = try ServerSockets.open(before)
        let stays = try address(sockets)
        let goes = try #require(sockets.places.first { $0.address.address == other.address.address }).address
        try Server.run(try testService(before), on: sockets, tell: events.append) { server in
            #expect(try ask(goes) == 300)
            let account = try Load.run(.udp, on: stays) { load in
                for round in 0..<20 {
                    let listeners = round % 2 == 0 ? [third, Self.anyPort] : [Self.anyPort, other]
                    try server.reload(testService(configuration(listeners: listeners)))
                    load.waitForAnswers(10)
                }
                try server.reload(testService(configuration(listeners: [third, Self.anyPort])))
            }
            #expect(account.answered == account.sent)
            let comes = try #require(server.places.first { $0.label == "third" }).address
            #expect(try ask(comes) == 300)
            #expect(try isClosed(goes))
            #expect(events.all.contains(.closed(.tcp, goes)))
            #expect(events.all.contains(.listening(.udp, comes, label: "third", given: false)))
        }
    }

    @Test("a label that changes leaves the socket as it is")
    func relabel() throws {
        let before = try configuration()
        let sockets = try ServerSockets.open(before)
        let address = try self.address(sockets)
        try Server.run(try testService(before), on: sockets) { server in
            var listener = Self.anyPort
            listener.label = "ams"
            var after = try configuration(listeners: [listener])
            after.policies[0].match.labels = ["ams"]
            after.policies[0].ttl = 77
            let account = try Load.run(.udp, on: address) { load in
                try server.reload(testService(after))
                load.expect(ttl: 300)
                load.waitForAnswers(100)
            }
            #expect(account.answered == account.sent)
            #expect(account.last == 77)
            #expect(server.places.map(\.address) == [address, address])
            #expect(server.places.map(\.label) == ["ams", "ams"])
        }
    }

    @Test("a reload that cannot open a listener is refused and told, and all stays as it was")
    func reloadRefused() throws {
        let events = SharedEvents()
        let holder = try ClientSocket(.udp, .ipv4, from: Endpoint(.v4(0x7F00_0001), 0))
        let held = try #require(holder.address)
        let before = try configuration(ttl: 5)
        let sockets = try ServerSockets.open(before)
        let address = try self.address(sockets)
        try Server.run(try testService(before), on: sockets, tell: events.append) { server in
            let after = try configuration(ttl: 6, listeners: [Self.anyPort, .init(address: held)])
            let error = #expect(throws: ServerError.self) { try server.reload(testService(after)) }
            #expect(error == .call("bind", errno: EADDRINUSE, doing: "opening udp \(held)"))
            #expect(try ask(address) == 5)
            #expect(server.service.configuration == before)
            #expect(events.all.contains(.reloadRefused(because: error?.description ?? "")))
            #expect(!events.all.contains(.reloaded))
        }
    }

    @Test("what a running server cannot change is refused by name")
    func needsRestart() throws {
        let before = try configuration()
        try Server.run(try testService(before), on: ServerSockets.open(before)) { server in
            #expect(throws: ServerError.needsRestart(setting: "workers", from: "2", to: "3")) {
                try server.reload(testService(configuration(workers: 3)))
            }
            var other = before
            other.user = "nobody"
            #expect(throws: ServerError.needsRestart(setting: "user", from: "none", to: "nobody")) {
                try server.reload(testService(other))
            }
        }
    }

    // MARK: the end

    @Test("a server that stops has closed its sockets, and told of the end of each worker")
    func stop() throws {
        let events = SharedEvents()
        let address = try serveAndDrain(events)
        #expect(try isClosed(address))
        let told = events.all
        #expect(told.contains(.draining(worker: 0)) && told.contains(.draining(worker: 1)))
        #expect(told.contains(.workerEnded(0, because: nil)) && told.contains(.workerEnded(1, because: nil)))
        #expect(told.filter { $0 == .closed(.udp, address) }.count == 2)
    }

    /// Returns the address that was served; nothing of the server is left then.
    private func serveAndDrain(_ events: SharedEvents) throws -> Endpoint {
        let before = try configuration()
        let sockets = try ServerSockets.open(before)
        let address = try self.address(sockets, .tcp)
        try Server.run(try testService(before), on: sockets, tell: events.append) { server in
            let answer = try ask(address)
            #expect(answer == 300)
            server.drain(within: 1000)
            #expect(throws: ServerError.ended) { try server.reload(testService(before)) }
        }
        return address
    }

    @Test("a server without a socket is refused")
    func nothing() throws {
        #expect(throws: ServerError.nothingToServe) { _ = try ServerSockets.open(configuration(listeners: [])) }
    }

    // MARK: given sockets and hand-over

    /// A UDP socket and a listener at one address, as somebody else would open them.
    private func given() throws -> [ServerSocket] {
        try ServerSocket.open(Self.anyPort, workers: 1)[0].map {
            try ServerSocket(sharing: $0.descriptor, label: "given")
        }
    }

    @Test("sockets that are given are served by all workers", arguments: [TransportProtocol.udp, .tcp])
    func givenSockets(_ transport: TransportProtocol) throws {
        let before = try configuration(listeners: [])
        let sockets = try ServerSockets.open(before, given: given())
        let address = try self.address(sockets, transport)
        let account = try Server.run(try testService(before), on: sockets) { server in
            try Load.run(transport, on: address) { $0.waitForAnswers(2000) }
        }
        #expect(account.answered == account.sent)
        #expect(account.last == 300)
    }

    /// Has ten servers, one after the other, serve an address under load; each starts before the one before it drains.
    private func takeTurns(
        _ transport: TransportProtocol, _ turn: Int = 1, after previous: Server? = nil, _ load: Load? = nil,
        listener: Configuration.Listener? = nil, given: [ServerSocket] = []
    ) throws -> Load.Account {
        let next = try configuration(ttl: UInt32(turn), listeners: listener.map { [$0] } ?? [])
        // Each server has descriptors of its own for the sockets, as another process would.
        let given = try given.map { try ServerSocket(sharing: $0.descriptor, label: "given") }
        let sockets = try ServerSockets.open(next, given: given)
        let address = try self.address(sockets, transport)
        return try Server.run(try testService(next), on: sockets) { server in
            let load = load ?? Load.start(transport, on: address)
            previous?.drain(within: 5000)
            // Nobody else is left.
            load.expect(ttl: UInt32(turn))
            load.waitForAnswers(50)
            guard turn < 10 else { return load.finish() }
            return try takeTurns(
                transport, turn + 1, after: server, load, listener: listener.map { _ in .init(address: address) },
                given: given)
        }
    }

    @Test("no query is lost when another server takes over the same sockets", arguments: [TransportProtocol.udp, .tcp])
    func handOver(_ transport: TransportProtocol) throws {
        let account = try takeTurns(transport, given: try given())
        #expect(account.answered == account.sent)
        #expect(account.stale == 0)
        #expect(account.last == 10)
    }

    @Test("no datagram is lost when another server takes over by SO_REUSEPORT")
    func handOverByReuseport() throws {
        let account = try takeTurns(.udp, listener: Self.anyPort)
        #expect(account.answered == account.sent)
        #expect(account.stale == 0)
        #expect(account.last == 10)
    }

    // MARK: metrics

    @Test("metrics are served over HTTP, and move with a reload")
    func metrics() throws {
        var before = try configuration()
        before.metrics = Endpoint(.v4(0x7F00_0001), 0)
        let sockets = try ServerSockets.open(before)
        let address = try self.address(sockets)
        try Server.run(try testService(before), on: sockets) { server in
            for _ in 0..<7 { #expect(try ask(address) == 300) }
            func fetch(_ address: Endpoint?) throws -> String {
                let client = try ClientSocket(.tcp, .ipv4)
                try client.connect(to: try #require(address))
                _ = client.write(Array("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
                var received: [UInt8] = []
                while client.wait(for: POLLIN, milliseconds: 10_000), case .bytes(let bytes) = client.read() {
                    received += bytes
                }
                return String(decoding: received, as: UTF8.self)
            }
            let first = try #require(server.metricsAddress)
            let page = try fetch(first)
            #expect(page.contains("\npolicydns_queries_total{transport=\"udp\",type=\"A\"} 7\n"))
            #expect(page.contains("\npolicydns_policy_answers_total{policy=\"any\"} 7\n"))
            var after = before
            after.metrics = Endpoint(.v4(0x7F00_0002), 0)
            try server.reload(testService(after))
            #expect(try fetch(server.metricsAddress).contains("{policy=\"any\"} 7\n"))
        }
    }
}

final class SharedEvents: Sendable {
    private let events = Mutex<[ServerEvent]>([])

    var all: [ServerEvent] { events.withLock { $0 } }

    @Sendable func append(_ event: ServerEvent) { events.withLock { $0.append(event) } }
}
