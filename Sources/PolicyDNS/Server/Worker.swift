import Addressing
import CLinux
import Glibc

/// Answers queries on sockets, from whichever one thread calls it.
///
/// It has no thread of its own: ``Server`` gives each worker one, and a program with an event loop watches
/// ``pollDescriptor`` and calls ``turn(waiting:)`` when that is readable. Such a program should call it from time to
/// time besides, since time-outs of connections are noticed in turns only.
public final class Worker {
    public let counters: Counters
    var policyCounters: PolicyCounters
    var responder: Responder
    let clock: ServerClock
    let tell: (ServerEvent) -> Void

    let epoll: Int32
    let batch: DatagramBatch
    let streams: StreamBuffers
    private(set) var sockets: [UInt32: ServerSocket] = [:]
    private var lastSocket: UInt32 = 0
    /// Whether other workers watch the same sockets.
    private let sharesSockets: Bool
    var connections = ConnectionTable()
    var metrics: MetricsResponder?

    /// The time of this turn.
    var now: UInt64
    var unixNow: UInt32
    /// The monotonic time before which no time-out can be due.
    var nextDeadline = UInt64.max
    /// When the generator was last seeded.
    private var lastSeeded: UInt64 = 0
    /// When accepting is tried again; nil while it works.
    var acceptsAgain: UInt64?
    /// When connections that are still busy are closed all the same; nil unless draining.
    private(set) var drainDeadline: UInt64?
    /// Whether somebody rang since this was last cleared.
    var called = false
    /// accept4(2), or what a test puts in its place.
    var acceptConnection: (Int32, UnsafeMutablePointer<sockaddr_storage>?) -> Int32 = clinux_accept_from

    private var events = [clinux_event](repeating: clinux_event(), count: Worker.eventsAtOnce)
    /// With each event a connection may have some hundred queries answered: a turn takes some ten milliseconds at most.
    private static let eventsAtOnce = 16

    /// Makes a worker that serves `sockets`.
    ///
    /// - Parameters:
    ///   - sharesSockets: whether other workers serve the same sockets.
    ///   - tell: is called with what the log should tell, on the worker's thread.
    /// - Throws: ``ServerError/call(_:errno:doing:)`` or ``ServerError/outOfMemory(doing:)``.
    public init(
        _ service: Service, sockets: [ServerSocket], sharesSockets: Bool = false, counters: Counters = Counters(),
        clock: ServerClock = .system, tell: @escaping (ServerEvent) -> Void = { _ in }
    ) throws(ServerError) {
        self.counters = counters
        self.clock = clock
        self.tell = tell
        self.sharesSockets = sharesSockets
        responder = Responder(service)
        policyCounters = counters.adopt(policies: service.policies)
        batch = try DatagramBatch()
        streams = StreamBuffers()
        now = clock.monotonic()
        unixNow = clock.unix()
        epoll = clinux_epoll_create()
        guard epoll >= 0 else { throw .call("epoll_create1", errno: -epoll, doing: "starting a worker") }
        for socket in sockets { try add(socket) }
    }

    deinit { if epoll >= 0 { close(epoll) } }

    /// Readable when there is something to do.
    public var pollDescriptor: Int32 { epoll }

    public var service: Service { responder.service }

    var limits: Configuration.Limits { responder.service.configuration.limits }

    // MARK: turns

    /// Handles what is ready, once, after waiting for it for at most so many milliseconds; forever if negative.
    ///
    /// - Returns: whether there was anything.
    /// - Throws: ``ServerError/call(_:errno:doing:)`` if the kernel refuses what a worker cannot go on without.
    public func turn(waiting milliseconds: Int32) throws(ServerError) -> Bool {
        let count = clinux_epoll_wait(
            epoll, &events, Int32(Worker.eventsAtOnce), shortened(milliseconds))
        guard count >= 0 || count == -EINTR else {
            throw .call("epoll_wait", errno: -count, doing: "waiting for queries")
        }
        readClock()
        reseedAfterRest()
        var areConnectionsBusy = false
        for index in 0..<Int(max(0, count)) {
            try handle(events[index])
            if case .connection = EventSource(events[index].id) { areConnectionsBusy = true }
        }
        if areConnectionsBusy { try answerAmongConnections() }
        if now >= nextDeadline { try handleDeadlines() }
        return count > 0
    }

    /// The time to wait, so that no deadline is missed.
    private func shortened(_ milliseconds: Int32) -> Int32 {
        guard nextDeadline != .max, milliseconds != 0 else { return milliseconds }
        let current = clock.monotonic()
        guard nextDeadline > current else { return 0 }
        // Rounded up, or the last millisecond would be waited for in a busy loop.
        let left = Int32(clamping: (nextDeadline - current + 999_999) / 1_000_000)
        return milliseconds < 0 ? left : min(milliseconds, left)
    }

    /// Has the generator seeded anew, once a millisecond at most.
    ///
    /// A virtual machine that is restored from an image goes on in the middle of a wait, and nothing tells it: two
    /// that are restored from one image would answer alike for good. So they may only for the rest of a turn. The
    /// system call costs less than a thousandth of the time.
    private func reseedAfterRest() {
        guard now &- lastSeeded >= 1_000_000 else { return }
        lastSeeded = now
        responder.reseed()
    }

    func readClock() {
        now = clock.monotonic()
        unixNow = clock.unix()
    }

    private func handle(_ event: clinux_event) throws(ServerError) {
        switch EventSource(event.id) {
        case .socket(let identifier):
            // It may have been closed in this turn.
            guard let socket = sockets[identifier] else { return }
            switch socket.transport {
            case .udp:
                if event.flags & CLINUX_ERROR != 0 { clinux_forget_errors(socket.descriptor) }
                try answerDatagrams(on: socket, identifier)
            case .tcp: try acceptConnections(on: socket, atMost: Worker.acceptsPerTurn)
            }
        case .connection(let slot, let generation):
            guard let connection = connections.find(slot: slot, generation: generation) else { return }
            try serve(connection)
        case .control: called = true
        case .metrics(let identifier): metrics?.handle(identifier, self)
        case nil: break
        }
    }

    /// Answers the datagrams that wait.
    ///
    /// Epoll reports what is ready in turn, so that they would get one event for one of each connection: with a
    /// thousand clients that send without a pause, that is one in seconds.
    private func answerAmongConnections() throws(ServerError) {
        for (identifier, socket) in sockets where socket.transport == .udp {
            try answerDatagrams(on: socket, identifier)
        }
    }

    private func handleDeadlines() throws(ServerError) {
        nextDeadline = .max
        if let acceptsAgain, now >= acceptsAgain { try resumeAccepting() }
        if let acceptsAgain { expect(by: acceptsAgain) }
        expireConnections()
        metrics?.expire(self)
    }

    /// Has a turn look at deadlines at `time`.
    func expect(by time: UInt64) { nextDeadline = min(nextDeadline, time) }

    // MARK: sockets

    func add(_ socket: ServerSocket) throws(ServerError) {
        lastSocket += 1
        sockets[lastSocket] = socket
        // A listener waits with the others while accepting pauses.
        if socket.transport == .udp || acceptsAgain == nil { try watch(lastSocket, socket) }
        tell(.listening(socket.transport, socket.address, label: socket.label, given: socket.isGiven))
    }

    func watch(_ identifier: UInt32, _ socket: ServerSocket) throws(ServerError) {
        try watch(
            socket.descriptor, CLINUX_READABLE | (sharesSockets ? CLINUX_EXCLUSIVE : 0), as: .socket(identifier))
    }

    func watch(_ descriptor: Int32, _ flags: UInt32, as source: EventSource) throws(ServerError) {
        let result = clinux_epoll_add(epoll, descriptor, flags, source.rawValue)
        guard result == 0 else { throw .call("epoll_ctl", errno: -result, doing: "watching a socket") }
    }

    /// Stops serving a socket, once it has answered what was waiting on it.
    private func retire(_ identifier: UInt32, _ socket: ServerSocket, by deadline: UInt64) throws(ServerError) {
        switch socket.transport {
        case .udp:
            if !socket.isGiven { deafen(socket) }
            try answerAllDatagrams(on: socket, by: deadline)
        case .tcp: try acceptConnections(on: socket, atMost: Worker.longestQueue)
        }
        _ = clinux_epoll_remove(epoll, socket.descriptor)
        sockets[identifier] = nil
        tell(.closed(socket.transport, socket.address))
    }

    func pauseAccepting() {
        for socket in sockets.values where socket.transport == .tcp {
            _ = clinux_epoll_remove(epoll, socket.descriptor)
        }
        let again = now + Worker.acceptPause
        acceptsAgain = again
        expect(by: again)
    }

    func resumeAccepting() throws(ServerError) {
        acceptsAgain = nil
        for (identifier, socket) in sockets where socket.transport == .tcp { try watch(identifier, socket) }
    }

    private static let acceptPause: UInt64 = 1_000_000_000

    // MARK: change

    /// Answers from another configuration, and on other sockets, from the next query on.
    ///
    /// Sockets that are in both sets stay as they are; new ones are served before old ones are given up, and what is
    /// queued on the latter is answered, from the new configuration. Connections stay, wherever they were accepted.
    public func adopt(_ service: Service, sockets next: [ServerSocket]) throws(ServerError) {
        readClock()
        policyCounters = counters.adopt(policies: service.policies)
        responder.adopt(service)
        let former = sockets
        for socket in next {
            if let (identifier, _) = former.first(where: { $0.value.isSame(as: socket) }) {
                sockets[identifier] = socket
            } else {
                try add(socket)
            }
        }
        for (identifier, socket) in former where !next.contains(where: { $0.isSame(as: socket) }) {
            try retire(identifier, socket, by: now + Worker.retirement)
        }
        // Time-outs may have become shorter.
        expect(by: now)
    }

    private static let retirement: UInt64 = 1_000_000_000

    /// Answers what has come, and takes nothing new: sockets are closed now, connections when they are quiet, or else
    /// after `milliseconds`.
    ///
    /// No datagram that was queued is lost. One that arrives later is lost unless another socket takes it: one in the
    /// same reuseport group, or, for a socket that was handed over, its other owner. Connections in a listener's queue
    /// are accepted before it is closed; those whose handshake was under way are lost, unless another process listens
    /// on the very same socket.
    public func drain(within milliseconds: Int) throws(ServerError) {
        guard drainDeadline == nil else { return }
        readClock()
        let deadline = now.later(byMilliseconds: milliseconds)
        drainDeadline = deadline
        for (identifier, socket) in sockets { try retire(identifier, socket, by: deadline) }
        for connection in connections.all { try serve(connection) }
        expect(by: now)
    }

    /// Whether all is answered that was to be answered before the end.
    public var isDrained: Bool { drainDeadline != nil && sockets.isEmpty && connections.count == 0 }
}

/// What an event is about, packed into the 64 bits that epoll carries.
enum EventSource {
    case socket(UInt32)
    case connection(slot: UInt32, generation: UInt32)
    case control
    case metrics(UInt32)

    init?(_ rawValue: UInt64) {
        let low = UInt32(truncatingIfNeeded: rawValue)
        switch rawValue >> 56 {
        case 0: self = .socket(low)
        case 1: self = .connection(slot: low, generation: UInt32(rawValue >> 32) & 0xFF_FFFF)
        case 2: self = .control
        case 3: self = .metrics(low)
        default: return nil
        }
    }

    var rawValue: UInt64 {
        switch self {
        case .socket(let identifier): UInt64(identifier)
        case .connection(let slot, let generation): 1 << 56 | UInt64(generation & 0xFF_FFFF) << 32 | UInt64(slot)
        case .control: 2 << 56
        case .metrics(let identifier): 3 << 56 | UInt64(identifier)
        }
    }
}
