import Channel
import FoundationEssentials
import Lab

/// Performs trials in guests, one after another, and has a verdict for each whatever becomes of the guest.
public struct GuestRunner: Sendable {
    public var artifacts: GuestArtifacts
    public var accelerator: Accelerator
    public var cache: Cache
    public var options: MachineOptions
    /// Where machines keep their logs while they run; nothing stays there.
    public var runs: String
    /// A directory to keep each machine's console in, as `console-KERNEL-N.log`; nil keeps none.
    public var consoles: String?
    /// Files that guests have besides their own, such as programs that a trial's shell lines use. The memory has to
    /// have room for them twice while they are unpacked.
    public var additions: Archive?
    /// By a trial's id, what the guest is told to do instead: for the lab's tests of itself.
    public var misbehaviours: [String: Misbehaviour] = [:]

    public init(
        artifacts: GuestArtifacts, accelerator: Accelerator, cache: Cache, options: MachineOptions = MachineOptions(),
        consoles: String? = nil
    ) {
        self.consoles = consoles
        self.artifacts = artifacts
        self.accelerator = accelerator
        self.cache = cache
        self.options = options
        runs = "\(cache.root)/run"
    }

    /// Performs `trials` on `kernel`, in one machine for as long as it and its kernel stay sound.
    ///
    /// A lost machine costs the trial that ran, and the rest go on in a fresh one. A splat counts against the
    /// trial during which it was logged. One that is logged while the kernel boots counts against the first
    /// trial, which is not performed, and once per call: every machine of that kernel would repeat it.
    /// After two machines in a row that did not come up, the rest get the second one's verdict.
    ///
    /// - Returns: One result per trial, in their order.
    /// - Throws: ``MachineError`` where no machine can be made at all, or `CancellationError`.
    public func run(
        _ trials: [Trial], on kernel: Kernel, report: @Sendable (RunEvent) -> Void
    ) async throws -> [FixtureResult] {
        guard !trials.isEmpty else { return [] }
        let initramfs = try await Initramfs.prepare(for: kernel, artifacts: artifacts, cache: cache)
        var results: [FixtureResult] = []
        var failedBoots = 0
        var hasReportedBoot = false
        while results.count < trials.count {
            try Task.checkCancellation()
            report(.phase(kernel: kernel.name, doing: results.isEmpty ? "booting" : "booting a fresh machine"))
            let session = try await RunDirectory.with(in: runs) { run in
                defer { keepConsole(of: run, kernel: kernel) }
                let initramfs = try additions.map { try initramfs.adding($0, in: run) } ?? initramfs
                return try await perform(
                    trials[results.count...], on: kernel, initramfs: initramfs, judgingBoot: !hasReportedBoot,
                    in: run, report: report)
            }
            results += session.results
            hasReportedBoot = hasReportedBoot || session.hasBooted
            failedBoots = session.hasBooted ? 0 : failedBoots + 1
            if failedBoots == 2, let last = session.results.last {
                for trial in trials[results.count...] {
                    let result = FixtureResult(
                        fixture: trial.fixture, sabotage: trial.sabotage, kernel: kernel.name, release: last.release,
                        verdict: last.verdict, seconds: 0, deviation: last.deviation)
                    results.append(result)
                    report(.finished(result))
                }
            }
        }
        return results
    }

    /// Copies a machine's console to where consoles are kept; a copy that fails costs evidence, not the run.
    private func keepConsole(of run: RunDirectory, kernel: Kernel) {
        guard let consoles else { return }
        let name = kernel.name.split(separator: "/").last.map(String.init) ?? kernel.name
        let kept = Files.names(in: consoles).count { $0.hasPrefix("console-\(name)-") }
        try? FileManager.default.copyItem(
            atPath: "\(run.path)/console.log", toPath: "\(consoles)/console-\(name)-\(kept + 1).log")
    }

    /// What one machine yielded: at least one result.
    private struct Session: Sendable {
        var results: [FixtureResult] = []
        var hasBooted = false
    }

    /// A trial that goes on, as far as it is known.
    private struct Progress: Sendable {
        var identity: KernelIdentity?
        /// Where in the console's file the trial's part of the log begins.
        var logOffset = 0
        var began = ContinuousClock.now
        var step: Int?
        var loss: Loss?
    }

    private func perform(
        _ trials: ArraySlice<Trial>, on kernel: Kernel, initramfs: Initramfs, judgingBoot: Bool,
        in run: RunDirectory, report: @Sendable (RunEvent) -> Void
    ) async throws -> Session {
        var session = Session()
        var progress = Progress()
        let (_, end) = try await Machine.with(
            image: kernel.image, initramfs: initramfs, accelerator: accelerator, options: options, in: run
        ) { machine in
            do {
                let start = try await machine.start()
                progress.identity = start.identity
                progress.logOffset = start.log.count
                session.hasBooted = true
                for problem in start.problems { report(.phase(kernel: kernel.name, doing: "the guest: \(problem)")) }
                for (index, trial) in trials.enumerated() {
                    report(.began(kernel: kernel.name, trial: trial.id))
                    if index == 0, judgingBoot, let result = bootSplat(start, trial, on: kernel) {
                        session.results.append(result)
                        report(.finished(result))
                        continue
                    }
                    let result = try await perform(trial, number: index + 1, on: kernel, machine, &progress)
                    session.results.append(result)
                    report(.finished(result))
                    // Whatever a kernel does after a splat says nothing about the next fixture.
                    if result.verdict == .crashed { return }
                }
            } catch let loss as Loss {
                progress.loss = loss
            }
        }
        if let loss = progress.loss {
            let trial = trials[trials.startIndex + session.results.count]
            let console = Console(path: "\(run.path)/console.log")
            let result = verdict(on: trial, kernel: kernel, loss: loss, progress: progress, end: end, console: console)
            session.results.append(result)
            report(.finished(result))
        }
        return session
    }

    /// The result for a first trial that inherits what the kernel logged while it booted, if that is a splat.
    private func bootSplat(_ start: Machine.Start, _ trial: Trial, on kernel: Kernel) -> FixtureResult? {
        guard let splat = ConsoleLog(String(decoding: start.log, as: UTF8.self)).splats.first else { return nil }
        return FixtureResult(
            fixture: trial.fixture, sabotage: trial.sabotage, kernel: kernel.name, release: start.identity.release,
            verdict: .crashed, seconds: 0,
            deviation: Deviation(
                step: nil, action: "boot", expected: "a kernel that boots without complaint", observed: splat.summary,
                log: splat.lines))
    }

    private func perform(
        _ trial: Trial, number: Int, on kernel: Kernel, _ machine: Machine, _ progress: inout Progress
    ) async throws -> FixtureResult {
        let clock = ContinuousClock()
        progress.began = clock.now
        progress.step = nil
        let misbehaviour = misbehaviours[trial.id]
        try await machine.send(
            misbehaviour.map { .misbehave($0, trial: number) } ?? .perform(trial.fixture, trial: number))
        var observations: [Observation] = []
        var ending: Ending?
        while ending == nil {
            let left = options.fixtureDeadline - (clock.now - progress.began)
            guard left > .zero else { throw Loss.deadline(.fixture, options.fixtureDeadline) }
            let limit = min(left, options.silenceDeadline)
            switch try await machine.mailbox.next(within: limit) {
            case nil where limit == left: throw Loss.deadline(.fixture, options.fixtureDeadline)
            case nil: throw Loss.deadline(.fixture, limit)
            case .closed: throw Loss.gone
            case .damaged(let error): throw Loss.channel(error)
            case .notice(.began(let step)), .notice(.working(let step)): progress.step = step
            case .notice(.observed(_, let observation)): observations.append(observation)
            case .notice(.finished(let how)): ending = how
            case .notice(.misunderstood(let reason)): throw Loss.channel(.notAMessage(reason: reason))
            case .notice(.ready): throw Loss.outOfTurn("the agent started again")
            }
        }
        let seconds = (clock.now - progress.began) / .seconds(1)

        // What the trial made the kernel say is on the console once the agent's last line is.
        let log = try await machine.waitForLog(
            LogMarker.ended(trial: number), from: progress.logOffset, phase: .log, within: options.logDeadline)
        let splats = ConsoleLog(String(decoding: log, as: UTF8.self)).splats
        if let splat = splats.first {
            return FixtureResult(
                fixture: trial.fixture, sabotage: trial.sabotage, kernel: kernel.name,
                release: progress.identity?.release ?? "", verdict: .crashed, seconds: seconds,
                deviation: deviation(trial, progress, observed: splat.summary, log: lines(of: splats)))
        }
        progress.logOffset += log.count
        guard let identity = progress.identity, let ending else { throw Loss.outOfTurn("no ending") }
        var result = trial.result(
            kernel: kernel.name, identity: identity, observations: observations, ending: ending, seconds: seconds)
        if result.verdict == .deviates {
            result.deviation?.log = ConsoleLog(String(decoding: log, as: UTF8.self)).lines
                .filter { !$0.contains(LogMarker.prefix) }.suffix(10)
        }
        return result
    }

    /// The result for the trial that a lost machine cost, by the evidence that it left.
    private func verdict(
        on trial: Trial, kernel: Kernel, loss: Loss, progress: Progress, end: Machine.End, console: Console
    ) -> FixtureResult {
        let verdict: Verdict
        let found: Deviation
        do {
            let log = ConsoleLog(try console.text(from: progress.logOffset))
            if let splat = log.splats.first {
                verdict = .crashed
                found = deviation(trial, progress, observed: splat.summary, log: lines(of: log.splats))
            } else {
                let judged = judge(loss, end: end, log: log)
                verdict = judged.verdict
                found = deviation(trial, progress, observed: judged.observed, log: log.tail())
            }
        } catch {
            verdict = .broken
            let said = end.errors.isEmpty ? "" : ": \(end.errors)"
            found = deviation(
                trial, progress, observed: "there is no kernel log to judge by; QEMU ended (\(end.status))\(said)",
                log: [])
        }
        return FixtureResult(
            fixture: trial.fixture, sabotage: trial.sabotage, kernel: kernel.name,
            release: progress.identity?.release ?? "", verdict: verdict,
            seconds: (ContinuousClock.now - progress.began) / .seconds(1), deviation: found)
    }

    private func judge(_ loss: Loss, end: Machine.End, log: ConsoleLog) -> (verdict: Verdict, observed: String) {
        switch loss {
        case .deadline(.spawn, let limit), .deadline(.log, let limit):
            return (.broken, "\(limit) was not enough for \(loss.phase)")
        case .deadline(_, let limit): return (.hung, "\(limit) was not enough for \(loss.phase)")
        case .gone:
            if let line = log.lines.last(where: { $0.contains(LogMarker.agentGone) }) {
                return (.broken, String(line[(line.firstRange(of: "lab-init")?.lowerBound ?? line.startIndex)...]))
            }
            // Without -no-reboot it would have started again: a triple fault, or a reset without a panic.
            if end.isOrderly { return (.crashed, "the machine reset itself without a word in the kernel's log") }
            return (.broken, "QEMU ended (\(end.status)): \(end.errors.isEmpty ? "it said nothing" : end.errors)")
        case .channel(let error): return (.broken, error.description)
        case .outOfTurn(let what): return (.broken, "the agent was out of turn: \(what)")
        case .noConsole(let reason): return (.broken, "there is no kernel log to judge by: \(reason)")
        }
    }

    /// The first splat is the one to explain; those that follow are often its consequences.
    private func lines(of splats: [ConsoleLog.Splat]) -> [String] { Array(splats.flatMap(\.lines).prefix(80)) }

    private func deviation(_ trial: Trial, _ progress: Progress, observed: String, log: [String]) -> Deviation {
        let steps = trial.fixture.steps
        let action = progress.step.flatMap { steps.indices.contains($0 - 1) ? steps[$0 - 1].action.summary : nil }
        let before = progress.identity == nil ? "boot" : "prepare"
        return Deviation(
            step: progress.step, action: action ?? before, expected: "the kernel goes on without complaint",
            observed: observed, log: log)
    }
}

extension Loss {
    fileprivate var phase: String {
        if case .deadline(let phase, _) = self { phase.rawValue } else { "" }
    }
}
