import Addressing
import CLinux
import Glibc

/// Serves every server socket and every client of a fixture from one thread, in the order things happen.
///
/// There is no concurrency to reason about: nothing is read but while a step waits, so a flood stays in
/// its queue until it is drained, and who received what during a step is known exactly.
final class SocketLoop {
    private enum Watched {
        case server(Server)
        case accepted(AcceptedConnection)
        case client(Client)
        /// Something with a way of its own to deal with events: it is told their flags.
        case other((UInt32) throws -> Void)
    }

    private let epoll: Descriptor
    private var watched: [UInt64: Watched] = [:]
    private var identifiers: [Int32: UInt64] = [:]
    private var lastIdentifier: UInt64 = 0
    private var lastNonce: UInt64 = 0
    /// Which servers read which probes since this was last emptied.
    private var arrivals: [(server: String, nonce: UInt64)] = []

    /// The listeners that answered a visit of one of their sites since this was last emptied.
    var visited: Set<String> = []

    init() throws(ExecutorError) {
        let raw = clinux_epoll_create()
        guard raw >= 0 else {
            throw .call("epoll_create1", errno: ErrorNumber(returned: raw), doing: "making the socket loop")
        }
        epoll = Descriptor(raw)
    }

    func nonce() -> UInt64 {
        lastNonce += 1
        return lastNonce
    }

    func add(_ server: Server) throws(ExecutorError) {
        // A TCP socket that does not listen has nothing to serve, and epoll would report it hung up for ever.
        guard server.transport == .udp || server.listening, !server.paused else { return }
        try watch(server.descriptor, CLINUX_READABLE, as: .server(server))
    }

    func add(_ client: Client) throws(ExecutorError) {
        let flags = client.state == .connecting ? CLINUX_READABLE | CLINUX_WRITABLE : CLINUX_READABLE
        try watch(client.descriptor, flags, as: .client(client))
    }

    /// Calls `handle` whenever one of `flags` is so of a descriptor, until that is removed.
    func add(_ raw: Int32, _ flags: UInt32, _ handle: @escaping (UInt32) throws -> Void) throws(ExecutorError) {
        try watch(raw, flags, as: .other(handle))
    }

    /// Looks for other events of a descriptor from now on.
    func change(_ raw: Int32, _ flags: UInt32) throws(ExecutorError) {
        guard let identifier = identifiers[raw] else { return }
        let changed = clinux_epoll_modify(epoll.raw, raw, flags, identifier)
        guard changed == 0 else {
            throw .call("epoll_ctl", errno: ErrorNumber(returned: changed), doing: "watching a connected client")
        }
    }

    func remove(_ descriptor: Descriptor) { remove(descriptor.raw) }

    func remove(_ raw: Int32) {
        guard let identifier = identifiers.removeValue(forKey: raw) else { return }
        _ = clinux_epoll_remove(epoll.raw, raw)
        watched[identifier] = nil
    }

    /// The accepted end of a client's connection; nil where there is none, or none any more.
    func accepted(for client: Client) -> AcceptedConnection? {
        guard client.transport == .tcp, let endpoint = client.descriptor.localEndpoint else { return nil }
        let found = accepted.filter { $0.peer == endpoint && $0.descriptor.localEndpoint == client.destination }
        return found.first
    }

    /// Every accepted connection that is still open.
    var accepted: [AcceptedConnection] {
        watched.values.compactMap { if case .accepted(let connection) = $0 { connection } else { nil } }
    }

    /// Takes what is ready now, and waits for nothing.
    func serveWhatIsReady() throws { while try handleReady(waiting: 0) {} }

    func forgetArrivals() { arrivals = [] }

    /// The names of the servers that read a probe since, whichever it was, other than that of the fence.
    func received(butFor fence: Client? = nil) -> [String] {
        arrivals.reduce(into: []) { names, arrival in
            if arrival.nonce != fence?.nonce, !names.contains(arrival.server) { names.append(arrival.server) }
        }
    }

    /// Serves until `condition` holds, and then whatever else is ready by then.
    ///
    /// - Returns: whether `condition` held before the deadline.
    func serve(until deadline: ContinuousClock.Instant, _ condition: () -> Bool) throws -> Bool {
        while true {
            let held = condition()
            if held {
                try serveWhatIsReady()
                return true
            }
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { return false }
            try Task.checkCancellation()
            // Short enough to notice cancellation, long enough to cost nothing.
            _ = try handleReady(waiting: min(250, Int32(left / .milliseconds(1)) + 1))
        }
    }

    private func watch(_ descriptor: Descriptor, _ flags: UInt32, as value: Watched) throws(ExecutorError) {
        try watch(descriptor.raw, flags, as: value)
    }

    private func watch(_ raw: Int32, _ flags: UInt32, as value: Watched) throws(ExecutorError) {
        lastIdentifier += 1
        let added = clinux_epoll_add(epoll.raw, raw, flags, lastIdentifier)
        guard added == 0 else {
            throw .call("epoll_ctl", errno: ErrorNumber(returned: added), doing: "watching a socket")
        }
        watched[lastIdentifier] = value
        identifiers[raw] = lastIdentifier
    }

    /// Handles what is ready; false for nothing.
    private func handleReady(waiting milliseconds: Int32) throws -> Bool {
        var events = [clinux_event](repeating: clinux_event(), count: 64)
        let count = clinux_epoll_wait(epoll.raw, &events, 64, milliseconds)
        if count < 0 {
            let errno = ErrorNumber(returned: count)
            if errno.rawValue == EINTR { return true }
            throw ExecutorError.call("epoll_wait", errno: errno, doing: "waiting for sockets")
        }
        for event in events[..<Int(count)] {
            switch watched[event.id] {
            case .server(let server):
                if server.listening { try accept(on: server) } else { read(server) }
            case .accepted(let connection): answer(connection)
            case .client(let client): try handle(client, event)
            case .other(let handle): try handle(event.flags)
            case nil: break
            }
        }
        return count > 0
    }

    private func handle(_ client: Client, _ event: clinux_event) throws(ExecutorError) {
        let wasConnecting = client.state == .connecting
        client.handle(writable: event.flags & CLINUX_WRITABLE != 0)
        if case .failed = client.state {
            remove(client.descriptor)
        } else if wasConnecting, client.state != .connecting {
            try change(client.descriptor.raw, CLINUX_READABLE)
        }
    }

    private func accept(on server: Server) throws(ExecutorError) {
        while true {
            let raw = clinux_accept(server.descriptor.raw)
            if [EMFILE, ENFILE].contains(-raw) {
                throw .call("accept4", errno: ErrorNumber(returned: raw), doing: "accepting on \(server.name)")
            }
            // Nobody is waiting any more.
            guard raw >= 0 else { return }
            let descriptor = Descriptor(raw)
            try watch(
                descriptor, CLINUX_READABLE,
                as: .accepted(
                    AcceptedConnection(listener: server.name, descriptor: descriptor, sites: server.sites)))
        }
    }

    private func answer(_ connection: AcceptedConnection) {
        do {
            if connection.sites != nil { return try answerVisits(over: connection) }
            while let bytes = try connection.descriptor.receive() {
                if bytes.isEmpty {
                    remove(connection.descriptor)
                    return
                }
                if case .probe(let nonce) = Message(bytes) {
                    arrivals.append((connection.listener, nonce))
                    try connection.descriptor.send(Message.answer(nonce, name: connection.listener).bytes())
                }
            }
        } catch {
            // The client has gone: it reset the connection, and nobody waits for the answer.
            remove(connection.descriptor)
        }
    }

    /// Answers each request that came as a whole.
    private func answerVisits(over connection: AcceptedConnection) throws(KernelRefusal) {
        while let bytes = try connection.descriptor.receive() {
            if bytes.isEmpty { return remove(connection.descriptor) }
            connection.unread += bytes
            while let reply = connection.nextReply() {
                visited.insert(connection.listener)
                try connection.descriptor.send(reply)
            }
        }
    }

    /// Reads what is queued on a UDP server, answers probes and counts floods.
    func read(_ server: Server) {
        while true {
            do {
                guard let (bytes, source, destination) = try server.descriptor.receiveDatagram() else { return }
                server.datagrams += 1
                switch Message(bytes) {
                case .probe(let nonce):
                    arrivals.append((server.name, nonce))
                    var source = source
                    var destination = destination
                    let answer = Message.answer(nonce, name: server.name).bytes()
                    // An answer that cannot leave is seen at the client, as a probe that was received and timed out.
                    _ = clinux_send_datagram(server.descriptor.raw, answer, answer.count, 0, &source, &destination)
                case .flood(let name): server.flooded[name, default: 0] += 1
                case .answer, nil: break
                }
            } catch {
                // A pending ICMP error of an earlier answer; reading it cleared it.
                return
            }
        }
    }
}
