import ArgumentParser
import Lab
import Report
import SystemPackage
import VirtualMachine

/// The trials of a run, performed on several kernels at a time.
struct Performance: Sendable {
    let trials: [Trial]
    let targets: [Target]
    let cache: Cache
    let recorder: Recorder
    /// Where machines' consoles are kept; nil keeps none.
    let consoles: String?
    /// How many machines run at once. Each has one processor.
    let jobs: Int

    /// How a run ended.
    enum Ending {
        case complete
        case cancelled
        case failed(any Error)

        var isCancelled: Bool { if case .cancelled = self { true } else { false } }
        var isFailed: Bool { if case .failed = self { true } else { false } }
    }

    /// Performs everything that can be performed; results are with the recorder.
    ///
    /// One kernel's trouble is not the others'; but without a guest or an accelerator there is nothing to go on with.
    func run(progress: ProgressLine) async -> Ending {
        do {
            if targets.contains(where: \.isHost) { try await performOnHost(progress) }
            try await performInMachines(progress)
            if recorder.isUnread { return .failed(ExitCode(ExitStatus.broken.rawValue)) }
            // A runner may end early without an error when it is cancelled.
            return Task.isCancelled ? .cancelled : .complete
        } catch {
            return Task.isCancelled ? .cancelled : .failed(error)
        }
    }

    /// Alone: a machine beside it would slow it down.
    private func performOnHost(_ progress: ProgressLine) async throws {
        let programs = try await GuestArtifacts.preparePrograms(cache: cache) { progress.note($0) }
        _ = await HostRunner(programs: FilePath(programs)).run(trials) { recorder.report($0) }
    }

    private func performInMachines(_ progress: ProgressLine) async throws {
        let kernels = targets.compactMap { target in if case .machine(let kernel) = target { kernel } else { nil } }
        guard let first = kernels.first, !recorder.isUnread else { return }
        let artifacts = try await GuestArtifacts.prepare(cache: cache) { progress.note($0) }
        let choice = try await Accelerator.choose(booting: first, artifacts: artifacts, cache: cache) {
            progress.note($0)
        }
        progress.warn("machines run with \(choice.accelerator.rawValue): \(choice.because)")
        let runner = GuestRunner(
            artifacts: artifacts, accelerator: choice.accelerator, cache: cache, consoles: consoles)
        // With more room for machines than kernels, several machines of a kernel share its trials.
        let shares = shares(of: max(1, jobs / kernels.count))
        let work = kernels.flatMap { kernel in shares.map { (kernel, $0) } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, (kernel, trials)) in work.enumerated() {
                if index >= max(1, jobs) { try await group.next() }
                if recorder.isUnread { break }
                group.addTask { try await perform(trials, on: kernel, with: runner, progress) }
            }
            try await group.waitForAll()
        }
    }

    /// The trials dealt out like cards, so that a family of long ones is not one machine's alone. Few trials are not
    /// worth another machine's boot, which takes as long as some ten of them.
    private func shares(of count: Int) -> [[Trial]] {
        let count = min(count, max(1, trials.count / 20))
        return (0..<count).map { share in
            trials.indices.filter { $0 % count == share }.map { trials[$0] }
        }
    }

    private func perform(
        _ trials: [Trial], on kernel: Kernel, with runner: GuestRunner, _ progress: ProgressLine
    ) async throws {
        do {
            _ = try await runner.run(trials, on: kernel) { event in
                guard case .finished(var result) = event else { return recorder.report(event) }
                result.origin = kernel.origin
                recorder.report(.finished(result))
            }
        } catch let error where !Task.isCancelled {
            progress.warn("\(kernel.name): \(error)")
            recorder.fail(trials, on: kernel.name, because: error)
        }
    }
}
