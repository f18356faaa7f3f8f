import Addressing
import Glibc
import Testing

@testable import PolicyDNS

@Suite("A worker's connections")
struct WorkerConnectionTests {
    /// A connected client, and what came back so far.
    private final class Stream {
        let socket: ClientSocket
        private(set) var received: [UInt8] = []
        private(set) var closed: ClientSocket.Read?

        init(_ harness: WorkerHarness, from source: Endpoint? = nil, buffers: Int32? = nil) throws {
            socket = try ClientSocket(.tcp, harness.tcp.address.family, from: source)
            if let buffers {
                socket.set(SOL_SOCKET, SO_RCVBUF, buffers)
                socket.set(SOL_SOCKET, SO_SNDBUF, buffers)
            }
            try socket.connect(to: harness.tcp)
        }

        func write(_ bytes: [UInt8]) throws {
            #expect(socket.write(bytes) == bytes.count)
        }

        /// Reads what is there.
        func read() {
            while closed == nil {
                switch socket.read() {
                case .bytes(let bytes): received += bytes
                case .nothing: return
                case let end: closed = end
                }
            }
        }

        var ids: [UInt16?] {
            read()
            return unframed(received).messages.map(answeredID)
        }

        var isClosed: Bool {
            read()
            return closed != nil
        }
    }

    @Test("a query over TCP is answered", arguments: [AddressFamily.ipv4, .ipv6])
    func answers(_ family: AddressFamily) throws {
        let harness = try WorkerHarness(Endpoint(.loopback(family), 0))
        let stream = try Stream(harness)
        try stream.write(framed(testQuery(0xCAFE)))
        #expect(try harness.turn { stream.ids == [0xCAFE] })
        #expect(!stream.isClosed)
        #expect(harness.worker.counters.value(.tcpAccepted) == 1)
        #expect(harness.worker.counters.value(.queries(tcp: true, QueryTypeName(1))) == 1)
    }

    @Test("queries in one segment are answered in order")
    func pipelined() throws {
        let harness = try WorkerHarness()
        let stream = try Stream(harness)
        try stream.write((0..<1000).flatMap { framed(testQuery($0)) })
        #expect(try harness.turn { stream.ids == (0..<1000).map(UInt16?.init) })
    }

    @Test("a query that comes byte by byte is answered, and the next one that began in its last segment")
    func byteByByte() throws {
        let harness = try WorkerHarness()
        let stream = try Stream(harness)
        stream.socket.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        let first = framed(testQuery(1))
        let second = framed(testQuery(2))
        for byte in first.dropLast() {
            try stream.write([byte])
            try harness.settle()
        }
        #expect(stream.ids == [])
        try stream.write([first[first.count - 1]] + second.prefix(5))
        #expect(try harness.turn { stream.ids == [1] })
        try stream.write(Array(second.dropFirst(5)))
        #expect(try harness.turn { stream.ids == [1, 2] })
    }

    @Test("a client that ends its side after its queries gets all answers, and then the end")
    func halfClose() throws {
        let harness = try WorkerHarness()
        let stream = try Stream(harness)
        try stream.write((0..<100).flatMap { framed(testQuery($0)) } + [0, 30, 1])
        stream.socket.finishWriting()
        #expect(try harness.turn { stream.isClosed })
        #expect(stream.closed == .end)
        #expect(stream.ids == (0..<100).map(UInt16?.init))
        #expect(harness.worker.connections.count == 0)
    }

    @Test(
        "a length shorter than a header closes the connection after the answers to what came before", arguments: 0..<12)
    func malformed(_ length: UInt8) throws {
        let harness = try WorkerHarness()
        let stream = try Stream(harness)
        try stream.write(framed(testQuery(9)) + [0, length])
        #expect(try harness.turn { stream.isClosed })
        #expect(stream.ids == [9])
        #expect(harness.worker.counters.value(.tcpMalformed) == 1)
    }

    @Test("a response gets silence, and the queries after it are answered")
    func silence() throws {
        let harness = try WorkerHarness()
        let stream = try Stream(harness)
        var response = testQuery(1)
        response[2] |= 0x80
        try stream.write(framed(response) + framed(testQuery(2)))
        #expect(try harness.turn { stream.ids == [2] })
    }

    @Test("a client that does not read is not read from, and gets every answer once it reads")
    func backpressure() throws {
        let harness = try WorkerHarness()
        let stream = try Stream(harness, buffers: 4096)
        let count = 65_536 * 4
        let queries = (0..<count).flatMap { framed(testQuery(UInt16(truncatingIfNeeded: $0))) }
        var written = 0
        // Until neither side moves.
        var stuck = 0
        while stuck < 3, written < queries.count {
            let taken = try #require(stream.socket.write(queries[written...].prefix(1 << 20)))
            written += taken
            let moved = try harness.worker.turn(waiting: 20)
            stuck = taken == 0 && !moved ? stuck + 1 : 0
        }
        #expect(written < queries.count)
        let longestIdle = harness.worker.connections.longestIdle
        let connection = try #require(longestIdle)
        #expect(!connection.unsent.isEmpty)
        // One answer, and a part of one query, more than is written and read at a time.
        #expect(connection.unsent.count < StreamBuffers.written + 512)
        #expect(connection.unread.count < StreamBuffers.read + 512)
        // All answers are of one size.
        #expect(
            try harness.turn {
                if written < queries.count { written += stream.socket.write(queries[written...].prefix(65_536)) ?? 0 }
                stream.read()
                guard let first = unframed(Array(stream.received.prefix(512))).messages.first else { return false }
                return stream.received.count == count * (2 + first.count)
            })
        #expect(stream.ids == (0..<count).map { UInt16(truncatingIfNeeded: $0) })
    }

    // MARK: bounds

    @Test("a connection without a query is closed when the idle time-out is over, not a millisecond before")
    func idle() throws {
        let harness = try WorkerHarness { $0.limits.tcpIdleTimeout = 5000 }
        let stream = try Stream(harness)
        #expect(try harness.turn { harness.worker.connections.count == 1 })
        harness.clock.advance(milliseconds: 4999)
        try stream.write(framed(testQuery(1)))
        #expect(try harness.turn { stream.ids == [1] })
        harness.clock.advance(milliseconds: 4999)
        // Half a query is not a query.
        try stream.write([0])
        try harness.settle()
        #expect(!stream.isClosed)
        harness.clock.advance(milliseconds: 1)
        _ = try harness.worker.turn(waiting: 0)
        #expect(stream.isClosed)
        #expect(harness.worker.counters.value(.tcpIdle) == 1)
    }

    @Test("a connection is closed when its lifetime is over, however busy")
    func lifetime() throws {
        let harness = try WorkerHarness {
            $0.limits.tcpIdleTimeout = 5000
            $0.limits.tcpLifetime = 12_000
        }
        let stream = try Stream(harness)
        #expect(try harness.turn { harness.worker.connections.count == 1 })
        for id in UInt16(1)...3 {
            harness.clock.advance(milliseconds: 3999)
            try stream.write(framed(testQuery(id)))
            #expect(try harness.turn { stream.ids.count == Int(id) })
        }
        harness.clock.advance(milliseconds: 3)
        _ = try harness.worker.turn(waiting: 0)
        #expect(stream.isClosed)
        #expect(harness.worker.counters.value(.tcpLifetime) == 1)
        #expect(harness.worker.counters.value(.tcpIdle) == 0)
    }

    @Test("a connection over the limit ends the one that was longest without a query")
    func limitInAll() throws {
        let harness = try WorkerHarness { $0.limits.tcpConnections = 3 }
        var streams: [Stream] = []
        for id in UInt16(0)..<3 {
            streams.append(try Stream(harness))
            try streams[Int(id)].write(framed(testQuery(id)))
            #expect(try harness.turn { streams[Int(id)].ids == [id] })
        }
        try streams[0].write(framed(testQuery(10)))
        #expect(try harness.turn { streams[0].ids == [0, 10] })
        streams.append(try Stream(harness))
        #expect(try harness.turn { streams[1].isClosed })
        #expect(streams.map(\.isClosed) == [false, true, false, false])
        #expect(harness.worker.connections.count == 3)
        #expect(harness.worker.counters.value(.tcpLimitedInAll) == 1)
    }

    @Test("a client over its limit is refused, and another client is not")
    func limitPerClient() throws {
        let harness = try WorkerHarness { $0.limits.tcpConnectionsPerClient = 2 }
        let own = try (0..<3).map { _ in try Stream(harness, from: Endpoint(.v4(0x7F00_0002), 0)) }
        let other = try Stream(harness, from: Endpoint(.v4(0x7F00_0003), 0))
        try other.write(framed(testQuery(1)))
        #expect(try harness.turn { other.ids == [1] && own[2].isClosed })
        #expect(own.map(\.isClosed) == [false, false, true])
        #expect(harness.worker.counters.value(.tcpLimitedPerClient) == 1)
        // One that ends makes room.
        own[0].socket.finishWriting()
        #expect(try harness.turn { own[0].isClosed })
        let next = try Stream(harness, from: Endpoint(.v4(0x7F00_0002), 0))
        try next.write(framed(testQuery(2)))
        #expect(try harness.turn { next.ids == [2] })
    }

    @Test("addresses of one IPv6 /64 are one client, and each IPv4 address is one")
    func clients() {
        typealias Client = ConnectionTable.Client
        let site: UInt128 = 0x2001_0DB8_0000_0001 << 64
        #expect(Client(.v6(site | 1)) == Client(.v6(site | 0xFFFF_FFFF_FFFF_FFFF)))
        #expect(Client(.v6(site)) != Client(.v6(site + (1 << 64))))
        #expect(Client(.v4(1)) != Client(.v4(2)))
    }

    // MARK: refusals

    @Test(
        "without descriptors accepting pauses, is told once, and goes on after a second", arguments: [EMFILE, ENFILE])
    func noDescriptors(_ number: Int32) throws {
        let harness = try WorkerHarness()
        let accept = harness.worker.acceptConnection
        var attempts = 0
        harness.worker.acceptConnection = { _, _ in
            attempts += 1
            return -number
        }
        let stream = try Stream(harness)
        try stream.write(framed(testQuery(1)))
        #expect(try harness.turn { attempts == 1 })
        // The connection still waits, and nothing is ready.
        for _ in 0..<10 { #expect(try !harness.worker.turn(waiting: 0)) }
        #expect(attempts == 1)
        #expect(harness.events.events.filter { $0 == .acceptFailed(harness.tcp, errno: number) }.count == 1)
        // Datagrams are answered meanwhile.
        let client = try ClientSocket(.udp, .ipv4)
        try client.send(testQuery(2), to: harness.udp)
        #expect(try harness.turn { client.receiveDatagram() != nil })
        harness.worker.acceptConnection = accept
        harness.clock.advance(milliseconds: 1000)
        #expect(try harness.turn { stream.ids == [1] })
    }

    @Test("a listener that a reload adds while accepting pauses waits with the others, and is served after it")
    func addedWhilePaused() throws {
        let harness = try WorkerHarness()
        let accept = harness.worker.acceptConnection
        harness.worker.acceptConnection = { _, _ in -EMFILE }
        let first = try Stream(harness)
        try first.write(framed(testQuery(1)))
        #expect(try harness.turn { harness.worker.counters.value(.acceptErrors) == 1 })
        let listener = Configuration.Listener(address: Endpoint(.v4(0x7F00_0001), 0))
        let added = try ServerSocket.open(listener, workers: 1)[0]
        try harness.worker.adopt(harness.worker.service, sockets: harness.sockets + added)
        let second = try ClientSocket(.tcp, .ipv4)
        try second.connect(to: try #require(added.first { $0.transport == .tcp }).address)
        _ = try harness.worker.turn(waiting: 0)
        for _ in 0..<10 { #expect(try !harness.worker.turn(waiting: 0)) }
        harness.worker.acceptConnection = accept
        harness.clock.advance(milliseconds: 1000)
        #expect(try harness.turn { first.ids == [1] && harness.worker.connections.count == 2 })
    }

    @Test("connections that come without end do not keep a worker from datagrams")
    func acceptFlood() throws {
        let harness = try WorkerHarness { $0.limits.tcpConnectionsPerClient = 1 }
        var accepted = 0
        harness.worker.acceptConnection = { _, peer in
            // An end to the flood, or a worker that waits for it would hang the test.
            guard accepted < 10_000 else { return -EAGAIN }
            accepted += 1
            peer?.pointee.ss_family = sa_family_t(AF_INET)
            return dup(harness.sockets[0].descriptor)
        }
        let stream = try Stream(harness)
        #expect(try harness.turn { accepted > 0 })
        #expect(accepted < 1000)
        _ = stream
    }

    @Test("a datagram does not wait until every connection that has queries had its turn")
    func datagramAmongConnections() throws {
        let harness = try WorkerHarness { $0.limits.tcpConnectionsPerClient = 100 }
        let streams = try (0..<100).map { _ in try Stream(harness) }
        #expect(try harness.turn { harness.worker.connections.count == 100 })
        // More than is read at once: each connection stays ready.
        let queries = Array(repeating: framed(testQuery(1)), count: 500).flatMap(\.self)
        for stream in streams { try stream.write(queries) }
        let client = try ClientSocket(.udp, .ipv4)
        try client.send(testQuery(2), to: harness.udp)
        _ = try harness.worker.turn(waiting: 0)
        #expect(answeredID(try #require(client.receiveDatagram()).bytes) == 2)
        // And a turn is short: one read of a few connections.
        let answered = harness.worker.counters.value(.queries(tcp: true, QueryTypeName(RecordType.a)))
        #expect((1...10_000).contains(answered))
        #expect(try harness.turn { streams[99].ids.count == 500 })
    }

    @Test("the longest times that can be stated are only long", arguments: [Int.max, Int.max / 1_000_000])
    func longestTimes(_ milliseconds: Int) throws {
        let harness = try WorkerHarness {
            $0.limits.tcpIdleTimeout = milliseconds
            $0.limits.tcpLifetime = milliseconds
        }
        let stream = try Stream(harness)
        try stream.write(framed(testQuery(1)))
        #expect(try harness.turn { stream.ids == [1] })
        harness.clock.advance(milliseconds: 1_000_000)
        try harness.settle()
        #expect(!stream.isClosed)
        try harness.worker.drain(within: milliseconds)
        harness.clock.advance(milliseconds: 100)
        _ = try harness.worker.turn(waiting: 0)
        #expect(harness.worker.isDrained)
    }

    @Test("a connection that ends lets accepting go on at once")
    func descriptorFreed() throws {
        let harness = try WorkerHarness()
        let first = try Stream(harness)
        #expect(try harness.turn { harness.worker.connections.count == 1 })
        let accept = harness.worker.acceptConnection
        harness.worker.acceptConnection = { _, _ in -EMFILE }
        let second = try Stream(harness)
        try second.write(framed(testQuery(2)))
        #expect(try harness.turn { harness.worker.counters.value(.acceptErrors) == 1 })
        harness.worker.acceptConnection = accept
        first.socket.finishWriting()
        #expect(try harness.turn { second.ids == [2] })
    }

    @Test("a client that resets its connection costs nothing but the connection")
    func reset() throws {
        let harness = try WorkerHarness()
        do {
            let stream = try Stream(harness)
            try stream.write(framed(testQuery(1)))
            var value = linger(l_onoff: 1, l_linger: 0)
            setsockopt(stream.socket.descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
            #expect(try harness.turn { stream.ids == [1] })
        }
        #expect(try harness.turn { harness.worker.connections.count == 0 })
        let next = try Stream(harness)
        try next.write(framed(testQuery(2)))
        #expect(try harness.turn { next.ids == [2] })
    }

    // MARK: draining

    @Test("a drain answers what came, closes quiet connections, and lets half a query end until the deadline")
    func drain() throws {
        let harness = try WorkerHarness()
        let quiet = try Stream(harness)
        let half = try Stream(harness)
        try quiet.write(framed(testQuery(1)))
        let query = framed(testQuery(2))
        try half.write(Array(query.prefix(9)))
        #expect(try harness.turn { quiet.ids == [1] && harness.worker.connections.count == 2 })
        // Both wait in the queue: a datagram and a connection with a query.
        let client = try ClientSocket(.udp, .ipv4)
        try client.send(testQuery(3), to: harness.udp)
        let late = try Stream(harness)
        try late.write(framed(testQuery(4)))
        try harness.worker.drain(within: 3000)
        #expect(answeredID(try #require(client.receiveDatagram()).bytes) == 3)
        #expect(late.ids == [4])
        #expect(!quiet.isClosed)
        harness.clock.advance(milliseconds: 100)
        try harness.settle()
        _ = try harness.worker.turn(waiting: 0)
        #expect(quiet.isClosed && late.isClosed && !half.isClosed)
        #expect(!harness.worker.isDrained)
        try half.write(Array(query.dropFirst(9)))
        #expect(try harness.turn { half.ids == [2] })
        harness.clock.advance(milliseconds: 100)
        _ = try harness.worker.turn(waiting: 0)
        #expect(half.isClosed)
        #expect(harness.worker.isDrained)
    }

    @Test("a drain ends connections that stay busy when its deadline is over")
    func drainDeadline() throws {
        let harness = try WorkerHarness()
        let half = try Stream(harness)
        try half.write([0, 40, 1])
        #expect(try harness.turn { harness.worker.connections.count == 1 })
        try harness.worker.drain(within: 3000)
        harness.clock.advance(milliseconds: 2999)
        _ = try harness.worker.turn(waiting: 0)
        #expect(!half.isClosed)
        harness.clock.advance(milliseconds: 1)
        _ = try harness.worker.turn(waiting: 0)
        #expect(half.isClosed)
        #expect(harness.worker.isDrained)
    }
}
