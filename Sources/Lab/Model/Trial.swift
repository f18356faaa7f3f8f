/// One performance of a fixture that is asked for: as it is, or in the world of one of its sabotages.
public struct Trial: Hashable, Sendable {
    /// The steps to perform, already changed by the sabotage.
    public var fixture: Fixture
    /// The sabotage's name.
    public var sabotage: String?

    public init(_ fixture: Fixture) {
        self.fixture = fixture
        sabotage = nil
    }

    public init(_ fixture: Fixture, under sabotage: Sabotage) throws(FixtureError) {
        self.fixture = try fixture.sabotaged(by: sabotage)
        self.sabotage = sabotage.name
    }

    /// `family/name:variant`, with ` under SABOTAGE` where there is one.
    public var id: String { sabotage.map { "\(fixture.id) under \($0)" } ?? fixture.id }

    /// The result on `kernel`, given what was observed.
    ///
    /// Under a sabotage the tables are turned: a deviation conforms, and a fixture that conforms has
    /// survived, which is a defect of the suite and so `broken`. So is one that fails at a step which states no
    /// expectation.
    public func result(
        kernel: String, identity: KernelIdentity, observations: [Observation], ending: Ending, seconds: Double
    ) -> FixtureResult {
        var (verdict, deviation) = fixture.judge(observations, ending: ending, version: identity.version)
        if let sabotage {
            switch verdict {
            case .deviates:
                // Only an expectation that the fixture states can notice anything: a step that could not be
                // performed, or a feature that is missing, would pass for it otherwise.
                guard let step = deviation?.step, !fixture.steps[step - 1].expect.isEmpty else {
                    verdict = .broken
                    break
                }
                (verdict, deviation) = (.conforms, nil)
            case .conforms:
                verdict = .broken
                deviation = Deviation(
                    step: nil, action: "sabotage \(sabotage)", expected: "the fixture deviates",
                    observed: "it conforms all the same: the fixture proves nothing")
            case .unsupported, .crashed, .hung, .broken: break
            }
        }
        return FixtureResult(
            fixture: fixture, sabotage: sabotage, kernel: kernel, release: identity.release, verdict: verdict,
            seconds: seconds, deviation: deviation, measurements: observations.flatMap(\.measurements))
    }
}

/// What a run tells while it goes on.
public enum RunEvent: Sendable {
    /// What the lab is doing on the way to the fixtures: fetching, building, booting.
    case phase(kernel: String, doing: String)
    case began(kernel: String, trial: String)
    case finished(FixtureResult)
}
