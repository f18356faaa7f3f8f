import CLinux
import Glibc
import Synchronization

/// A thread that turns a worker, and does what it is told between turns.
final class WorkerThread: Sendable {
    enum Command: Sendable {
        case adopt(Service, [ServerSocket], MetricsSocket?)
        case drain(milliseconds: Int)
        case stop
    }

    private struct Mailbox {
        var commands: [(Command, done: Bell?)] = []
        var isOpen = true
    }

    let index: Int
    private let mailbox = Mutex(Mailbox())
    private let bell: Bell
    private let page: @Sendable () -> String
    private let tell: @Sendable (ServerEvent) -> Void
    /// Nil once joined.
    private let thread = Mutex<pthread_t?>(nil)

    /// What the new thread is given: the only reference to the worker.
    private final class Start {
        let worker: Worker
        let thread: WorkerThread

        init(_ worker: Worker, _ thread: WorkerThread) {
            self.worker = worker
            self.thread = thread
        }
    }

    /// - Parameter page: the text of the metrics, should the worker serve them.
    init(
        index: Int, page: @escaping @Sendable () -> String, tell: @escaping @Sendable (ServerEvent) -> Void
    ) throws(ServerError) {
        self.index = index
        self.page = page
        self.tell = tell
        bell = try Bell()
    }

    /// Starts the thread, which has all signals blocked: they are for whoever runs the server.
    func start(_ worker: sending Worker, metrics: MetricsSocket?) throws(ServerError) {
        try worker.watch(bell.descriptor, CLINUX_READABLE, as: .control)
        try serve(metrics, worker)
        var everything = sigset_t()
        var before = sigset_t()
        sigfillset(&everything)
        pthread_sigmask(SIG_BLOCK, &everything, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        // Balanced by the thread, or below.
        let start = Unmanaged.passRetained(Start(worker, self))
        var created = pthread_t()
        let result = pthread_create(
            &created, nil,
            { argument in
                // The one who created this thread gave it this reference, and let go of what is in it.
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                start.thread.run(start.worker)
                return nil
            }, start.toOpaque())
        guard result == 0 else {
            start.release()
            throw .call("pthread_create", errno: result, doing: "starting a worker")
        }
        thread.withLock { $0 = created }
    }

    /// Has the worker do something; `done` rings when it has, or has ended.
    func post(_ command: Command, done: Bell? = nil) {
        let posted = mailbox.withLock {
            if $0.isOpen { $0.commands.append((command, done)) }
            return $0.isOpen
        }
        if posted { bell.ring() } else { done?.ring() }
    }

    /// Waits for the end of the thread.
    func join() {
        let created = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let created { pthread_join(created, nil) }
    }

    private func run(_ worker: Worker) {
        var failure: ServerError?
        do throws(ServerError) {
            var isStopped = false
            while !isStopped, !worker.isDrained {
                _ = try worker.turn(waiting: -1)
                guard worker.called else { continue }
                worker.called = false
                _ = bell.rings()
                let commands = mailbox.withLock { mailbox in
                    defer { mailbox.commands = [] }
                    return mailbox.commands
                }
                for (command, done) in commands {
                    defer { done?.ring() }
                    switch command {
                    case .adopt(let service, let sockets, let metrics):
                        try worker.adopt(service, sockets: sockets)
                        try serve(metrics, worker)
                    case .drain(let milliseconds):
                        tell(.draining(worker: index))
                        try worker.drain(within: milliseconds)
                    case .stop: isStopped = true
                    }
                }
            }
        } catch {
            failure = error
        }
        let unread = mailbox.withLock {
            $0.isOpen = false
            return $0.commands
        }
        for (_, done) in unread { done?.ring() }
        tell(.workerEnded(index, because: failure))
    }

    private func serve(_ metrics: MetricsSocket?, _ worker: Worker) throws(ServerError) {
        guard worker.metrics?.socket !== metrics else { return }
        worker.metrics?.stop(worker)
        worker.metrics = metrics.map { MetricsResponder($0, page: page) }
        try worker.metrics?.start(worker)
    }
}
