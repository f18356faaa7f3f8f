import ArgumentParser
import Foundation
import Lab
import Report
import Subprocess
import VirtualMachine

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "What this machine can do, and what would make it able to do more.")

    /// One thing that was looked at.
    private struct Finding {
        var subject: String
        var text: String
        /// nil where it is neither good nor bad.
        var isGood: Bool?
    }

    func run() async throws {
        var findings = [await packages(), await qemu()]
        findings += [await accelerator(), try kernels(), privileges()]
        let rows = findings.map { finding -> [Table.Cell] in
            [.init(finding.isGood.map { $0 ? "ok" : "NO" } ?? "-"), .init(finding.subject), .init(finding.text)]
        }
        try StandardOutput.write(Table(rows: rows).lines().joined(separator: "\n") + "\n")
        if findings.contains(where: { $0.isGood == false }) { throw ExitCode(ExitStatus.broken.rawValue) }
    }

    private func packages() async -> Finding {
        let subject = "packages"
        guard let root = try? PackageRoot.find() else {
            return Finding(subject: subject, text: "not checked: lab runs outside its working copy", isGood: nil)
        }
        let answer = await ask("/bin/sh", ["\(root)/scripts/setup", "--check"])
        guard let answer else { return Finding(subject: subject, text: "scripts/setup does not run", isGood: false) }
        let text = answer.text.split(separator: "\n").joined(separator: "; ")
        return answer.isSuccess
            ? Finding(subject: subject, text: "all installed", isGood: true)
            : Finding(subject: subject, text: "\(text); install with scripts/setup", isGood: false)
    }

    private func qemu() async -> Finding {
        guard let answer = await ask("qemu-system-x86_64", ["--version"]), answer.isSuccess else {
            return Finding(
                subject: "QEMU", text: "qemu-system-x86_64 is not found; install with scripts/setup", isGood: false)
        }
        let line = answer.text.split(separator: "\n").first.map(String.init) ?? "of an unknown version"
        return Finding(subject: "QEMU", text: line, isGood: true)
    }

    private func accelerator() async -> Finding {
        guard let cache = try? Cache.standard(), let known = try? await Accelerator.known(in: cache) else {
            return Finding(subject: "accelerator", text: "not probed yet: the first lab run does it", isGood: nil)
        }
        return Finding(subject: "accelerator", text: "\(known.accelerator.rawValue): \(known.because)", isGood: true)
    }

    private func kernels() throws -> Finding {
        let catalogue = try KernelChoice.catalogue()
        let fetcher = KernelFetcher(catalogue: catalogue, cache: try Cache.standard())
        let cached = catalogue.names.filter { fetcher.cached($0) != nil }
        let text =
            cached.isEmpty
            ? "none in the cache: lab run, or lab kernels fetch, gets one"
            : "in the cache: \(cached.joined(separator: ", "))"
        return Finding(subject: "kernels", text: text, isGood: cached.isEmpty ? nil : true)
    }

    /// Whether `lab run --host` would work. It is never needed, so its absence is no fault.
    private func privileges() -> Finding {
        let identity = KernelIdentity.running
        let release = identity.release
        let hasHook = Feature.skLookup.declared?.contains(identity.version) ?? true
        let isRoot = HostRunner.isPrivileged
        let text =
            switch (hasHook, isRoot) {
            case (true, true): "root on \(release): possible"
            case (true, false): "not root: possible with sudo, on \(release)"
            case (false, _): "not possible: \(release) is older than sk_lookup (5.9)"
            }
        return Finding(subject: "lab run --host", text: text, isGood: hasHook && isRoot ? true : nil)
    }

    /// What a program prints; nil where it cannot be started.
    private func ask(_ program: String, _ arguments: [String]) async -> (isSuccess: Bool, text: String)? {
        let executable: Executable = program.hasPrefix("/") ? .path(.init(program)) : .name(program)
        let result = try? await Subprocess.run(
            executable, arguments: Arguments(arguments), output: .string(limit: 64 << 10), error: .discarded)
        return result.map { ($0.terminationStatus.isSuccess, $0.standardOutput) }
    }
}
