import Lab

/// What the host asks of a guest.
public enum Request: Codable, Sendable, Hashable {
    /// Performs a fixture as the guest's `trial`-th, counted from 1 by the host.
    case perform(Fixture, trial: Int)
    /// Misbehaves in place of a fixture: for the lab's tests of itself.
    case misbehave(Misbehaviour, trial: Int)
}

/// What a guest tells the host, in this order for each fixture: began and observed per step, then finished.
public enum Notice: Codable, Sendable, Hashable {
    /// The agent is up. `problems` are what could not be prepared, such as a module that would not load.
    case ready(KernelIdentity, problems: [String])
    /// The step, from 1, is about to be performed.
    case began(step: Int)
    /// The step goes on.
    case working(step: Int)
    case observed(step: Int, Observation)
    case finished(Ending)
    /// The request could not be understood; nothing was performed.
    case misunderstood(reason: String)
}

/// The ways in which a guest can be told to fail.
public enum Misbehaviour: String, Codable, Sendable, Hashable, CaseIterable {
    /// The kernel panics.
    case panic
    /// The agent spins and never answers.
    case hang
    /// The agent exits.
    case exit
    /// The agent goes on, and says nothing.
    case mute
    /// The kernel log gets a warning, and the agent answers as if nothing had happened.
    case warn
}

/// Lines that both ends agree on in the kernel's log, which is how a splat finds the trial that it belongs to.
public enum LogMarker {
    /// PID 1 has started: the kernel is up.
    public static let initStarted = "lab-init: started"
    /// What PID 1 says before it powers off because the agent is gone.
    public static let agentGone = "lab-init: the agent "

    /// What every line that the agent writes begins with.
    public static let prefix = "binding-lab: "
    /// Written before `ready` is sent: what comes before it belongs to the boot.
    public static let ready = "binding-lab: ready"

    public static func began(trial: Int) -> String { "binding-lab: trial \(trial) begins" }
    /// Written before `finished` is sent: once it is on the console, so is all that the trial left in the log.
    public static func ended(trial: Int) -> String { "binding-lab: trial \(trial) is over" }
}
