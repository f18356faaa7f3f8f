import Lab
import Report
import Synchronization

/// Keeps every result from the moment it is there, so that an interruption loses none.
final class Recorder: Sendable {
    private struct State {
        var results: [FixtureResult] = []
        var seen: Set<Key> = []
        var failure: OutputError?
        var isUnread = false
    }

    private struct Key: Hashable {
        var trial: String
        var kernel: String
    }

    private let state = Mutex(State())
    private let progress: ProgressLine
    private let directory: OutputDirectory?
    /// Whether results go to standard output as they come.
    private let isStreaming: Bool

    init(progress: ProgressLine, directory: OutputDirectory?, isStreaming: Bool) {
        self.progress = progress
        self.directory = directory
        self.isStreaming = isStreaming
    }

    var results: [FixtureResult] { state.withLock { $0.results } }
    /// The first result that could not be written.
    var failure: OutputError? { state.withLock { $0.failure } }

    /// Whether nobody reads the results any more, and nothing else keeps them.
    var isUnread: Bool { state.withLock { $0.isUnread } }

    func report(_ event: RunEvent) {
        guard case .finished(let result) = event else {
            progress.report(event)
            return
        }
        // Once, although a runner also returns what it reported.
        let isNew = state.withLock { state in
            guard state.seen.insert(Key(trial: result.trial, kernel: result.kernel)).inserted else { return false }
            state.results.append(result)
            return true
        }
        guard isNew else { return }
        progress.report(event)
        let line = JSONReport.line(result) + "\n"
        attempt { () throws(OutputError) in try directory?.append(line, to: "results.json") }
        if isStreaming {
            progress.clear()
            let isRead = attempt { () throws(OutputError) in try StandardOutput.write(line) }
            if !isRead, directory == nil { state.withLock { $0.isUnread = true } }
        }
    }

    /// Gives the trials that have no result on `kernel` a `broken` one.
    func fail(_ trials: [Trial], on kernel: String, because error: any Error) {
        for trial in trials where !state.withLock({ $0.seen.contains(Key(trial: trial.id, kernel: kernel)) }) {
            report(
                .finished(
                    FixtureResult(
                        fixture: trial.fixture, sabotage: trial.sabotage, kernel: kernel, release: "",
                        verdict: .broken, seconds: 0,
                        deviation: Deviation(
                            step: nil, action: "run on \(kernel)", expected: "the lab can do it", observed: "\(error)"))
                ))
        }
    }

    /// - Returns: whether it was written; what went wrong is told once, and kept.
    @discardableResult
    private func attempt(_ write: () throws(OutputError) -> Void) -> Bool {
        do throws(OutputError) {
            try write()
            return true
        } catch {
            let isFirst = state.withLock { state in
                defer { state.failure = state.failure ?? error }
                return state.failure == nil
            }
            if isFirst { progress.warn("\(error)") }
            return false
        }
    }
}
