import FoundationEssentials
import Glibc

/// What executes a guest's instructions.
public enum Accelerator: String, Sendable, Hashable, CaseIterable {
    /// The processor itself.
    case kvm
    /// QEMU's translator: always there, and many times slower.
    case tcg

    /// How the choice was made, for `lab doctor`.
    public struct Choice: Sendable, Hashable {
        public var accelerator: Accelerator
        public var because: String
    }

    /// Long enough for a guest under KVM on a busy machine; TCG never takes part.
    private static let probeDeadline: Duration = .seconds(6)

    /// Chooses by booting `kernel` under KVM and asking whether the guest answers: a /dev/kvm that opens may
    /// still hang or abort QEMU. The verdict is kept for this QEMU on this host's kernel.
    ///
    /// `LAB_ACCELERATOR` overrides.
    public static func choose(
        booting kernel: Kernel, artifacts: GuestArtifacts, cache: Cache, report: (String) -> Void = { _ in }
    ) async throws -> Choice {
        if let name = Environment.value("LAB_ACCELERATOR") {
            guard let accelerator = Accelerator(rawValue: name) else {
                throw MachineError.badSetting(
                    name: "LAB_ACCELERATOR", value: name, allowed: allCases.map(\.rawValue))
            }
            return Choice(accelerator: accelerator, because: "LAB_ACCELERATOR says so")
        }
        let device = open("/dev/kvm", O_RDWR | O_CLOEXEC)
        guard device >= 0 else {
            return Choice(accelerator: .tcg, because: "/dev/kvm: \(String(cString: strerror(errno)))")
        }
        close(device)

        // That a kernel did not come up under KVM may be the kernel's doing, so it is kept for that image only.
        let record = try await record(cache)
        let failure = "\(record)-\(try await ContentKey.of(files: [], in: "/", salt: [ContentKey.stamp(kernel.image)]))"
        for path in [record, failure] { if let choice = stored(path) { return choice } }

        report("trying KVM")
        let choice = try await probe(kernel, artifacts: artifacts, cache: cache)
        try Files.makeDirectory("\(cache.root)/accelerator")
        try await Files.place(choice.accelerator == .kvm ? record : failure) {
            try Files.write(Array("\(choice.accelerator.rawValue)\n\(choice.because)".utf8), to: $0)
        }
        return choice
    }

    /// The newest verdict of a probe with this QEMU on this host's kernel; nil if there was none.
    public static func known(in cache: Cache) async throws -> Choice? {
        let record = try await record(cache)
        let directory = "\(cache.root)/accelerator"
        let verdicts = Files.names(in: directory).map { "\(directory)/\($0)" }.filter { $0.hasPrefix(record) }
        return verdicts.lazy.compactMap(stored).first
    }

    private static func record(_ cache: Cache) async throws -> String {
        let qemu = try Tool("qemu-system-x86_64", package: "qemu-system-x86")
        let version = try await qemu.text(["--version"], on: "its version")
        let host = try Files.read("/proc/sys/kernel/osrelease")
        let key = try await ContentKey.of(files: [], in: "/", salt: [version, String(decoding: host, as: UTF8.self)])
        return "\(cache.root)/accelerator/\(key)"
    }

    private static func stored(_ path: String) -> Choice? {
        guard let stored = FileManager.default.contents(atPath: path) else { return nil }
        let lines = String(decoding: stored, as: UTF8.self).split(separator: "\n", maxSplits: 1).map(String.init)
        guard lines.count == 2, let accelerator = Accelerator(rawValue: lines[0]) else { return nil }
        return Choice(accelerator: accelerator, because: lines[1])
    }

    private static func probe(
        _ kernel: Kernel, artifacts: GuestArtifacts, cache: Cache
    ) async throws -> Choice {
        var options = MachineOptions()
        options.kernelDeadline = probeDeadline
        options.agentDeadline = probeDeadline
        let initramfs = try await Initramfs.prepare(for: kernel, artifacts: artifacts, cache: cache)
        return try await RunDirectory.with(in: "\(cache.root)/run") { run in
            let (loss, end) = try await Machine.with(
                image: kernel.image, initramfs: initramfs, accelerator: .kvm, options: options, in: run
            ) { machine -> Loss? in
                do {
                    _ = try await machine.start()
                    return nil
                } catch let loss as Loss {
                    return loss
                }
            }
            switch loss {
            case nil: return Choice(accelerator: .kvm, because: "a guest booted under KVM")
            case .deadline(let phase, let limit):
                return Choice(accelerator: .tcg, because: "under KVM, \(limit) was not enough for \(phase.rawValue)")
            case .gone:
                let said = end.errors.split(separator: "\n").first.map { ": \($0)" } ?? ""
                return Choice(accelerator: .tcg, because: "under KVM, QEMU ended (\(end.status))\(said)")
            case .some(let other):
                return Choice(accelerator: .tcg, because: "under KVM, the guest failed: \(other)")
            }
        }
    }
}
