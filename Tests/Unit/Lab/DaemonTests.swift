import Foundation
import Testing

@testable import Lab

@Suite("Programs beside the steps")
struct DaemonTests {
    /// Waits until the daemon has written so many lines.
    private func lines(_ count: Int, of daemon: RunningDaemon) async throws -> [String] {
        while daemon.lastLines.count < count { try await Task.sleep(for: .milliseconds(2)) }
        return daemon.lastLines
    }

    @Test("a daemon gets its configuration, its sockets, and a process id that is its own", .timeLimit(.minutes(1)))
    func handover() async throws {
        let socket = try Descriptor.socket(.ipv4, .udp)
        try socket.bind(to: .init(.loopback(.ipv4), 0))
        let inode = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(socket.raw)")
        let daemon = try RunningDaemon(
            Daemon(
                "d", in: "n",
                run:
                    "sh -c 'cat \"$CONFIGURATION\"; echo $LISTEN_FDS; readlink /proc/self/fd/3; test $LISTEN_PID = $$ && echo own; exec sleep 600'",
                configuration: "it's\n"), sockets: [socket])
        #expect(try await lines(4, of: daemon) == ["d: it's", "d: 1", "d: \(inode)", "d: own"])
    }

    @Test("a daemon is dead when its owner has let go of it", .timeLimit(.minutes(1)))
    func end() async throws {
        var daemon: RunningDaemon? = try RunningDaemon(
            Daemon("d", in: "n", run: "sh -c 'echo $$; exec sleep 600'"), sockets: [])
        let line = try await lines(1, of: #require(daemon))[0]
        let process = try #require(pid_t(line.dropFirst(3)))
        #expect(kill(process, 0) == 0)
        daemon = nil
        #expect(kill(process, 0) == -1)
        #expect(errno == ESRCH)
    }
}
