import Lab

/// What a run of the lab came to: what every report is made from.
public struct Run: Hashable, Sendable {
    /// In the order in which they are to be shown.
    public var results: [FixtureResult]
    /// The kernels that ran, as the user calls them, in the order asked for.
    public var kernels: [String]
    /// Where a kernel came from, such as its package's name and version, by the kernel's name.
    public var origins: [String: String]
    /// Kernels that were asked for and could not be had.
    public var missing: [MissingKernel]
    /// How many results a complete run has, those of missing kernels not counted.
    public var planned: Int
    public var seconds: Double
    /// Whether somebody stopped the run before its end.
    public var interrupted: Bool
    public var repetition: Repetition

    public init(
        results: [FixtureResult], kernels: [String] = [], origins: [String: String] = [:],
        missing: [MissingKernel] = [], planned: Int? = nil,
        seconds: Double, interrupted: Bool = false, repetition: Repetition = Repetition()
    ) {
        self.results = results
        self.origins = origins
        self.missing = missing
        self.planned = planned ?? results.count
        self.seconds = seconds
        self.interrupted = interrupted
        self.repetition = repetition
        self.kernels = kernels
        for kernel in results.map(\.kernel) where !self.kernels.contains(kernel) { self.kernels.append(kernel) }
    }

    /// Trials that nobody interrupted and that have no result all the same: the lab's own fault.
    public var lost: Int { interrupted ? 0 : max(0, planned - results.count) }

    /// The release of each kernel, where it came up.
    public func release(of kernel: String) -> String? {
        results.first { $0.kernel == kernel && !$0.release.isEmpty }?.release
    }
}

/// A kernel that could not be had.
public struct MissingKernel: Hashable, Sendable {
    public var name: String
    public var reason: String
    /// Whether it was asked for by name: then its absence is a failure, and not when all there are were asked for.
    public var isRequired: Bool

    public init(_ name: String, reason: String, isRequired: Bool) {
        self.name = name
        self.reason = reason
        self.isRequired = isRequired
    }
}

extension FixtureResult {
    /// `family/name:variant`, with ` under SABOTAGE` where there is one: a trial's id.
    public var trial: String { sabotage.map { "\(id) under \($0)" } ?? id }
}

/// The exit status of `lab`, where no signal ended it.
public enum ExitStatus: Int32, Hashable, Sendable, CaseIterable {
    /// Everything conforms, or is unsupported as declared.
    case conforms = 0
    /// Something deviates, crashed or hung.
    case deviates = 1
    /// The user's input is wrong.
    case usage = 2
    /// The lab is broken. Wins over `deviates`: with a broken lab the rest is in doubt.
    case broken = 3

    public init(of run: Run) {
        let verdicts = Set(run.results.map(\.verdict))
        let nothingRan = run.results.isEmpty && !run.interrupted
        if verdicts.contains(.broken) || run.lost > 0 || nothingRan || run.missing.contains(where: \.isRequired) {
            self = .broken
        } else if !verdicts.isDisjoint(with: [.deviates, .crashed, .hung]) {
            self = .deviates
        } else {
            self = .conforms
        }
    }
}
