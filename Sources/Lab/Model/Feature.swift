/// Something that a kernel has or has not, found by probing and held against the version it is declared for.
///
/// Where a declared first version exists, probe and declaration must agree: a backport that nobody
/// declared and a regression are both reported, never silently skipped.
public enum Feature: String, Hashable, Sendable, Codable, CaseIterable {
    /// The `BPF_PROG_TYPE_SK_LOOKUP` hook (commit e9ddbb7707ff).
    case skLookup = "sk-lookup"
    /// `BPF_PROG_TEST_RUN` for sk_lookup programs (commit 7c32e8f8bc33).
    case testRun = "sk-lookup-test-run"
    /// The field `ingress_ifindex` of an sk_lookup program's context (commit f89315650ba3).
    case ingressIndex = "ingress-ifindex"
    /// IPv6; a matter of configuration.
    case ipv6
    /// Pairs of devices that connect namespaces, veth or netkit; a matter of configuration or of a module.
    case devicePair = "device-pair"

    /// The first versions that have it; nil where that depends on the kernel's configuration alone.
    public var declared: VersionSet? {
        switch self {
        case .skLookup: VersionSet(KernelVersion(5, 9))
        // Backported to 5.10 in August 2022.
        case .testRun: VersionSet(KernelVersion(5, 13), KernelVersion(5, 10, 135))
        case .ingressIndex: VersionSet(KernelVersion(5, 17))
        case .ipv6, .devicePair: nil
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
