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
    /// One kernel's trouble is not the others'; but without a guest or an accelerator there is nothing to go on with.
    func run(progress: ProgressLine) async -> Ending {
        do {
            var machines: GuestRunner?
            for target in targets {
                try Task.checkCancellation()
                do {
                    let results: [FixtureResult]
                    switch target {
                    case .host:
                        let programs = try await GuestArtifacts.preparePrograms(cache: cache) { progress.note($0) }
                        results = await HostRunner(programs: FilePath(programs)).run(trials) { recorder.report($0) }
                    case .machine(let kernel):
                        // Made for the first kernel, good for all.
                        let runner = try await ready(machines, booting: kernel, progress)
                        machines = runner
                        results = try await runner.run(trials, on: kernel) { recorder.report($0) }
                    }
                    for result in results { recorder.report(.finished(result)) }
                } catch let error where !Task.isCancelled && !(error is Preparation) {
                    progress.warn("\(target.name): \(error)")
                    recorder.fail(trials, on: target.name, because: error)
                }
                if recorder.isUnread { return .failed(ExitCode(ExitStatus.broken.rawValue)) }
            }
            // A runner may end early without an error when it is cancelled.
            return Task.isCancelled ? .cancelled : .complete
        } catch {
            return Task.isCancelled ? .cancelled : .failed((error as? Preparation)?.error ?? error)
        }
    }

    /// How a run ended.
    enum Ending {
        case complete
        case cancelled
        case failed(any Error)

        var isCancelled: Bool { if case .cancelled = self { true } else { false } }
        var isFailed: Bool { if case .failed = self { true } else { false } }
    }

    /// What all machines need could not be made.
    private struct Preparation: Error {
        var error: any Error
    }

    private func ready(
        _ runner: GuestRunner?, booting kernel: Kernel, _ progress: ProgressLine
    ) async throws -> GuestRunner {
        if let runner { return runner }
        do {
            return try await ready(booting: kernel, progress)
        } catch {
            throw Preparation(error: error)
        }
    }

    private func ready(booting kernel: Kernel, _ progress: ProgressLine) async throws -> GuestRunner {
        let artifacts = try await GuestArtifacts.prepare(cache: cache) { progress.note($0) }
        let choice = try await Accelerator.choose(booting: kernel, artifacts: artifacts, cache: cache) {
            progress.note($0)
        }
        progress.warn("machines run with \(choice.accelerator.rawValue): \(choice.because)")
        return GuestRunner(artifacts: artifacts, accelerator: choice.accelerator, cache: cache)
    }
}
