import Testing

@testable import Lab

@Suite("Kernel versions")
struct KernelVersionTests {
    @Test("a release's leading numbers are its version", arguments: [
        ("7.3.4+deb13-cloud-amd64", KernelVersion(7, 3, 4)), ("6.12", KernelVersion(6, 12)),
        ("6.19.0-rc3", KernelVersion(6, 19)), ("5.10.262-1", KernelVersion(5, 10, 262)),
    ])
    func parses(text: String, version: KernelVersion) {
        #expect(KernelVersion(text) == version)
    }

    @Test("text without two numbers is no version", arguments: ["", "6", "linux", "v6.1"])
    func refuses(text: String) {
        #expect(KernelVersion(text) == nil)
    }

    @Test("versions compare by number, not by text")
    func compares() {
        #expect(KernelVersion(5, 9) < KernelVersion(5, 10))
        #expect(KernelVersion(6, 12, 9) < KernelVersion(6, 12, 10))
    }

    @Test("the upstream version of a Debian kernel that names only its ABI is in its build")
    func debianBuild() {
        let identity = KernelIdentity(
            release: "5.10.0-46-cloud-amd64", build: "#1 SMP Debian 5.10.262-1 (2026-09-11)")
        #expect(identity.version == KernelVersion(5, 10, 262))
    }

    @Test("a build that names another series is not believed")
    func foreignBuild() {
        let identity = KernelIdentity(release: "6.12.1", build: "#1 SMP Debian 5.10.262-1")
        #expect(identity.version == KernelVersion(6, 12, 1))
    }

    @Test("a change is in mainline's later versions, and in the stable series that took it", arguments: [
        ("5.9", false), ("5.10.134", false), ("5.10.135", true), ("5.11", false), ("5.12.19", false),
        ("5.13", true), ("6.1", true),
    ])
    func backports(text: String, contained: Bool) throws {
        let version = try #require(KernelVersion(text))
        #expect(VersionSet(KernelVersion(5, 13), KernelVersion(5, 10, 135)).contains(version) == contained)
    }

    @Test("a feature that is absent as declared is unsupported; any disagreement is reported")
    func availability() {
        let old = KernelVersion(5, 10, 100)
        let new = KernelVersion(6, 12)
        #expect(Availability(of: .testRun, probed: true, version: new) == .available)
        #expect(Availability(of: .testRun, probed: false, version: old) == .unsupported)
        #expect(Availability(of: .veth, probed: false, version: new) == .unsupported)
        guard case .disagreement(_, let regression) = Availability(of: .testRun, probed: false, version: new),
            case .disagreement(_, let backport) = Availability(of: .testRun, probed: true, version: old)
        else {
            Issue.record("a regression and an undeclared backport must both be reported")
            return
        }
        #expect(regression == "the kernel 6.12 lacks it")
        #expect(backport == "the kernel 5.10.100 has it")
    }
}
