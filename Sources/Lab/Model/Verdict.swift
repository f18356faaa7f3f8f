/// What is said of one fixture on one kernel.
public enum Verdict: String, Hashable, Sendable, Codable, CaseIterable {
    case conforms
    /// An expectation failed.
    case deviates
    /// A required feature is absent, as declared.
    case unsupported
    /// Panic, BUG, oops, KASAN, lockdep or another splat in the kernel log.
    case crashed
    /// A deadline passed while the kernel was performing the fixture.
    case hung
    /// The lab's own fault: no QEMU, a lost guest agent, a bad image. Says nothing about the kernel.
    case broken
}

/// A step whose expectation failed, or during which the kernel or the lab did.
public struct Deviation: Hashable, Sendable, Codable {
    /// Which step, from 1; nil where none had begun.
    public var step: Int?
    /// What the step does.
    public var action: String
    public var expected: String
    public var observed: String
    /// The last lines of the kernel's or the verifier's log, where they matter.
    public var log: [String]

    public init(step: Int?, action: String, expected: String, observed: String, log: [String] = []) {
        self.step = step
        self.action = action
        self.expected = expected
        self.observed = observed
        self.log = log
    }
}

/// The verdict on one fixture on one kernel, with its evidence.
public struct FixtureResult: Hashable, Sendable, Codable {
    /// The fixture's name, without its variant.
    public var fixture: String
    public var variant: String?
    /// The sabotage it was performed under; nil for the fixture as it is.
    public var sabotage: String?
    /// What the user called the kernel: a series, a path, or `host`.
    public var kernel: String
    /// `uname -r`; empty where the kernel never came up.
    public var release: String
    /// The package and version that the kernel was resolved to; nil for one that was given by its path.
    public var origin: String?
    public var verdict: Verdict
    public var seconds: Double
    /// Set for every verdict but `conforms`.
    public var deviation: Deviation?
    public var measurements: [Measurement]

    public init(
        fixture: Fixture, sabotage: String? = nil, kernel: String, release: String, verdict: Verdict,
        seconds: Double, deviation: Deviation? = nil, measurements: [Measurement] = []
    ) {
        self.fixture = fixture.name
        self.variant = fixture.variant
        self.sabotage = sabotage
        self.kernel = kernel
        self.release = release
        self.verdict = verdict
        self.seconds = seconds
        self.deviation = deviation
        self.measurements = measurements
    }

    public var id: String { variant.map { "\(fixture):\($0)" } ?? fixture }
}

/// How the performance of a fixture ended, as the executor tells it.
public enum Ending: Hashable, Sendable, Codable {
    /// Every step was observed, or the first deviation was.
    case finished
    /// A required feature is missing, as declared.
    case unsupported(Feature)
    /// Probe and declaration of a feature disagree.
    case featureDisagreement(Feature, expected: String, observed: String)
    /// The executor could not do what the step says: the lab's fault or the fixture's.
    case broken(step: Int?, reason: String)
}

extension Fixture {
    /// Judges what was observed of this fixture: the same function in the guest, on the host and in tests.
    ///
    /// - Parameter observations: one per step, in order, up to and including the first that deviates.
    public func judge(
        _ observations: [Observation], ending: Ending, version: KernelVersion
    ) -> (verdict: Verdict, deviation: Deviation?) {
        for (index, (step, observation)) in zip(steps, observations).enumerated() {
            let expectation: Expectation
            do {
                expectation = try step.expectation(for: version)
            } catch {
                return (
                    .broken,
                    Deviation(
                        step: index + 1, action: step.action.summary, expected: "one expectation",
                        observed: error.description)
                )
            }
            if !expectation.outcome.matches(observation.event, asked: step.action.asked) {
                let difference = expectation.outcome.difference(from: observation.event)
                return (
                    .deviates,
                    Deviation(
                        step: index + 1, action: step.action.summary, expected: difference.expected,
                        observed: difference.observed, log: observation.log)
                )
            }
        }
        switch ending {
        case .finished:
            if observations.count == steps.count { return (.conforms, nil) }
            return (
                .broken,
                Deviation(
                    step: observations.count + 1, action: steps[observations.count].action.summary,
                    expected: "an observation of every step", observed: "the executor stopped early")
            )
        case .unsupported(let feature):
            return (
                .unsupported,
                Deviation(
                    step: nil, action: "requires \(feature.rawValue)", expected: "",
                    observed: feature == .unbound ? "not on this machine" : "not in this kernel, as declared")
            )
        case .featureDisagreement(let feature, let expected, let observed):
            return (
                .deviates,
                Deviation(step: nil, action: "requires \(feature.rawValue)", expected: expected, observed: observed)
            )
        case .broken(let step, let reason):
            let action = step.flatMap { steps.indices.contains($0 - 1) ? steps[$0 - 1].action.summary : nil }
            return (
                .broken,
                Deviation(step: step, action: action ?? "prepare", expected: "the lab can do it", observed: reason)
            )
        }
    }
}
