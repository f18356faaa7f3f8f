import Foundation
import Subprocess
import SystemPackage
import Testing
import VirtualMachine

extension KernelTests {
    /// The command on the running kernel, as somebody with a bug would use it.
    @Suite(.enabled(if: TestKernels.canUseHost, TestKernels.rootHint))
    struct CommandOnHostTests {
        private func lab(_ arguments: String...) async throws -> (status: TerminationStatus, output: String) {
            let path = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "lab").path
            let result = try await run(
                .path(FilePath(path)), arguments: Arguments(arguments), output: .string(limit: 1 << 20),
                error: .discarded)
            return (result.terminationStatus, result.standardOutput)
        }

        @Test func `the example in the repository conforms`() async throws {
            let result = try await lab("run", "--host", "\(PackageRoot.find())/Examples/two-dns-servers.yaml")
            #expect(result.status == .exited(0), "\(result.output)")
            #expect(result.output.contains("1 conforms"))
        }

        @Test func `a wrong expectation exits 1 and names the step, the expected and the observed outcome`()
            async throws
        {
            let example = try String(
                contentsOfFile: "\(PackageRoot.find())/Examples/two-dns-servers.yaml", encoding: .utf8)
            let path = NSTemporaryDirectory() + "binding-lab-\(UInt64.random(in: 0 ... .max)).yaml"
            try example.replacingOccurrences(of: "reaches: recursive", with: "reaches: authoritative")
                .write(toFile: path, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(atPath: path) }
            let result = try await lab("run", "--host", path)
            #expect(result.status == .exited(1))
            #expect(result.output.contains("step      13: udp probe from server to 203.0.113.7:53"))
            #expect(result.output.contains("expected  reaches authoritative, and no other socket"))
            #expect(result.output.contains("observed  recursive answered from 203.0.113.7:5302"))
        }

        @Test func `a fixture that survives its sabotage makes the run broken`() async throws {
            let example = try String(
                contentsOfFile: "\(PackageRoot.find())/Examples/two-dns-servers.yaml", encoding: .utf8)
            let path = NSTemporaryDirectory() + "binding-lab-\(UInt64.random(in: 0 ... .max)).yaml"
            // Without probes that need the program, its absence goes unnoticed.
            let blind = example.split(separator: "\n", omittingEmptySubsequences: false)
                .filter {
                    !$0.contains("192.0.2.7:53\"") && !$0.contains("203.0.113.7:53\"") && !$0.contains("reaches:")
                }
            try blind.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(atPath: path) }
            let result = try await lab("run", "--host", "--sabotage", path)
            #expect(result.status == .exited(3))
            #expect(result.output.contains("it conforms all the same: the fixture proves nothing"))
        }
    }
}
