import Lab

/// What a released kernel gets wrong: found by running, and told apart from the rules.
enum BindFault: CaseIterable {
    /// A TCP bind to an IPv4-mapped address does not meet a socket on ::ffff:0.0.0.0.
    case mappedWildcardMissed

    /// Whether the fault could show.
    func concerns(_ sequence: BindSequence) -> Bool {
        sequence.protocol == .tcp && sequence.sockets.contains { $0.address == .mapped(0) }
    }

    /// Stable 6.1.168 took in the lookup by address for mapped addresses (5e07e672412b) with a fix for UDP, without
    /// the commits before it that let that lookup know a mapped wildcard. 6.1.192 still has it.
    var since: VersionSet { VersionSet(KernelVersion(6, 1, 168)) }
    /// No other series of the catalogue has it. 6.6.131 took in the same commits, and was not run.
    var until: VersionSet { VersionSet(KernelVersion(6, 2)) }
    var because: String {
        "commit 5e07e672412b as backported to 6.1.168, without 06a8c04f8994 and 5a22bba13d01: mapped addresses miss ::ffff:0.0.0.0"
    }
    var becauseOfUntil: String { "only 6.1 has 5e07e672412b without 06a8c04f8994 and 5a22bba13d01" }
}
