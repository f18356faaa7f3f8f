import CLinux
import Glibc
import Synchronization

/// A thread that makes changes to a pinned dispatcher, each when it is told to. It has ended when this object goes.
///
/// Not a task: where there is one processor, there is one thread for tasks, and the steps are performed on it.
final class DispatcherThread {
    /// What both threads know.
    private final class Shared: Sendable {
        struct State {
            var made = 0
            var failure: (any Error)?
            var refusal: String?
            var isOver = false
        }

        let state = Mutex(State())
        let orders: [DispatcherOrder]
        let rounds: Int
        /// Two ends of a pipe: a byte is a change to be made, and its end is the thread's.
        let bell: Int32

        init(_ orders: [DispatcherOrder], rounds: Int, bell: Int32) {
            self.orders = orders
            self.rounds = rounds
            self.bell = bell
        }

        func run() {
            for _ in 0..<rounds {
                for order in orders {
                    var byte: UInt8 = 0
                    var count = read(bell, &byte, 1)
                    while count < 0, errno == EINTR { count = read(bell, &byte, 1) }
                    guard count == 1, make(order) else { return state.withLock { $0.isOver = true } }
                }
            }
            state.withLock { $0.isOver = true }
        }

        private func make(_ order: DispatcherOrder) -> Bool {
            do {
                let facts = try order.perform()
                return state.withLock { state in
                    state.refusal = facts["refusal"]
                    if state.refusal == nil { state.made += 1 }
                    return state.refusal == nil
                }
            } catch {
                state.withLock { $0.failure = error }
                return false
            }
        }
    }

    private let shared: Shared
    private let bell: Descriptor
    private var ringer: Descriptor?
    private var thread = pthread_t()

    init(_ orders: [DispatcherOrder], rounds: Int) throws(ExecutorError) {
        var ends: [Int32] = [-1, -1]
        let made = clinux_pipe(&ends)
        guard made == 0 else {
            throw .call("pipe2", errno: ErrorNumber(returned: made), doing: "making a thread")
        }
        bell = Descriptor(ends[0])
        ringer = Descriptor(ends[1])
        shared = Shared(orders, rounds: rounds, bell: ends[0])
        // The thread gives the reference back.
        let reference = Unmanaged.passRetained(shared)
        let error = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                // As the thread that made this one is on one processor.
                _ = clinux_use_every_processor()
                Unmanaged<Shared>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, reference.toOpaque())
        guard error == 0 else {
            reference.release()
            isStarted = false
            throw .call("pthread_create", errno: ErrorNumber(rawValue: error), doing: "making a thread")
        }
    }

    private var isStarted = true

    deinit {
        // The end of the pipe ends the thread, after the change that it is making.
        ringer = nil
        if isStarted { pthread_join(thread, nil) }
    }

    /// Has the next change made.
    func ring() throws(ExecutorError) {
        var byte: UInt8 = 1
        guard let ringer, write(ringer.raw, &byte, 1) == 1 else {
            throw .call("write", errno: .current, doing: "having a change made")
        }
    }

    /// How many changes were made; what the kernel refused is thrown.
    func made() throws -> (count: Int, refusal: String?, isOver: Bool) {
        try shared.state.withLock { state in
            if let failure = state.failure { throw failure }
            return (state.made, state.refusal, state.isOver)
        }
    }
}
