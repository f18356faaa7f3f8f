/// One action of a fixture, and what the kernel should do about it.
public struct Step: Hashable, Sendable {
    /// A name by which a sabotage finds the step.
    public var label: String?
    public var action: Action
    /// One per range of kernel versions; empty means that the action succeeds.
    public var expect: [Expectation]
    /// Whether the action is done again until it is as expected, for what the kernel does some time later; it deviates
    /// if that is not so within half a minute. Only for actions that ask and change nothing.
    public var eventually: Bool

    public init(_ action: Action, label: String? = nil, eventually: Bool = false, expect: [Expectation] = []) {
        self.label = label
        self.eventually = eventually
        self.action = action
        self.expect = expect
    }

    /// The one expectation that applies to `version`.
    ///
    /// - Throws: ``FixtureError/expectationsForVersion(step:version:count:)`` unless there is exactly one.
    public func expectation(for version: KernelVersion) throws(FixtureError) -> Expectation {
        if expect.isEmpty { return Expectation(.succeeds) }
        let applying = expect.filter { $0.applies(to: version) }
        guard applying.count == 1 else {
            throw .expectationsForVersion(step: action.summary, version: version, count: applying.count)
        }
        return applying[0]
    }
}

/// What should be observed, on the kernels it is meant for.
public struct Expectation: Hashable, Sendable {
    public var outcome: Outcome
    /// The first versions it applies to; nil for all.
    public var since: VersionSet?
    /// The first versions it no longer applies to; nil for none.
    public var until: VersionSet?
    /// The commit that explains a `since` or `until`.
    public var because: String?

    public init(_ outcome: Outcome, since: VersionSet? = nil, until: VersionSet? = nil, because: String? = nil) {
        self.outcome = outcome
        self.since = since
        self.until = until
        self.because = because
    }

    public func applies(to version: KernelVersion) -> Bool {
        since?.contains(version) ?? true && !(until?.contains(version) ?? false)
    }
}
