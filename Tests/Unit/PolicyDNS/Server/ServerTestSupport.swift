import Addressing
import Glibc
import Testing

@testable import PolicyDNS

/// A configuration that answers any A and AAAA query, with a TTL by which answers of two of them are told apart.
func testConfiguration(ttl: UInt32 = 300, listeners: [Configuration.Listener] = []) throws -> Configuration {
    let prefix = try Prefix(text: "192.0.2.0/24")
    var policy = Configuration.Policy(name: "any", pool: "pool")
    policy.ttl = ttl
    var configuration = Configuration(
        zones: [
            .init(
                name: try testName("."),
                nameservers: [.init(name: try testName("ns.example."), addresses: [.v4(0xC000_0235)])])
        ],
        pools: [.init(name: "pool", addresses: AddressPool(prefix))],
        policies: [policy])
    configuration.listeners = listeners
    return configuration
}

func testService(_ configuration: Configuration) throws -> Service { try Service(configuration) }

func testName(_ text: String) throws -> DomainName {
    var wire: [UInt8] = []
    for label in text.split(separator: ".") { wire += [UInt8(label.utf8.count)] + Array(label.utf8) }
    return DomainName(lowerCasedWire: wire + [0])
}

/// The query for the A record of `www.example.com`.
func testQuery(_ id: UInt16) -> [UInt8] {
    let name: [UInt8] = [3] + Array("www".utf8) + [7] + Array("example".utf8) + [3] + Array("com".utf8) + [0]
    return [UInt8(id >> 8), UInt8(id & 0xFF), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0] + name + [0, 1, 0, 1]
}

/// A message with its length before it, as TCP carries it.
func framed(_ message: [UInt8]) -> [UInt8] { [UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message }

/// The messages of a stream, and the bytes that follow the last whole one.
func unframed(_ stream: [UInt8]) -> (messages: [[UInt8]], rest: [UInt8]) {
    var messages: [[UInt8]] = []
    var start = 0
    while stream.count - start >= 2 {
        let end = start + 2 + (Int(stream[start]) << 8 | Int(stream[start + 1]))
        guard end <= stream.count else { break }
        messages.append(Array(stream[(start + 2)..<end]))
        start = end
    }
    return (messages, Array(stream[start...]))
}

/// The ID of an answer to ``testQuery(_:)``; nil for what is none.
func answeredID(_ message: [UInt8]) -> UInt16? {
    let question = testQuery(0)[12...]
    guard message.count >= 12 + question.count, message[2] & 0x80 != 0,
        Array(message[12...].prefix(question.count)) == Array(question)
    else { return nil }
    return UInt16(message[0]) << 8 | UInt16(message[1])
}

struct CallFailed: Error {
    let call: String
    let number: Int32
}

/// A client's socket, non-blocking, closed with its owner.
final class ClientSocket {
    let descriptor: Int32

    init(_ transport: TransportProtocol, _ family: AddressFamily, from source: Endpoint? = nil) throws {
        let type = transport == .udp ? SOCK_DGRAM : SOCK_STREAM
        descriptor = socket(
            family == .ipv6 ? AF_INET6 : AF_INET, Int32(type.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue),
            0)
        guard descriptor >= 0 else { throw CallFailed(call: "socket", number: errno) }
        if let source {
            guard source.withSocketAddress({ bind(descriptor, $0, $1) }) == 0 else {
                throw CallFailed(call: "bind", number: errno)
            }
        }
    }

    deinit { close(descriptor) }

    func set(_ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    var address: Endpoint? { Endpoint(of: descriptor, getsockname) }

    func send(_ bytes: [UInt8], to destination: Endpoint) throws {
        let sent = destination.withSocketAddress { sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, $1) }
        guard sent == bytes.count else { throw CallFailed(call: "sendto", number: errno) }
    }

    /// A datagram that is there; nil for none.
    func receiveDatagram() -> (bytes: [UInt8], source: Endpoint)? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT), $0, &size)
            }
        }
        guard count >= 0, let source = Endpoint(storage) else { return nil }
        return (Array(buffer[..<count]), source)
    }

    func connect(to destination: Endpoint) throws {
        let result = destination.withSocketAddress { Glibc.connect(descriptor, $0, $1) }
        let number = errno
        guard result == 0 || number == EINPROGRESS else { throw CallFailed(call: "connect", number: number) }
        // A handshake over loopback is over when connect returns, or soon after.
        guard wait(for: POLLOUT, milliseconds: 10_000) else { throw CallFailed(call: "connect", number: ETIMEDOUT) }
        var pending: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &pending, &size)
        guard pending == 0 else { throw CallFailed(call: "connect", number: pending) }
    }

    /// Writes what the kernel takes; the number of bytes, or nil if the connection is gone.
    func write(_ bytes: some Collection<UInt8>) -> Int? {
        let bytes = Array(bytes)
        let sent = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        if sent >= 0 { return sent }
        return errno == EAGAIN ? 0 : nil
    }

    enum Read: Equatable {
        case bytes([UInt8])
        case nothing
        case end
        case reset
    }

    func read() -> Read {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count > 0 { return .bytes(Array(buffer[..<count])) }
        if count == 0 { return .end }
        return errno == EAGAIN ? .nothing : .reset
    }

    func finishWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    func wait(for events: Int32, milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return poll(&entry, 1, milliseconds) == 1
    }
}

/// A clock that stands still until it is told to go on.
final class TestClock: @unchecked Sendable {
    // Used by one thread, that of the test, which also turns the worker.
    private var nanoseconds: UInt64 = 1_000_000_000

    var clock: ServerClock { ServerClock(monotonic: { self.nanoseconds }, unix: { 1_700_000_000 }) }

    func advance(milliseconds: UInt64) { nanoseconds += milliseconds * 1_000_000 }
}

/// A worker and its sockets, turned by the test.
struct WorkerHarness {
    let worker: Worker
    let clock = TestClock()
    let sockets: [ServerSocket]
    /// What the worker told.
    let events = EventLog()

    var udp: Endpoint { address(.udp) }
    var tcp: Endpoint { address(.tcp) }

    init(
        _ address: Endpoint = Endpoint(.v4(0x7F00_0001), 0), _ change: (inout Configuration) -> Void = { _ in }
    ) throws {
        let listener = Configuration.Listener(address: address)
        var configuration = try testConfiguration(listeners: [listener])
        change(&configuration)
        sockets = try ServerSocket.open(listener, workers: 1)[0]
        let log = events
        worker = try Worker(try testService(configuration), sockets: sockets, clock: clock.clock) { log.append($0) }
    }

    init(sockets: [ServerSocket], _ change: (inout Configuration) -> Void = { _ in }) throws {
        var configuration = try testConfiguration()
        change(&configuration)
        self.sockets = sockets
        let log = events
        worker = try Worker(try testService(configuration), sockets: sockets, clock: clock.clock) { log.append($0) }
    }

    private func address(_ transport: TransportProtocol) -> Endpoint {
        sockets.first { $0.transport == transport }?.address ?? Endpoint(.v4(0), 0)
    }

    /// Turns the worker until `condition` holds; false if it does not within ten seconds.
    func turn(until condition: () -> Bool) throws -> Bool {
        // The clock of the worker stands still meanwhile.
        let deadline = ContinuousClock.now + .seconds(10)
        while !condition() {
            guard ContinuousClock.now < deadline else { return false }
            _ = try worker.turn(waiting: 10)
        }
        return true
    }

    /// Turns the worker while there is something to do.
    func settle() throws { while try worker.turn(waiting: 0) {} }
}

final class EventLog: @unchecked Sendable {
    // Used by one thread, that of the test, which also turns the worker.
    private(set) var events: [ServerEvent] = []

    func append(_ event: ServerEvent) { events.append(event) }
}
