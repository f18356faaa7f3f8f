import Addressing

/// Changes to a pinned dispatcher, one after another and again, by a thread of their own, while probes are sent.
///
/// A change waits until a few probes of each kind were answered since the one before it, so each state is seen.
public struct DispatcherChanges: Hashable, Sendable, Codable {
    public var namespace: String
    public var changes: [DispatcherOperation]
    /// How often all of the changes are made.
    public var rounds: Int
    /// Asked in turn.
    public var probes: [Probe]

    public init(in namespace: String, _ changes: [DispatcherOperation], rounds: Int, probes: [Probe]) {
        self.namespace = namespace
        self.changes = changes
        self.rounds = rounds
        self.probes = probes
    }

    var summary: String {
        "dispatcher of \(namespace), \(rounds) times: \(changes.map(\.summary).joined(separator: ", then ")); "
            + "meanwhile \(probes.count) probes in turn"
    }
}

/// Random bindings in a pinned dispatcher, and packets to random destinations: who gets them, against a model that
/// looks at each binding and knows nothing of tables or plans.
public struct DispatcherModel: Hashable, Sendable, Codable {
    public var namespace: String
    /// Of the generator: the same bindings and packets on every kernel.
    public var seed: UInt64
    /// Sets of bindings, one in the place of the other, and how many each has.
    public var sets: Int
    public var bindings: Int
    /// For each set.
    public var probes: Int
    /// The names of labels, each with the sockets registered under it: one at most for each protocol and family.
    public var labels: [String: [String]]
    /// Of these alone; nil for every protocol and family.
    public var `protocol`: TransportProtocol?
    public var family: AddressFamily?
    public var by: Means

    public enum Means: String, Hashable, Sendable, Codable, CaseIterable {
        /// `BPF_PROG_TEST_RUN` of the program that is pinned.
        case testRun = "test-run"
        case packets
    }

    public init(
        in namespace: String, by means: Means, seed: UInt64, sets: Int, bindings: Int, probes: Int,
        labels: [String: [String]], _ protocol: TransportProtocol? = nil, _ family: AddressFamily? = nil
    ) {
        self.namespace = namespace
        self.seed = seed
        self.sets = sets
        self.bindings = bindings
        self.probes = probes
        self.labels = labels
        self.protocol = `protocol`
        self.family = family
        by = means
    }

    var summary: String {
        "dispatcher of \(namespace): \(sets) random sets of \(bindings) bindings, \(probes) probes of each by "
            + "\(by.rawValue), against a model"
    }
}
