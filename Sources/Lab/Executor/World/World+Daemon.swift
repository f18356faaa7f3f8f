import CLinux
import Glibc

/// A program that the fixture started. It dies with this object.
final class RunningDaemon {
    let name: String
    private let process: pid_t
    /// What it wrote to its standard output and error.
    private let output: Descriptor
    /// The program's standard input is the other end: should the lab be killed, that ends.
    private var lifeline: Descriptor?

    /// Starts `daemon` in the calling thread's namespace, with `sockets` from descriptor 3 on (sd_listen_fds(3)).
    init(_ daemon: Daemon, sockets: [Descriptor]) throws(ExecutorError) {
        name = daemon.name
        output = try RunningDaemon.memoryFile("output")
        let configuration = try RunningDaemon.memoryFile("configuration")
        let text = Array(daemon.configuration.utf8)
        guard pwrite(configuration.raw, text, text.count, 0) == text.count else {
            throw .call("pwrite", errno: .current, doing: "writing the configuration of \(daemon.name)")
        }
        var ends: [Int32] = [-1, -1]
        let made = clinux_pipe(&ends)
        guard made == 0 else {
            throw .call("pipe2", errno: ErrorNumber(returned: made), doing: "starting \(daemon.name)")
        }
        let input = Descriptor(ends[0])
        lifeline = Descriptor(ends[1])
        process = try RunningDaemon.spawn(daemon, input, output, sockets + [configuration])
    }

    deinit {
        // The shell kills the program, waits for its end, and so ends itself.
        lifeline = nil
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
    }

    /// The last lines of what it wrote.
    var lastLines: [String] {
        var size = stat()
        guard fstat(output.raw, &size) == 0, size.st_size > 0 else { return [] }
        let start = max(0, Int(size.st_size) - 8192)
        var bytes = [UInt8](repeating: 0, count: Int(size.st_size) - start)
        let count = pread(output.raw, &bytes, bytes.count, off_t(start))
        guard count > 0 else { return [] }
        return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n").suffix(8).map {
            "\(name): \($0)"
        }
    }

    /// A file without a name, which goes with its last descriptor.
    private static func memoryFile(_ name: String) throws(ExecutorError) -> Descriptor {
        let raw = clinux_memory_file(name)
        guard raw >= 0 else {
            throw .call("memfd_create", errno: ErrorNumber(returned: raw), doing: "making a file for \(name)")
        }
        return Descriptor(raw)
    }

    /// The program runs in a group with a shell, which kills it, and what it may have started, when its own standard
    /// input ends.
    ///
    /// `$$` stays the same when the inner shell becomes the program, and so is what LISTEN_PID has to be.
    private static func script(_ line: String) -> String {
        """
        sh -c 'LISTEN_PID=$$; export LISTEN_PID; \(quoted("exec \(line)"))' </dev/null &
        read -r _
        kill -KILL $!
        wait $!
        kill -KILL 0
        """
    }

    /// The line as the body of a word in single quotes.
    private static func quoted(_ text: String) -> String {
        text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
    }

    private static func spawn(
        _ daemon: Daemon, _ input: Descriptor, _ output: Descriptor, _ passed: [Descriptor]
    ) throws(ExecutorError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        // Both fail only for want of memory, and destroying is right either way.
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
        posix_spawnattr_setpgroup(&attributes, 0)
        // Threads may be spared signals; a shell that inherits a blocked SIGCHLD waits for ever.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)

        // High numbers first, so that none is overwritten before it has been copied to its place.
        var copies: [Descriptor] = []
        for descriptor in [input, output, output] + passed {
            let copy = fcntl(descriptor.raw, F_DUPFD_CLOEXEC, 100)
            guard copy >= 0 else { throw .call("fcntl", errno: .current, doing: "starting \(daemon.name)") }
            copies.append(Descriptor(copy))
        }
        for (place, copy) in copies.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, copy.raw, Int32(place))
        }

        let environment = [
            "PATH=\(searchPath)", "LISTEN_FDS=\(passed.count - 1)",
            "CONFIGURATION=/proc/self/fd/\(2 + passed.count)",
        ]
        var process = pid_t()
        let errno = withStrings(["sh", "-c", script(daemon.run)]) { arguments in
            withStrings(environment) { posix_spawnp(&process, "sh", &actions, &attributes, arguments, $0) }
        }
        guard errno == 0 else {
            throw .call("posix_spawnp", errno: ErrorNumber(rawValue: errno), doing: "starting \(daemon.name)")
        }
        return process
    }

    /// Where programs are looked for: also where daemons are, which not every PATH names.
    static var searchPath: String { (getenv("PATH").map { String(cString: $0) } ?? "/bin") + ":/usr/sbin:/sbin" }

    /// Calls `body` with the strings as C has them, with a null pointer at the end.
    private static func withStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = strings.map { strdup($0) } + [nil]
        defer { pointers.forEach { free($0) } }
        return body(&pointers)
    }
}

extension World {
    func start(_ daemon: Daemon) throws {
        try unused(daemons[daemon.name] != nil, "daemon", daemon.name)
        let sockets = try daemon.sockets.map { name in
            let server = try server(name)
            loop.remove(server.descriptor)
            return server.descriptor
        }
        daemons[daemon.name] = try namespace(daemon.namespace).enter { try RunningDaemon(daemon, sockets: sockets) }
    }

    /// What daemons had to say: evidence, should a step not find what it expects.
    var daemonLog: [String] { daemons.keys.sorted().flatMap { daemons[$0]?.lastLines ?? [] } }
}
