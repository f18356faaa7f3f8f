import Lab

/// A commit that made kernels differ, and the first versions that have it.
struct Change {
    /// What the commit did, with its hash.
    var commit: String
    var versions: VersionSet

    init(_ commit: String, _ versions: KernelVersion...) {
        self.commit = commit
        self.versions = VersionSet()
        self.versions.first = versions
    }

    /// What holds without the change, and what holds with it.
    func expectations(before: Outcome, after: Outcome) -> [Expectation] {
        [
            Expectation(before, until: versions, because: commit),
            Expectation(after, since: versions, because: commit),
        ]
    }
}
