import Lab

/// What the host asks of a guest.
public enum Request: Codable, Sendable, Hashable {
    case perform(Fixture)
    case powerOff
}

/// What a guest tells the host, in this order for each fixture: began and observed per step, then finished.
public enum Notice: Codable, Sendable, Hashable {
    /// The agent is up. `problems` are what it could not prepare, such as a module that would not load.
    case ready(KernelIdentity, problems: [String])
    /// The step, from 1, is about to be performed.
    case began(step: Int)
    case observed(step: Int, Observation)
    case finished(Ending)
}
