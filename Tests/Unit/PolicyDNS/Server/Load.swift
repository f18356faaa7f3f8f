import Addressing
import Foundation
import Synchronization

@testable import PolicyDNS

/// Asks a server all the time, with so few queries under way that no queue overflows, and accounts for each.
///
/// The sources differ, so that the kernel spreads them over the sockets of a reuseport group.
final class Load: Sendable {
    struct Account: Equatable {
        var sent = 0
        var answered = 0
        /// Answers that are older than a configuration whose reload was over when the query was sent.
        var stale = 0
        /// The TTL in the last answer.
        var last: UInt32?
    }

    private struct State {
        var isStopping = false
        /// The TTL that every query sent from now on must be answered with, or a higher one.
        var floor: UInt32 = 0
        var answered = 0
    }

    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)
    private let account = Mutex(Account())

    private init() {}

    /// Runs `body` while the load runs.
    static func run(
        _ transport: TransportProtocol, on destination: Endpoint, _ body: (Load) throws -> Void
    ) throws -> Account {
        let load = start(transport, on: destination)
        defer { _ = load.finish() }
        try body(load)
        return load.finish()
    }

    /// Returns once the load runs.
    static func start(_ transport: TransportProtocol, on destination: Endpoint) -> Load {
        let load = Load()
        let thread = Thread {
            let account: Account =
                (transport == .udp
                    ? try? load.sendDatagrams(to: destination) : try? load.openConnections(to: destination))
                ?? Account(sent: -1)
            load.account.withLock { $0 = account }
            load.ended.signal()
        }
        thread.start()
        load.waitForAnswers(10)
        return load
    }

    /// Returns the account once every query is answered, or ten seconds after the last answer.
    func finish() -> Account {
        state.withLock { $0.isStopping = true }
        ended.wait()
        ended.signal()
        return account.withLock { $0 }
    }

    /// Requires TTLs of at least this of every query from now on.
    func expect(ttl: UInt32) { state.withLock { $0.floor = ttl } }

    /// Waits for so many further answers, at most ten seconds.
    func waitForAnswers(_ count: Int) {
        let goal = state.withLock { $0.answered } + count
        let deadline = ContinuousClock.now + .seconds(10)
        while state.withLock({ $0.answered }) < goal, ContinuousClock.now < deadline { sched_yield() }
    }

    private func note(_ message: [UInt8], floor: UInt32, in account: inout Account) {
        let ttl = ttlOfAnswer(message)
        account.answered += 1
        account.last = ttl
        if (ttl ?? 0) < floor { account.stale += 1 }
        state.withLock { $0.answered += 1 }
    }

    private func sendDatagrams(to destination: Endpoint) throws -> Account {
        final class Client {
            let socket: ClientSocket
            var floors: [UInt16: UInt32] = [:]
            var id: UInt16 = 0
            init(_ socket: ClientSocket) { self.socket = socket }
        }
        let clients = try (0..<16).map { _ in Client(try ClientSocket(.udp, destination.address.family)) }
        var account = Account()
        var lastAnswer = ContinuousClock.now
        while true {
            let (isStopping, floor) = state.withLock { ($0.isStopping, $0.floor) }
            var isQuiet = true
            for client in clients {
                while !isStopping, client.floors.count < 4 {
                    client.id &+= 1
                    client.floors[client.id] = floor
                    try client.socket.send(testQuery(client.id), to: destination)
                    account.sent += 1
                }
                while let (bytes, _) = client.socket.receiveDatagram() {
                    if let id = answeredID(bytes), let floor = client.floors.removeValue(forKey: id) {
                        note(bytes, floor: floor, in: &account)
                        lastAnswer = .now
                        isQuiet = false
                    }
                }
            }
            if isStopping, clients.allSatisfy(\.floors.isEmpty) { return account }
            if ContinuousClock.now - lastAnswer > .seconds(10) { return account }
            if isQuiet { _ = clients[0].socket.wait(for: POLLIN, milliseconds: 1) }
        }
    }

    /// One connection and one query after the other.
    private func openConnections(to destination: Endpoint) throws -> Account {
        var account = Account()
        var id: UInt16 = 0
        while true {
            let (isStopping, floor) = state.withLock { ($0.isStopping, $0.floor) }
            if isStopping { return account }
            let client = try ClientSocket(.tcp, destination.address.family)
            account.sent += 1
            try client.connect(to: destination)
            id &+= 1
            guard client.write(framed(testQuery(id))) != nil else { continue }
            var received: [UInt8] = []
            while client.wait(for: POLLIN, milliseconds: 10_000) {
                guard case .bytes(let bytes) = client.read() else { break }
                received += bytes
                if let message = unframed(received).messages.first {
                    if answeredID(message) == id { note(message, floor: floor, in: &account) }
                    break
                }
            }
        }
    }
}

/// The TTL of the first record of an answer to ``testQuery(_:)``.
func ttlOfAnswer(_ message: [UInt8]) -> UInt32? {
    // After the question: a pointer to the name, type and class.
    let start = testQuery(0).count + 6
    guard message.count >= start + 4 else { return nil }
    return message[start..<(start + 4)].reduce(0) { $0 << 8 | UInt32($1) }
}
