import ArgumentParser
import Lab
import Report
import SystemPackage
import VirtualMachine

/// The trials of a run, performed on one kernel after the other.
struct Performance: Sendable {
    let trials: [Trial]
    let targets: [Target]
    let cache: Cache
    let recorder: Recorder

    /// Performs everything that can be performed; results are with the recorder.
    ///
    /// - Returns: whether the run came to its end; false after a cancellation.
    func run(progress: Progress) async throws -> Bool {
        guard !targets.isEmpty else { return true }
        do {
            let artifacts = try await GuestArtifacts.prepare(cache: cache) { progress.note($0) }
            let accelerator = try await accelerator(progress)
            for target in targets {
                try Task.checkCancellation()
                do {
                    try await perform(on: target, artifacts, accelerator)
                } catch let error where !Task.isCancelled && !(error is CancellationError) {
                    // One kernel's trouble is not the others'.
                    progress.warn("\(target.name): \(error)")
                    recorder.fail(trials, on: target.name, because: error)
                }
                if recorder.isUnread { throw ExitCode(ExitStatus.broken.rawValue) }
            }
            // A runner may end early without an error when it is cancelled.
            return !Task.isCancelled
        } catch  where error is CancellationError || Task.isCancelled {
            return false
        }
    }

    /// How to run machines; nil where only the host's kernel is asked for.
    private func accelerator(_ progress: Progress) async throws -> Accelerator? {
        for case .machine(let kernel) in targets {
            return try await Accelerator.probe(cache: cache, kernel: kernel) { progress.note($0) }
        }
        return nil
    }

    private func perform(on target: Target, _ artifacts: GuestArtifacts, _ accelerator: Accelerator?) async throws {
        let results: [FixtureResult]
        switch target {
        case .host:
            let runner = HostRunner(programs: FilePath(artifacts.programs))
            results = try await runner.run(trials) { recorder.report($0) }
        case .machine(let kernel):
            guard let accelerator else { return }
            let runner = GuestRunner(artifacts: artifacts, accelerator: accelerator, cache: cache)
            results = try await runner.run(trials, on: kernel) { recorder.report($0) }
        }
        for result in results { recorder.report(.finished(result)) }
    }
}
