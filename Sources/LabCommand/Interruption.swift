import Foundation
import Synchronization

// A signal handler can reach only globals. Written once, before the handlers are installed.
nonisolated(unsafe) private var signalPipe: Int32 = -1

/// Turns SIGINT, SIGTERM and SIGHUP into a cancellation, so that teardown happens as in every other case.
///
/// A second signal kills the processes that the command started, which makes the teardown quick, and still
/// waits for it: temporary directories are to go, too.
final class Interruption: Sendable {
    private let received = Mutex<Int32?>(nil)

    /// The signal that came first; nil for none.
    var signal: Int32? { received.withLock { $0 } }

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
        let isFirst = received.withLock { received in
            defer { received = received ?? number }
            return received == nil
        }
        if isFirst {
            StandardError.write("\nlab: interrupted: stopping the machines\n")
            cancel()
        } else {
            Descendants.kill()
            // Should the teardown hang all the same, nothing is left that could outlive the command.
            Thread.detachNewThread {
                Thread.sleep(forTimeInterval: 10)
                Descendants.kill()
                _exit(128 + number)
            }
        }
    }
}

/// The processes that this one started, and theirs.
private enum Descendants {
    static func kill() {
        for process in all() { Glibc.kill(process, SIGKILL) }
    }

    private static func all() -> [pid_t] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        var children: [pid_t: [pid_t]] = [:]
        for process in entries.compactMap({ pid_t($0) }) {
            // `PID (NAME) STATE PARENT …`: the name may hold anything, so look behind its last parenthesis.
            guard let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
                let end = status.lastIndex(of: ")")
            else { continue }
            let fields = status[status.index(after: end)...].split(separator: " ")
            if fields.count > 1, let parent = pid_t(fields[1]) { children[parent, default: []].append(process) }
        }
        var found: [pid_t] = []
        var parents = [getpid()]
        while let parent = parents.popLast() {
            found += children[parent] ?? []
            parents += children[parent] ?? []
        }
        return found
    }
}
