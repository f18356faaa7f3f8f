import Addressing
import Foundation
import Subprocess
import SystemPackage
import Testing

@testable import PolicyDNS

/// `lab dns` as an operator uses it: a process, its configuration's file, and signals.
@Suite("lab dns")
struct ServeCommandTests {
    /// `lab`, built beside the tests.
    private static let command = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appending(path: "lab").path

    private func text(answeringFrom prefix: String) -> String {
        """
        listeners: ["127.0.0.1:0"]
        workers: 2
        zones: [{name: example.com, nameservers: [ns.example.net]}]
        pools: [{name: all, prefixes: \(prefix)}]
        policies: [{name: all, pool: all, ttl: 7}]
        """
    }

    private func withFile(_ text: String, _ body: (String) async throws -> Void) async throws {
        let path = NSTemporaryDirectory() + "binding-lab-\(UInt64.random(in: 0 ... .max)).yaml"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(path)
    }

    /// Asks over UDP until `stop` says so, one query at a time, and counts what came back from which prefix.
    private struct Load: Sendable {
        var sent = 0
        var answered: [String: Int] = [:]

        static func ask(_ server: Endpoint, count: Int, into load: inout Load) throws {
            let client = try ClientSocket(.udp, .ipv4)
            for _ in 0..<count {
                let id = UInt16(truncatingIfNeeded: load.sent)
                try client.send(testQuery(id), to: server)
                load.sent += 1
                // Nothing but a lost query makes this fail: the server is at hand, and has one to answer.
                guard client.wait(for: POLLIN, milliseconds: 20_000), let (answer, _) = client.receiveDatagram(),
                    answeredID(answer) == id
                else { continue }
                let address = answer.suffix(4)
                load.answered[address.prefix(3).map(String.init).joined(separator: "."), default: 0] += 1
            }
        }
    }

    @Test("a reload loses no query, a bad file changes nothing and is located, and SIGTERM ends the server well")
    func serves() async throws {
        try await withFile(text(answeringFrom: "192.0.2.0/24")) { path in
            let result = try await run(
                .path(FilePath(Self.command)),
                arguments: ["dns", "serve", "--config", path], input: .none,
                output: .discarded, error: .sequence
            ) { execution in
                var lines = execution.standardError.strings().makeAsyncIterator()
                func next(_ wanted: String) async throws -> String {
                    while let line = try await lines.next() { if line.contains(wanted) { return line } }
                    Issue.record("the log ended before '\(wanted)'")
                    throw CancellationError()
                }
                let listening = try await next("listening")
                let place = try #require(listening.split(separator: " ").first { $0.hasPrefix("address=") })
                let server = try Endpoint(text: String(place.dropFirst("address=".count)))
                var load = Load()
                try Load.ask(server, count: 50, into: &load)
                #expect(load.answered == ["192.0.2": 50])

                try text(answeringFrom: "192.0.2.7/24").write(toFile: path, atomically: true, encoding: .utf8)
                try execution.send(signal: .terminalClosed)
                let refusal = try await next("refused")
                #expect(refusal.contains("\(path):4:31: 192.0.2.7/24 has host bits set: write 192.0.2.0/24"))
                try Load.ask(server, count: 50, into: &load)
                #expect(load.answered == ["192.0.2": 100])

                // Reloaded to and fro while queries come: each is answered, from one of the two.
                for round in 0..<10 {
                    let prefix = round % 2 == 0 ? "198.51.100.0/24" : "192.0.2.0/24"
                    try text(answeringFrom: prefix).write(toFile: path, atomically: true, encoding: .utf8)
                    try execution.send(signal: .terminalClosed)
                    try Load.ask(server, count: 50, into: &load)
                    _ = try await next("reloaded")
                    var after = Load()
                    try Load.ask(server, count: 10, into: &after)
                    #expect(after.answered == [String(prefix.dropLast(5)): 10])
                }
                #expect(load.sent == 600)
                #expect(load.answered.values.reduce(0, +) == load.sent)

                // What waits when the signal comes is answered before the end.
                let client = try ClientSocket(.udp, .ipv4)
                for id in 0..<100 { try client.send(testQuery(UInt16(id)), to: server) }
                try execution.send(signal: .terminate)
                var answered: Set<UInt16> = []
                while answered.count < 100, client.wait(for: POLLIN, milliseconds: 20_000),
                    let (answer, _) = client.receiveDatagram()
                {
                    if let id = answeredID(answer) { answered.insert(id) }
                }
                #expect(answered.count == 100)
                while try await lines.next() != nil {}
            }
            #expect(result.terminationStatus == .exited(0))
        }
    }

    @Test("a bad configuration is the user's error, and nothing is served")
    func refuses() async throws {
        try await withFile(text(answeringFrom: "192.0.2.0/24").replacing("pool: all", with: "pool: al")) { path in
            for verb in [["serve", "--config", path], ["check", path]] {
                let result = try await run(
                    .path(FilePath(Self.command)), arguments: Arguments(["dns"] + verb),
                    output: .string(limit: 1 << 16),
                    error: .string(limit: 1 << 16))
                #expect(result.terminationStatus == .exited(2))
                #expect(result.standardError == "lab: \(path):5:30: there is no pool 'al'; did you mean 'all'?\n")
                #expect(result.standardOutput.isEmpty)
            }
        }
    }

    @Test("a socket that cannot be served is refused with the reason")
    func refusesSocket() async throws {
        try await withFile(text(answeringFrom: "192.0.2.0/24")) { path in
            let result = try await run(
                .path(FilePath(Self.command)), arguments: ["dns", "serve", "--config", path, "--socket", "0"],
                output: .string(limit: 1 << 16), error: .string(limit: 1 << 16))
            #expect(result.terminationStatus == .exited(2))
            #expect(result.standardError.contains("not a socket"))
        }
    }
}
