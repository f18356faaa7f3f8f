import Lab

/// Behaviours that a commit changed within the kernels of the catalogue: what held before it, and what holds since.
enum History {
    static let fixtures = HistoryOfSelection.fixtures + HistoryOfPorts.fixtures
}
