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

    @Test("bash reads its completion script, which completes the commands that there are")
    func completes() async throws {
        let script = try await lab("--generate-completion-script", "bash")
        #expect(script.status.isSuccess)
        for (asked, expected) in [("lab disp", "dispatch"), ("lab dispatch unre", "unregister")] {
            // As bash does it: the words, which of them is meant, and then the function that is registered for the command.
            let line = """
                set -u; source /dev/stdin || exit 9
                COMP_WORDS=(\(asked)); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE='\(asked)'
                COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9 COMPREPLY=()
                words=($(complete -p lab)); complete -p lab >/dev/null || exit 8
                for index in ${!words[@]}; do [ "${words[index]}" != -F ] || completing=${words[index + 1]}; done
                set +u; $completing lab "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
                printf '%s\\n' "${COMPREPLY[@]}"
                """
            let result = try await run(
                .name("bash"), arguments: ["--norc", "--noprofile", "-c", line],
                input: .string(script.output), output: .string(limit: 1 << 16), error: .string(limit: 1 << 16))
            #expect(result.terminationStatus.isSuccess, "\(result.standardError)")
            #expect(result.standardOutput.split(whereSeparator: \.isWhitespace) == [Substring(expected)], "\(asked)")
        }
        let syntax = try await run(
            .name("bash"), arguments: ["-n"], input: .string(script.output), output: .discarded,
            error: .string(limit: 1 << 16))
        #expect(syntax.terminationStatus.isSuccess && syntax.standardError.isEmpty, "\(syntax.standardError)")
    }

    @Test("a misspelt command is the user's error, with the nearest match")
    func misspeltCommand() async throws {
        for (arguments, message) in [
            (["rn"], "lab has no command 'rn'; did you mean run?"),
            (["dispatch", "regster", "web"], "lab dispatch has no command 'regster'; did you mean register?"),
        ] {
            let result = try await run(
                .path(FilePath(Self.command)), arguments: Arguments(arguments), output: .discarded,
                error: .string(limit: 1 << 16))
            #expect(result.terminationStatus == .exited(2))
            #expect(result.standardError == "lab: \(message)\n")
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
