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

    /// In CI, what cannot run fails.
    private static let isRequired = ProcessInfo.processInfo.environment["LAB_REQUIRE"] == "1"

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

    @Test("a socket that a service manager hands over is served, and its name is its label")
    func inherits() async throws {
        let text = """
            labels: [ams, sjc]
            workers: 1
            zones: [{name: example.com, nameservers: [ns.example.net]}]
            pools: [{name: west, prefixes: 192.0.2.0/24}, {name: east, prefixes: 198.51.100.0/24}]
            policies: [{name: west, match: {label: sjc}, pool: west}, {name: east, match: {label: ams}, pool: east}]
            """
        try await withFile(text) { path in
            let socket = try ClientSocket(.udp, .ipv4, from: Endpoint(.loopback(.ipv4), 0))
            let server = try #require(socket.address)
            // The shell turns its standard input into descriptor 3, which is where a service manager begins.
            let script = """
                LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ams exec "$0" dns serve --config "$1" 3<&0
                """
            let result = try await run(
                .path("/bin/sh"), arguments: ["-c", script, Self.command, path],
                input: .fileDescriptor(FileDescriptor(rawValue: socket.descriptor), closeAfterSpawningProcess: false),
                output: .discarded, error: .sequence
            ) { execution in
                var lines = execution.standardError.strings().makeAsyncIterator()
                let listening = try await lines.next() ?? ""
                #expect(listening.contains("handed over") && listening.contains("label=ams"), "\(listening)")
                var load = Load()
                try Load.ask(server, count: 20, into: &load)
                #expect(load.answered == ["198.51.100": 20])
                try execution.send(signal: .terminate)
                while try await lines.next() != nil {}
            }
            #expect(result.terminationStatus == .exited(0))
        }
    }

    @Test(
        "no thread keeps a privilege once the sockets are bound",
        .enabled(if: geteuid() == 0 || Self.isRequired, "only root has any"))
    func unprivileged() async throws {
        try await withFile(text(answeringFrom: "192.0.2.0/24") + "\nuser: nobody") { path in
            let result = try await run(
                .path(FilePath(Self.command)),
                arguments: ["dns", "serve", "--config", path], input: .none, output: .discarded, error: .sequence
            ) { execution in
                var lines = execution.standardError.strings().makeAsyncIterator()
                while let line = try await lines.next(), !line.contains("listening") {}
                let tasks = "/proc/\(execution.processIdentifier.value)/task"
                let threads = try FileManager.default.contentsOfDirectory(atPath: tasks)
                #expect(threads.count > 2)
                for thread in threads {
                    let status = try String(contentsOfFile: "\(tasks)/\(thread)/status", encoding: .utf8)
                        .split(separator: "\n")
                    func field(_ name: String) -> String? {
                        status.first { $0.hasPrefix(name) }.map {
                            $0.dropFirst(name.count).trimmingCharacters(in: .whitespaces)
                        }
                    }
                    // nobody is 65534 everywhere; real, effective, saved and file system's.
                    #expect(field("Uid:")?.split(separator: "\t") == ["65534", "65534", "65534", "65534"])
                    #expect(field("CapEff:").flatMap { UInt64($0, radix: 16) } == 0)
                    #expect(field("CapPrm:").flatMap { UInt64($0, radix: 16) } == 0)
                }
                try execution.send(signal: .terminate)
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

    @Test("a socket that is handed over twice, a user that is not there, and a directory are the user's errors")
    func refusesArguments() async throws {
        func refusal(_ path: String, script: String, _ input: FileDescriptor) async throws -> String? {
            let result = try await run(
                .path("/bin/sh"), arguments: ["-c", script, Self.command, path],
                input: .fileDescriptor(input, closeAfterSpawningProcess: false),
                output: .discarded, error: .string(limit: 1 << 16))
            #expect(result.terminationStatus == .exited(2))
            return result.standardError
        }
        let socket = try ClientSocket(.udp, .ipv4, from: Endpoint(.loopback(.ipv4), 0))
        let input = FileDescriptor(rawValue: socket.descriptor)
        try await withFile(text(answeringFrom: "192.0.2.0/24")) { path in
            let twice = try await refusal(
                path, script: #"LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" dns serve --config "$1" --socket 3 3<&0"#, input)
            #expect(twice == "lab: descriptor 3 is handed over twice: name it once\n")
        }
        let script = #"exec "$0" dns serve --config "$1""#
        try await withFile(text(answeringFrom: "192.0.2.0/24") + "\nuser: nobody-at-all") { path in
            let user = try await refusal(path, script: script, input)
            #expect(user?.contains("there is no user 'nobody-at-all'") == true)
        }
        let directory = try await refusal("/", script: script, input)
        #expect(directory == "lab: /: is a directory: name a file\n")
    }

    @Test("a worker that cannot go on ends the server, and nobody is left waiting at its sockets")
    func workerFails() async throws {
        try await withFile(text(answeringFrom: "192.0.2.0/24")) { path in
            let listener = try ClientSocket(.tcp, .ipv4, from: Endpoint(.loopback(.ipv4), 0))
            try #require(listen(listener.descriptor, 1) == 0)
            let result = try await run(
                .path("/bin/sh"),
                arguments: ["-c", #"exec "$0" dns serve --config "$1" --socket 3 3<&0"#, Self.command, path],
                input: .fileDescriptor(FileDescriptor(rawValue: listener.descriptor), closeAfterSpawningProcess: false),
                output: .discarded, error: .sequence
            ) { execution in
                var lines = execution.standardError.strings().makeAsyncIterator()
                while let line = try await lines.next(), !line.contains("handed over") {}
                // Whoever shares the listener shuts it down: accept4(2) has no more to say than EINVAL.
                shutdown(listener.descriptor, Int32(SHUT_RDWR))
                // Ends the process, should it not end by itself: the test fails by the status then.
                let ends = Task {
                    try await Task.sleep(for: .seconds(20))
                    try execution.send(signal: .kill)
                }
                while try await lines.next() != nil {}
                ends.cancel()
            }
            #expect(result.terminationStatus == .exited(3))
        }
    }
}
