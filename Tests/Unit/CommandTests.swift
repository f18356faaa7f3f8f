import Foundation
import Subprocess
import SystemPackage
import Testing

/// What a user sees of the command where no kernel is needed: names, suggestions, exit status.
@Suite("Command")
struct CommandTests {
    /// `lab`, built beside the tests.
    private static let command = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appending(path: "lab").path

    private func lab(_ arguments: String...) async throws -> (status: TerminationStatus, output: String, errors: String)
    {
        let result = try await run(
            .path(FilePath(Self.command)), arguments: Arguments(arguments), output: .string(limit: 1 << 22),
            error: .string(limit: 1 << 20))
        return (result.terminationStatus, result.standardOutput, result.standardError)
    }

    private func file(_ text: String, _ body: (String) async throws -> Void) async throws {
        let path = NSTemporaryDirectory() + "binding-lab-\(UInt64.random(in: 0 ... .max)).yaml"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(path)
    }

    @Test("the catalogue is listed by family with reasons, and as one JSON object per fixture")
    func lists() async throws {
        let text = try await lab("list", "figure-4c/*")
        #expect(text.status.isSuccess)
        #expect(text.output.hasPrefix("figure-4c/\n  two-matches-at-once\n"))
        #expect(text.output.contains("because: paper Figure 4c"))
        let json = try await lab("list", "figure-4c/*", "--format", "json")
        #expect(json.output.split(separator: "\n").count == 4)
    }

    @Test("a built-in fixture is shown as YAML that the command accepts again")
    func shows() async throws {
        let shown = try await lab("show", "ranges/single-address:udp-ipv4")
        #expect(shown.status.isSuccess)
        try await file(shown.output) { path in
            let again = try await lab("show", path)
            #expect(again.output == shown.output)
        }
    }

    @Test("a misspelt fixture, series or option is the user's error: exit 2, with the nearest match")
    func misspelt() async throws {
        let fixture = try await lab("run", "ranges/nested-prefixs")
        #expect(fixture.status == .exited(2))
        #expect(fixture.errors.contains("did you mean ranges/nested-prefixes?"))
        let series = try await lab("run", "--kernel", "6.13")
        #expect(series.status == .exited(2))
        #expect(series.errors.contains("did you mean 6.12?"))
        let option = try await lab("run", "--kernle", "6.12")
        #expect(option.status == .exited(2))
        let path = try await lab("run", "--kernel", "/nonexistent/bzImage")
        #expect(path.status == .exited(2))
    }

    @Test("a broken fixture file is the user's error: exit 2, with file, line and column")
    func brokenFile() async throws {
        let text = "name: a/b\nsummary: x\nsteps:\n- namespace: server\n- probe: {from: server, protocol: upd, to: x}\n"
        try await file(text) { path in
            let result = try await lab("run", path)
            #expect(result.status == .exited(2))
            #expect(result.errors.contains("\(path):5:"))
            #expect(result.output.isEmpty)
        }
    }

    @Test("a socket that no step opened is found before anything is performed, with its line")
    func unknownSocket() async throws {
        let text = "name: a/b\nsummary: x\nsteps:\n- namespace: server\n- close: wbe\n"
        try await file(text) { path in
            let result = try await lab("run", path)
            #expect(result.status == .exited(2))
            #expect(result.errors.contains("\(path):5:3: a/b, step 2: no socket is called 'wbe'"))
        }
    }

    @Test("a file that is no kernel is refused before anything is booted")
    func noKernel() async throws {
        try await file("not a kernel") { path in
            let result = try await lab("run", "--kernel", path)
            #expect(result.status == .exited(2))
            #expect(result.errors.contains(path))
        }
    }
}
