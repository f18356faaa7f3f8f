import Foundation
import Subprocess
import SystemPackage
import Testing
import VirtualMachine

extension KernelTests {
    /// What is left of a command that was told to stop while a machine ran.
    @Suite(.enabled(TestKernels.hint) { await TestKernels.canBoot })
    struct InterruptionTests {
        @Test(arguments: [Signal.interrupt, .terminate, .kill])
        func `no machine outlives the command`(signal: Signal) async throws {
            let command = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "lab")
                .path
            let series = TestKernels.series[0]
            // Fetched and built before, so that what is interrupted is a machine.
            _ = try await TestKernels.runner(for: try await TestKernels.first)
            let runs = "\(try Cache.standard().root)/run"
            let result = try await run(
                .path(FilePath(command)), arguments: ["run", "wildcard/*", "--kernel", series], input: .none,
                output: .discarded, error: .sequence
            ) { execution in
                var isSent = false
                for try await line in execution.standardError.strings() where !isSent && line.contains("conforms") {
                    try execution.send(signal: signal)
                    isSent = true
                }
                return execution.processIdentifier.value
            }
            let owned = try FileManager.default.contentsOfDirectory(atPath: runs)
                .filter { $0.hasPrefix("\(result.closureResult).") }
            switch signal {
            case .kill:
                #expect(result.terminationStatus == .signaled(SIGKILL))
                // The directory stays until the next lab sweeps it; the machine must not.
                for directory in owned {
                    let text = try String(contentsOfFile: "\(runs)/\(directory)/qemu.pid", encoding: .utf8)
                    let machine = try #require(pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)))
                    try await waitUntilGone(machine)
                }
            default:
                #expect(result.terminationStatus == .exited(128 + signal.rawValue))
                #expect(owned.isEmpty)
            }
        }

        /// Dead, and at most waiting to be reaped by whoever inherited it.
        private func waitUntilGone(_ process: pid_t) async throws {
            let deadline = ContinuousClock.now + .seconds(30)
            while ContinuousClock.now < deadline {
                guard let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
                    !status.contains(") Z ")
                else { return }
                // A process that is no child of ours announces its end to nobody.
                try await Task.sleep(for: .milliseconds(20))
            }
            Issue.record("QEMU \(process) outlives a killed command")
        }
    }
}
