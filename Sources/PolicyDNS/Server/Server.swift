import Addressing
import Synchronization

/// A running server: workers on threads of their own, each answering on its own sockets and on those that were given.
///
/// Handing over to another server without losing a query: give it the very same sockets (their descriptors, by
/// inheritance or SCM_RIGHTS), let it start, and ``drain(within:)`` this one. A datagram then waits in one queue that
/// both read, and so does a connection that is not accepted yet. A server that opens sockets of its own at the same
/// addresses shares them by SO_REUSEPORT instead, where each socket has its own queue: datagrams are not lost in a
/// drain (see `Worker.deafen`), but a TCP handshake that is under way with the old listener is, unless
/// net.ipv4.tcp_migrate_req is on (Linux 5.14).
public final class Server: Sendable {
    private let threads: [WorkerThread]
    private let counters: [Counters]
    private let state: Mutex<State>
    private let tell: @Sendable (ServerEvent) -> Void

    private struct State: ~Copyable {
        var service: Service
        var sockets: ServerSockets
        var hasEnded = false
    }

    // MARK: scope

    /// Serves while `body` runs; when it returns or throws, the server stops, at once unless it was drained.
    ///
    /// - Parameters:
    ///   - sockets: from ``ServerSockets/open(_:given:)``; whoever opened them with privileges has dropped those since.
    ///   - tell: is called with what the log should tell, on any thread.
    public static func run<Result>(
        _ service: Service, on sockets: consuming ServerSockets, clock: ServerClock = .system,
        tell: @escaping @Sendable (ServerEvent) -> Void = { _ in }, _ body: (Server) throws -> Result
    ) throws -> Result {
        let server = try Server(service, sockets, clock, tell)
        defer { server.stop() }
        return try body(server)
    }

    /// Serves while `body` runs, as the other one, for bodies that wait without keeping their thread.
    public static func run<Result>(
        _ service: Service, on sockets: consuming ServerSockets, clock: ServerClock = .system,
        tell: @escaping @Sendable (ServerEvent) -> Void = { _ in }, _ body: (Server) async throws -> Result
    ) async throws -> Result {
        let server = try Server(service, sockets, clock, tell)
        defer { server.stop() }
        return try await body(server)
    }

    private init(
        _ service: Service, _ sockets: consuming ServerSockets, _ clock: ServerClock,
        _ tell: @escaping @Sendable (ServerEvent) -> Void
    ) throws(ServerError) {
        let counters = (0..<sockets.workers).map { _ in Counters() }
        let sharesSockets = sockets.workers > 1 && !sockets.given.isEmpty
        var threads: [WorkerThread] = []
        for index in 0..<sockets.workers {
            threads.append(try WorkerThread(index: index, page: { MetricsPage.text(counters) }, tell: tell))
        }
        self.threads = threads
        self.counters = counters
        self.tell = tell
        let served = threads.map { sockets.sockets(of: $0.index) }
        let metrics = sockets.metrics
        state = Mutex(State(service: service, sockets: sockets))
        do throws(ServerError) {
            for (thread, sockets) in zip(threads, served) {
                let worker = try Worker(
                    service, sockets: sockets, sharesSockets: sharesSockets, counters: counters[thread.index],
                    clock: clock, tell: tell)
                try thread.start(worker, metrics: thread.index == 0 ? metrics : nil)
            }
        } catch {
            stop()
            throw error
        }
    }

    // MARK: control

    public var service: Service { state.withLock { $0.service } }

    /// What is served now.
    public var places: [ServerSockets.Place] { state.withLock { $0.sockets.places } }

    /// Where metrics are served now.
    public var metricsAddress: Endpoint? { state.withLock { $0.sockets.metricsAddress } }

    /// What all workers count, as Prometheus text.
    public var metricsPage: String { MetricsPage.text(counters) }

    /// Answers from another configuration, from the moment this returns; no query is lost.
    ///
    /// New sockets are opened first. If that fails, nothing has changed. The number of workers and the user are those
    /// that the server started with. What is opened here is opened without the privileges that were dropped.
    ///
    /// - Throws: ``ServerError``: what was refused, and why.
    public func reload(_ next: Service) throws(ServerError) {
        do throws(ServerError) {
            try state.withLock { (state) throws(ServerError) in
                guard !state.hasEnded else { throw .ended }
                try check(state.service.configuration, next.configuration)
                let sockets = try state.sockets.changed(to: next.configuration)
                let done = try Bell()
                for thread in threads {
                    thread.post(
                        .adopt(next, sockets.sockets(of: thread.index), thread.index == 0 ? sockets.metrics : nil),
                        done: done)
                }
                done.wait(for: threads.count)
                state.service = next
                state.sockets = sockets
            }
        } catch {
            tell(.reloadRefused(because: error.description))
            throw error
        }
        tell(.reloaded)
    }

    private func check(_ old: Configuration, _ new: Configuration) throws(ServerError) {
        if old.workers != new.workers {
            throw .needsRestart(
                setting: "workers", from: old.workers.map { "\($0)" } ?? "one per processor",
                to: new.workers.map { "\($0)" } ?? "one per processor")
        }
        if old.user != new.user {
            throw .needsRestart(setting: "user", from: old.user ?? "none", to: new.user ?? "none")
        }
    }

    /// Answers what has come, and ends: see ``Worker/drain(within:)``. Returns when all workers have ended.
    public func drain(within milliseconds: Int) { end(.drain(milliseconds: milliseconds)) }

    /// Ends at once, or stays ended. Returns when all workers have ended.
    public func stop() { end(.stop) }

    private func end(_ command: WorkerThread.Command) {
        state.withLock { $0.hasEnded = true }
        for thread in threads { thread.post(command) }
        for thread in threads { thread.join() }
    }
}
