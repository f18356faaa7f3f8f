/// Something that a kernel has or has not, found by probing and held against the version it is declared for.
///
/// Where a declared first version exists, probe and declaration must agree: a backport that nobody
/// declared and a regression are both reported, never silently skipped.
public enum Feature: String, Hashable, Sendable, Codable, CaseIterable {
    /// The `BPF_PROG_TYPE_SK_LOOKUP` hook (commit e9ddbb7707ff).
    case skLookup = "sk-lookup"
    /// `BPF_PROG_TEST_RUN` for sk_lookup programs (commit 7c32e8f8bc33).
    case testRun = "sk-lookup-test-run"
    /// Connections that outlive a listener in its reuseport group, and programs that say where they go (commits
    /// 54b92e841937 and d5e4ddaeb6ab). The sysctl tcp_migrate_req alone came to 5.10.188 without any effect.
    case listenerMigration = "listener-migration"
    /// The field `ingress_ifindex` of an sk_lookup program's context (commit f89315650ba3).
    case ingressIndex = "ingress-ifindex"
    /// IPv6; a matter of configuration.
    case ipv6
    /// Pairs of devices that connect namespaces, veth or netkit; a matter of configuration or of a module.
    case devicePair = "device-pair"
    /// TCP connections of a namespace in a hash table of its own (commit d1e5e6408b30).
    case ownTCPTable = "own-tcp-table"
    /// UDP sockets of a namespace in hash tables of its own (commit 9804985bf27f).
    case ownUDPTable = "own-udp-table"
    /// Asking for one socket through sock_diag(7); a matter of configuration or of modules.
    case socketDiag = "socket-diag"
    /// A matter of configuration, as the next one.
    case synCookies = "syn-cookies"
    case mptcp
    /// bpf(2) is refused to processes without CAP_BPF: kernel.unprivileged_bpf_disabled is not 0, a matter of
    /// configuration and of the administrator.
    case unprivilegedBPFDisabled = "unprivileged-bpf-disabled"
    /// The kernel's own type information (BTF), which some helpers need; a matter of configuration.
    case typeInformation = "type-information"
    /// No kernel's, but there for a recursive resolver beside our server: unbound, a program that guests bring along
    /// where the machine has it.
    case unbound

    /// The first versions that have it; nil where that depends on the kernel's configuration alone.
    public var declared: VersionSet? {
        switch self {
        case .skLookup: VersionSet(KernelVersion(5, 9))
        // Backported to 5.10 in August 2022.
        case .testRun: VersionSet(KernelVersion(5, 13), KernelVersion(5, 10, 135))
        case .ownTCPTable: VersionSet(KernelVersion(6, 1))
        case .ownUDPTable: VersionSet(KernelVersion(6, 2))
        case .listenerMigration: VersionSet(KernelVersion(5, 14))
        case .ingressIndex: VersionSet(KernelVersion(5, 17))
        case .ipv6, .devicePair, .socketDiag, .synCookies, .mptcp, .unprivilegedBPFDisabled, .typeInformation,
            .unbound:
            nil
        }
    }
}

/// What probing a kernel for a feature and its declared version say together.
public enum Availability: Hashable, Sendable {
    /// The feature is there, and declared or undeclarable.
    case available
    /// The feature is absent, as declared for this version, or for lack of configuration.
    case unsupported
    /// Probe and declaration disagree.
    case disagreement(expected: String, observed: String)

    public init(of feature: Feature, probed: Bool, version: KernelVersion) {
        guard let declared = feature.declared else {
            self = probed ? .available : .unsupported
            return
        }
        switch (declared.contains(version), probed) {
        case (true, true): self = .available
        case (false, false): self = .unsupported
        case (true, false):
            self = .disagreement(
                expected: "\(feature.rawValue), declared since \(declared)", observed: "the kernel \(version) lacks it")
        case (false, true):
            self = .disagreement(
                expected: "no \(feature.rawValue), declared since \(declared)", observed: "the kernel \(version) has it"
            )
        }
    }
}
