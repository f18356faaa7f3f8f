import ArgumentParser
import Foundation
import Lab
import Report
import VirtualMachine

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Perform fixtures on kernels and report which conforms to what.",
        discussion: """
            Without arguments every built-in fixture that is not slow. Results go to standard output, progress to \
            standard error.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, junit }

    @Argument(help: "Fixtures: names, globs in quotes ('ranges/*'), or YAML files.")
    var selection: [String] = []

    @OptionGroup(title: "Fixtures") var fixtureOptions: FixtureOptions
    @OptionGroup(title: "Kernels") var kernelOptions: KernelOptions

    @Flag(help: "Perform each fixture in each of the changed worlds in which it must not conform.")
    var sabotage = false

    @Option(help: "How results are written.")
    var format: Format = .text

    @Option(help: "How many machines run at once. (default: one per processor)")
    var jobs: Int?

    @Option(
        help: ArgumentHelp(
            "Also write results.json, report.txt, junit.xml and the consoles of machines into this directory.",
            valueName: "dir"))
    var output: String?

    func run() async throws {
        let choice = try FixtureChoice(selection, options: fixtureOptions)
        let trials = try choice.trials(underSabotage: sabotage)
        let directory = try output.map { try OutputDirectory($0) }
        let clock = ContinuousClock()
        let start = clock.now

        let cache = try Cache.standard()
        let preparation = ProgressLine()
        let kernels = try await KernelChoice(kernelOptions, cache: cache, progress: preparation)
        preparation.clear()

        let planned = trials.count * kernels.targets.count
        let progress = ProgressLine(total: planned)
        let recorder = Recorder(progress: progress, directory: directory, isStreaming: format == .json)
        let performance = Performance(
            trials: trials, targets: kernels.targets, cache: cache, recorder: recorder, consoles: directory?.path,
            jobs: jobs ?? ProcessInfo.processInfo.activeProcessorCount)
        let ending = await performance.run(progress: progress)
        progress.clear()

        let run = Run(
            results: ordered(recorder.results, trials, kernels), kernels: kernels.targets.map(\.name),
            origins: kernels.origins, missing: kernels.missing, planned: planned,
            seconds: (clock.now - start) / .seconds(1),
            interrupted: ending.isCancelled,
            repetition: Repetition(files: choice.files, kernelOptions: kernels.options))
        // What went wrong is said last, below the results that there are.
        if !run.results.isEmpty || !ending.isFailed { try show(run, directory) }
        if case .failed(let error) = ending { throw error }
        if let failure = recorder.failure { throw failure }
        if run.interrupted { throw CancellationError() }
        throw ExitCode(ExitStatus(of: run).rawValue)
    }

    /// By kernel as asked for, then by fixture: results arrive in the order in which machines had time.
    private func ordered(_ results: [FixtureResult], _ trials: [Trial], _ kernels: KernelChoice) -> [FixtureResult] {
        let kernelOrder = Dictionary(
            kernels.targets.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        let trialOrder = Dictionary(trials.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
        func place(_ result: FixtureResult) -> (Int, Int) {
            (kernelOrder[result.kernel] ?? .max, trialOrder[result.trial] ?? .max)
        }
        return results.sorted { place($0) < place($1) }
    }

    private func show(_ run: Run, _ directory: OutputDirectory?) throws {
        let plain = TextReport(style: TextStyle(hasColor: false, hasUnicode: true))
        // The directory first: it is what is left when standard output is gone.
        try directory?.write(plain.render(run), to: "report.txt")
        try directory?.write(JUnitReport.render(run), to: "junit.xml")
        switch format {
        case .text:
            let style = TextStyle(
                isTerminal: StandardOutput.isTerminal, environment: ProcessInfo.processInfo.environment)
            try StandardOutput.write(TextReport(style: style).render(run))
        case .junit: try StandardOutput.write(JUnitReport.render(run))
        // The recorder wrote the results as they came; what is not a result is on standard error.
        case .json: break
        }
    }
}
