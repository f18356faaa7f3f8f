import Foundation
import Lab
import Synchronization

/// What goes on, on standard error: a live line on a terminal, plain lines otherwise.
final class ProgressLine: Sendable {
    private struct State {
        var done = 0
        var isLineShown = false
    }

    private let state = Mutex(State())
    private let total: Int
    private let isLive: Bool

    init(total: Int = 0, isLive: Bool = StandardError.isTerminal) {
        self.total = total
        self.isLive = isLive
    }

    /// A step on the way to the fixtures: fetching, building, booting.
    func note(_ text: String) {
        state.withLock { state in
            if isLive { show(text, &state) } else { StandardError.write("lab: \(text)\n") }
        }
    }

    /// Something worth keeping on the screen.
    func warn(_ text: String) {
        state.withLock { state in
            hide(&state)
            StandardError.write("lab: \(text)\n")
        }
    }

    func report(_ event: RunEvent) {
        state.withLock { state in
            switch event {
            case .phase(let kernel, let doing):
                let text = "\(kernel): \(doing)"
                if isLive { show(text, &state) } else { StandardError.write("lab: \(text)\n") }
            case .began(let kernel, let trial):
                // Without a live line the end of a trial is enough.
                if isLive { show("\(state.done + 1)/\(total) \(kernel) \(trial)", &state) }
            case .finished(let result):
                state.done += 1
                let isBad = result.verdict != .conforms && result.verdict != .unsupported
                if isLive, !isBad { return }
                hide(&state)
                StandardError.write(
                    "lab: \(state.done)/\(total) \(result.kernel) \(result.verdict.rawValue) \(trial(result))\n")
            }
        }
    }

    /// Takes the live line away, so that results can be written.
    func clear() { state.withLock { hide(&$0) } }

    private func trial(_ result: FixtureResult) -> String {
        result.sabotage.map { "\(result.id) under \($0)" } ?? result.id
    }

    private func show(_ text: String, _ state: inout State) {
        var size = winsize()
        let columns = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
        // A line that wraps could not be taken back.
        StandardError.write("\r\u{1B}[K" + text.filter { !$0.isNewline }.prefix(columns - 1))
        state.isLineShown = true
    }

    private func hide(_ state: inout State) {
        if state.isLineShown { StandardError.write("\r\u{1B}[K") }
        state.isLineShown = false
    }
}
