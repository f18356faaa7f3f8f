import Foundation
import Synchronization

// A signal handler can reach only globals. Written once, before the handlers are installed.
nonisolated(unsafe) private var signalPipe: Int32 = -1

/// Turns SIGINT, SIGTERM and SIGHUP into a cancellation, so that teardown happens as in every other case.
///
/// A second signal kills the processes that the command started, which makes the teardown quick, and still
/// waits for it: temporary directories are to go, too.
final class Interruption: Sendable {
    private struct State {
        var signal: Int32?
        var descendants: Set<Descendant> = []
    }

    private let state = Mutex(State())

    /// Who hears of signals instead; nil while they cancel.
    private static let diversion = Mutex<AsyncStream<Int32>.Continuation?>(nil)

    /// Has signals told to the caller, from now on and for good, instead of cancelling: for a server, which reloads
    /// and drains.
    static func divert() -> AsyncStream<Int32> {
        let (signals, continuation) = AsyncStream<Int32>.makeStream()
        diversion.withLock { $0 = continuation }
        return signals
    }

    /// The signal that came first; nil for none.
    var signal: Int32? { state.withLock { $0.signal } }

    /// Ends what the command had started when the signal came and what is still there after the teardown.
    ///
    /// A killed child leaves its own children to PID 1, where nobody looks for them: a shell's commands, apt's
    /// download methods.
    func killRemains() {
        for descendant in state.withLock({ $0.descendants }) { descendant.kill() }
    }

    init(cancel: @escaping @Sendable () -> Void) {
        // A reader that went away is an error of the write, not a silent end.
        Glibc.signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        signalPipe = ends[1]
        let reader = ends[0]
        Thread.detachNewThread { [self] in
            var number: UInt8 = 0
            while true {
                let count = read(reader, &number, 1)
                if count < 0, errno == EINTR { continue }
                guard count == 1 else { return }
                arrived(Int32(number), cancel: cancel)
            }
        }
        // Handlers, not SIG_IGN or a blocked signal: exec resets them, so children are not immune.
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { number in
            let saved = errno
            var byte = UInt8(truncatingIfNeeded: number)
            _ = write(signalPipe, &byte, 1)
            errno = saved
        }
        action.sa_flags = SA_RESTART
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaction(number, &action, nil) }
    }

    private func arrived(_ number: Int32, cancel: () -> Void) {
        if let diversion = Interruption.diversion.withLock(\.self) {
            diversion.yield(number)
            return
        }
        let descendants = Descendant.all()
        let isFirst = state.withLock { state in
            defer { state.signal = state.signal ?? number }
            state.descendants.formUnion(descendants)
            return state.signal == nil
        }
        if isFirst {
            StandardError.write("\nlab: interrupted: stopping the machines\n")
            cancel()
        } else {
            killRemains()
            // Should the teardown hang all the same, nothing is left that could outlive the command.
            Thread.detachNewThread { [self] in
                // A deadline for the teardown, on a thread that has nothing else to do.
                Thread.sleep(forTimeInterval: 10)
                killRemains()
                _exit(128 + number)
            }
        }
    }
}

/// A process that this one started, or one of its.
private struct Descendant: Hashable {
    var id: pid_t
    var parent: pid_t
    /// In clock ticks since boot: tells the process from a later one with its number.
    var start: UInt64

    init?(_ id: pid_t) {
        // `PID (NAME) STATE PARENT …`: the name may hold anything, so look behind its last parenthesis.
        guard let status = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
            let end = status.lastIndex(of: ")")
        else { return nil }
        let fields = status[status.index(after: end)...].split(separator: " ")
        // proc_pid_stat(5): the fields after the name begin with the third, the start time is the 22nd.
        guard fields.count > 19, let parent = pid_t(fields[1]), let start = UInt64(fields[19]) else { return nil }
        self.id = id
        self.parent = parent
        self.start = start
    }

    func kill() {
        if Descendant(id)?.start == start { Glibc.kill(id, SIGKILL) }
    }

    static func all() -> Set<Descendant> {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        let processes = entries.compactMap { pid_t($0) }.compactMap { Descendant($0) }
        let children = Dictionary(grouping: processes, by: \.parent)
        var found: Set<Descendant> = []
        var parents = [getpid()]
        while let parent = parents.popLast() {
            for child in children[parent] ?? [] where found.insert(child).inserted { parents.append(child.id) }
        }
        return found
    }
}
