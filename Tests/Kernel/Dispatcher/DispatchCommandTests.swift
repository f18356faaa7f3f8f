import Addressing
import Foundation
import Subprocess
import SystemPackage
import Testing

@testable import SocketLookup

extension KernelTests {
    /// `lab dispatch` as an operator uses it: processes, one after the other.
    @Suite(
        "lab dispatch",
        .enabled(if: obstacleToSocketLookup == nil, Comment(rawValue: obstacleToSocketLookup ?? "")))
    struct DispatchCommandTests {
        private struct Outcome: Equatable {
            var status: TerminationStatus
            var output: String
            var errors: String

            static func good(_ output: String, note: String = "") -> Outcome {
                Outcome(status: .exited(0), output: output, errors: note)
            }

            static func bad(_ status: Int32, _ errors: String) -> Outcome {
                Outcome(status: .exited(status), output: "", errors: errors)
            }
        }

        /// A namespace and a BPF file system of the test's own, as options name them.
        private struct Place {
            let dispatcher: PinnedDispatcher

            /// - Parameters:
            ///   - script: What the shell does, in which `"$@"` is the command.
            ///   - input: Standard input.
            func callAsFunction(
                _ arguments: String..., script: String = #""$@""#, input: FileDescriptor? = nil
            ) async throws -> Outcome {
                let command = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
                    .appending(path: "lab").path
                let namespace = "/proc/\(getpid())/fd/\(dispatcher.namespace.descriptor.rawValue)"
                let null = try FileDescriptor.open("/dev/null", .readOnly)
                defer { try? null.close() }
                let result = try await run(
                    .path("/bin/sh"),
                    arguments: Arguments(
                        ["-c", script, "sh", command, "dispatch"] + arguments
                            + ["--netns", namespace, "--state", dispatcher.location.base.string]),
                    input: .fileDescriptor(input ?? null, closeAfterSpawningProcess: false),
                    output: .string(limit: 1 << 20), error: .string(limit: 1 << 20))
                return Outcome(
                    status: result.terminationStatus, output: result.standardOutput, errors: result.standardError)
            }

            var directory: String { dispatcher.location.directory.string }
        }

        private func withPlace(loading: Bool = true, _ body: (Place) async throws -> Void) async throws {
            let dispatcher = try await PinnedDispatcher(loading: loading)
            defer { dispatcher.close() }
            try await body(Place(dispatcher: dispatcher))
        }

        private func withFile(_ text: String, _ body: (String) async throws -> Void) async throws {
            let path = NSTemporaryDirectory() + "binding-lab-\(UInt64.random(in: 0 ... .max)).yaml"
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(atPath: path) }
            try await body(path)
        }

        @Test("loads, upgrades and unloads; what is not loaded, or twice, is the user's error")
        func lifetime() async throws {
            try await withPlace(loading: false) { lab async throws in
                let object = lab.dispatcher.object.string
                let missing = "lab: this network namespace has no dispatcher (\(lab.directory)): load one\n"
                #expect(try await lab("list") == .bad(2, missing))
                #expect(try await lab("status").output.hasSuffix("\nloaded    no\n"))
                #expect(try await lab("load", "--object", object) == .good("loaded: \(lab.directory)\n"))
                #expect(try await lab("load", "--object", object).status == .exited(2))
                #expect(
                    try await lab("load", "--object", "/nowhere")
                        == .bad(2, "lab: --object /nowhere: there is no such file\n"))
                #expect(try await lab("status").output.contains("\nloaded    yes\n"))
                let status = try await lab("status", "--format", "json").output
                #expect(
                    status.contains(#""bindings":0,"kind":"status","labels":0,"layout":2,"leftovers":[],"loaded":true"#)
                )
                #expect(try await lab("upgrade", "--object", object) == .good("upgraded to the same version\n"))
                #expect(try await lab("list") == .good("no bindings\n\nno sockets\n"))
                #expect(try await lab("unload") == .good("unloaded: \(lab.directory)\n"))
                #expect(try await lab("unload") == .bad(2, missing))
            }
        }

        @Test("binds and registers as written in the documentation, and a connection arrives")
        func serves() async throws {
            try await withPlace { lab async throws in
                let (descriptor, number) = try lab.dispatcher.namespace.socket(.tcp, "127.0.0.1:80")
                let cookie = String(number, radix: 16)
                #expect(
                    try await lab("bind", "tcp", "127.2.0.0/24", "8000-8010", "web")
                        == .good(
                            "+ tcp 127.2.0.0/24 8000-8010 → web\n", note: "lab: note: 'web' has no live socket yet\n"))
                #expect(try lab.dispatcher.namespace.connects("127.2.0.7:8005") == ECONNREFUSED)
                #expect(
                    try await lab("register", "web", "--pid", "\(getpid())")
                        == .good("registered tcp ipv4 socket \(cookie) under 'web'\n"))
                #expect(try lab.dispatcher.namespace.connects("127.2.0.7:8005") == 0)
                #expect(try lab.dispatcher.namespace.connects("127.2.0.7:8011") == ECONNREFUSED)
                #expect(
                    try await lab("list")
                        == .good(
                            """
                            PROTOCOL  PREFIX        PORTS      LABEL  OTHERWISE
                            tcp       127.2.0.0/24  8000-8010  web    drop

                            LABEL  PROTOCOL  FAMILY  SOCKET  CONDITION  SHARES
                            web    tcp       ipv4    \(cookie.padding(toLength: 6, withPad: " ", startingAt: 0))  \
                            active     64/64

                            """))
                #expect(
                    try await lab("list", "--format", "json")
                        == .good(
                            """
                            {"kind":"binding","label":"web","otherwise":"drop","ports":"8000-8010",\
                            "prefix":"127.2.0.0/24","protocol":"tcp","schema":1}
                            {"condition":"active","cookie":"\(cookie)","family":"ipv4","kind":"socket","label":"web",\
                            "protocol":"tcp","schema":1,"shares":64}

                            """))
                let metrics = try await lab("metrics").output
                for line in [
                    "dispatch_hits_total 1", "dispatch_misses_total 1",
                    #"dispatch_binding_hits_total{protocol="tcp",prefix="127.2.0.0/24",ports="8000-8010",label="web"} 1"#,
                    #"dispatch_sockets{label="web",protocol="tcp",family="ipv4",condition="active"} 1"#,
                ] { #expect(metrics.contains("\n\(line)\n"), "\(line)") }
                #expect(try await lab("drain", "web") == .good("draining tcp ipv4 socket \(cookie) under 'web'\n"))
                #expect(try lab.dispatcher.namespace.connects("127.2.0.7:8005") == ECONNREFUSED)
                #expect(
                    try await lab("register", "web", "--fd", "0", input: descriptor)
                        == .good("registered tcp ipv4 socket \(cookie) under 'web'\n"))
                #expect(try lab.dispatcher.namespace.connects("127.2.0.7:8005") == 0)
                #expect(
                    try await lab("unregister", "web", "--cookie", cookie)
                        == .good("unregistered tcp ipv4 socket \(cookie) under 'web'\n"))
                #expect(
                    try await lab(
                        "register", "web", script: #"LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&0"#, input: descriptor)
                        == .good("registered tcp ipv4 socket \(cookie) under 'web'\n"))
                #expect(
                    try await lab("unbind", "tcp", "127.2.0.0/24", "8000-8010", "web")
                        == .good("- tcp 127.2.0.0/24 8000-8010 → web\n"))
                #expect(try lab.dispatcher.namespace.connects("127.2.0.7:8005") == ECONNREFUSED)
            }
        }

        @Test("sockets take the places of those that were there, or join them, and options choose among them")
        func registers() async throws {
            try await withPlace { lab async throws in
                let sockets = try (80...82).map { try lab.dispatcher.namespace.socket(.tcp, "127.0.0.1:\($0)").cookie }
                let process = "\(getpid())"
                func registered() throws -> [UInt64: RegisteredSocket.Condition] {
                    let listed = try lab.dispatcher.open().sockets().compactMap { socket in
                        socket.cookie.map { ($0, socket.condition) }
                    }
                    return Dictionary(uniqueKeysWithValues: listed)
                }
                _ = try await lab("register", "web", "--pid", process, "--address", "127.0.0.1:80")
                #expect(try registered() == [sockets[0]: .active])
                _ = try await lab("register", "web", "--pid", process, "--address", "127.0.0.1:81")
                #expect(try registered() == [sockets[1]: .active])
                _ = try await lab("register", "web", "--pid", process, "--address", "127.0.0.1:82", "--add")
                #expect(try registered() == [sockets[1]: .active, sockets[2]: .active])
                _ = try await lab("drain", "web", "--cookie", "0x" + String(sockets[2], radix: 16))
                #expect(try registered() == [sockets[1]: .active, sockets[2]: .draining])
                _ = try await lab("register", "web", "--pid", process, "--all")
                #expect(try registered() == [sockets[0]: .active, sockets[1]: .active, sockets[2]: .active])
                #expect(try await lab("unregister", "web", "--protocol", "udp").status == .exited(2))
                #expect(try await lab("unregister", "web", "--pid", process, "--family", "ipv4").status == .exited(0))
                #expect(try registered().isEmpty)
            }
        }

        @Test("a set is replaced by a file's, a dry run changes nothing, and both say what differs")
        func replaces() async throws {
            try await withPlace { lab async throws in
                _ = try await lab("bind", "tcp", "192.0.2.0/24", "80", "old")
                _ = try await lab("bind", "tcp", "192.0.2.0/24", "443", "old")
                let text = """
                    bindings:
                      - {protocol: tcp, prefix: 192.0.2.0/24, ports: 443, label: new, otherwise: pass}
                      - {protocol: [tcp, udp], prefix: ["2001:db8::/32"], ports: 53, label: dns}
                    """
                let difference = """
                    - tcp 192.0.2.0/24 80 → old
                    ~ tcp 192.0.2.0/24 443 → new, else pass (was old)
                    + tcp 2001:db8::/32 53 → dns
                    + udp 2001:db8::/32 53 → dns

                    """
                try await withFile(text) { path async throws in
                    #expect(try await lab("replace", "--file", path, "--dry-run") == .good(difference))
                    #expect(try lab.dispatcher.open().bindings().count == 2)
                    let replaced = try await lab("replace", "--file", path)
                    #expect(replaced.status == .exited(0))
                    #expect(replaced.output == difference)
                    #expect(try lab.dispatcher.open().bindings().count == 3)
                    #expect(try await lab("replace", "--file", path, "--dry-run") == .good("nothing changes\n"))
                }
            }
        }

        @Test(
            "a file with a mistake changes nothing, and the mistake is located",
            arguments: [
                (
                    "{protocol: tpc, prefix: 192.0.2.0/24, ports: 80, label: a}",
                    "4:16: 'tpc' is not one of tcp, udp; did you mean tcp?"
                ),
                (
                    "{protocol: tcp, prefx: 192.0.2.0/24, ports: 80, label: a}",
                    "4:21: unknown key 'prefx'; did you mean 'prefix'?"
                ),
                (
                    "{protocol: tcp, prefix: 192.0.2.7/24, ports: 80, label: a}",
                    "4:29: 192.0.2.7/24 has host bits set: write 192.0.2.0/24"
                ),
                (
                    "{protocol: tcp, prefix: 192.0.2.0/24, ports: 90-80, label: a}",
                    "4:50: '90-80' is not a port range: write 53 or 8000-8010, within 0-65535"
                ),
                (
                    "{protocol: tcp, prefix: 192.0.2.0/24, ports: 6-15, label: a}",
                    "4:5: tcp 192.0.2.0/24 6-15 ties with tcp 192.0.2.0/24 1-10, bound to 'web': they overlap and are "
                        + "equally wide; unbind that one, or make one of them narrower"
                ),
                (
                    "{protocol: tcp, prefix: 192.0.2.0/24, ports: 1-10, label: a}",
                    "4:5: tcp 192.0.2.0/24 1-10 is there twice: leave one out"
                ),
                (
                    #"{protocol: tcp, prefix: "::ffff:192.0.2.0/120", ports: 1, label: a}"#,
                    "4:5: tcp ::ffff:192.0.2.0/120 1 is a v4-mapped prefix, which no packet bears: bind the IPv4 prefix"
                ),
                (
                    "{protocol: tcp, prefix: 192.0.2.0/24, ports: 80, label: ''}",
                    "4:5: '' cannot be a label: it must have 1 to 64 bytes, none of them zero"
                ),
                ("{protocol: tcp, prefix: [], ports: 80, label: a}", "4:29: a list of none binds nothing"),
            ])
        func locates(entry: String, message: String) async throws {
            try await withPlace { lab async throws in
                let text = """
                    # Two entries.
                    bindings:
                      - {protocol: tcp, prefix: 192.0.2.0/24, ports: 1-10, label: web}
                      - \(entry)
                    """
                try await withFile(text) { path async throws in
                    #expect(try await lab("replace", "--file", path) == .bad(2, "lab: \(path):\(message)\n"))
                    #expect(try lab.dispatcher.open().bindings().isEmpty)
                }
            }
        }

        @Test("what is not there, or not what it should be, is the user's error, with what is nearest")
        func refuses() async throws {
            try await withPlace { lab async throws in
                _ = try await lab("bind", "tcp", "192.0.2.0/24", "8000-8010", "web")
                let sockets = try (80...81).map { try lab.dispatcher.namespace.socket(.tcp, "127.0.0.1:\($0)") }
                let process = "\(getpid())"
                #expect(
                    try await lab("unbind", "tcp", "192.0.2.0/24", "8000-8011").errors
                        .hasSuffix("did you mean tcp 192.0.2.0/24 8000-8010?\n"))
                #expect(
                    try await lab("unbind", "tcp", "192.0.2.0/24", "8000-8010", "wed")
                        == .bad(2, "lab: tcp 192.0.2.0/24 8000-8010 is bound to 'web', not to 'wed'\n"))
                let ambiguous = try await lab("register", "web", "--pid", process)
                #expect(ambiguous.status == .exited(2))
                #expect(
                    ambiguous.errors.contains(
                        "several sockets for tcp over ipv4: tcp 127.0.0.1:80 (--fd \(sockets[0].0.rawValue))"))
                #expect(
                    try await lab("register", "web", "--pid", process, "--address", "127.0.0.1:81").status == .exited(0)
                )
                #expect(
                    try await lab("drain", "wbe")
                        == .bad(2, "lab: no socket is registered under 'wbe'; did you mean web?\n"))
                #expect(
                    try await lab("register", "web", "--fd", "0")
                        == .bad(2, "lab: the socket 0 cannot be registered: it is not a socket\n"))
                // By the process's number for it, not by that of the duplicate.
                let file = try FileDescriptor.open("/dev/null", .readOnly)
                defer { try? file.close() }
                #expect(
                    try await lab("register", "web", "--pid", process, "--fd", "\(file.rawValue)")
                        == .bad(2, "lab: the socket \(file.rawValue) cannot be registered: it is not a socket\n"))
                let connected = try lab.dispatcher.namespace.socket(.udp, "127.0.0.1:53").descriptor.rawValue
                var (peer, size) = try Endpoint(text: "127.0.0.1:9").socketAddress
                let result = withUnsafePointer(to: &peer) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(connected, $0, size) }
                }
                try #require(result == 0)
                #expect(
                    try await lab("register", "web", "--pid", process, "--fd", "\(connected)").errors
                        .hasPrefix("lab: the socket \(connected) cannot be registered: it is connected"))
                #expect(
                    try await lab("register", "web", "--pid", "4194305")
                        == .bad(2, "lab: there is no process 4194305\n"))
                #expect(
                    try await lab("register", "web", "--pid", process, "--fd", "999999")
                        == .bad(
                            2, "lab: process \(process) has no descriptor 999999: see ls /proc/\(process)/fd\n"))
                #expect(
                    try await lab("bnd", "tcp")
                        == .bad(2, "lab: lab dispatch has no command 'bnd'; did you mean bind?\n"))
                #expect(try await lab("register", "web").status == .exited(2))
                #expect(try await lab("bind", "tcp", "192.0.2.0/24", "8000-8010").status == .exited(2))
                #expect(try await lab("bind", "tcp", "192.0.2.0/24", "8005-8015", "other").status == .exited(2))
                // A state that somebody else changes.
                let held = try lab.dispatcher.open()
                #expect(try await lab("bind", "udp", "192.0.2.0/24", "53", "dns", "--no-wait").status == .exited(3))
                withExtendedLifetime(held) {}
            }
        }
    }
}
