// A server that has whole prefixes, and all of their ports, with one TCP socket and one UDP socket.
//
//     ip route add local 192.0.2.0/24 dev lo
//     ip route add local 2001:db8::/64 dev lo
//     clang -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c bpf/dispatch.bpf.c -o dispatch.bpf.o
//     whole-prefix-server dispatch.bpf.o 192.0.2.0/24 2001:db8::/64
//
//     curl http://192.0.2.77:4711/
//     curl 'http://[2001:db8::1234]/'
//     echo hello | nc -u 192.0.2.200 53

import Addressing
import Glibc
import SocketLookup
import SystemPackage

@main
struct WholePrefixServer {
    static func main() {
        do {
            guard CommandLine.arguments.count > 2 else {
                throw Failure(description: "usage: whole-prefix-server dispatch.bpf.o PREFIX…")
            }
            let prefixes = try CommandLine.arguments.dropFirst(2).map { try Prefix(text: $0) }
            try serve(prefixes, program: FilePath(CommandLine.arguments[1]))
        } catch {
            _ = try? FileDescriptor.standardError.writeAll("whole-prefix-server: \(error)\n".utf8)
            exit(1)
        }
    }

    /// Serves until the process ends, and with it what it has attached.
    private static func serve(_ prefixes: [Prefix], program object: FilePath) throws {
        // Dual-stack, so that each takes packets of both families. The address and port do not matter to those who
        // ask: any that are free will do.
        let web = try Listener(port: 0)
        let echo = try EchoSocket(port: 0)

        // The program alone decides nothing: without bindings every packet goes on to ordinary lookup.
        let program = try Program(object: object)
        let dispatcher = try Dispatcher(program)
        try dispatcher.register(web.descriptor, under: "web")
        try dispatcher.register(echo.descriptor, under: "echo")
        for prefix in prefixes {
            try dispatcher.bind(.tcp, prefix, .all, to: "web")
            try dispatcher.bind(.udp, prefix, .all, to: "echo")
        }

        let namespace = try FileDescriptor.open("/proc/self/ns/net", .readOnly, options: .closeOnExec)
        // From here on the bindings hold, until the link is let go.
        let link = try namespace.closeAfter { try program.attach(to: namespace) }
        try FileDescriptor.standardOutput.writeAll(
            "serving \(prefixes.map(\.description).joined(separator: ", "))\n".utf8)
        try withExtendedLifetime((link, dispatcher)) { try answer(web, echo) }
    }

    private static func answer(_ web: Listener, _ echo: EchoSocket) throws {
        var ready = [web.descriptor, echo.descriptor].map { pollfd(fd: $0.rawValue, events: Int16(POLLIN), revents: 0) }
        while true {
            guard poll(&ready, nfds_t(ready.count), -1) > 0 else {
                if errno == EINTR { continue }
                throw Failure("poll")
            }
            if ready[0].revents != 0 { web.answerOne() }
            if ready[1].revents != 0 { echo.answerOne() }
        }
    }
}

/// Why the server cannot start.
struct Failure: Error, CustomStringConvertible {
    var description: String

    init(description: String) { self.description = description }

    /// A call that has just failed.
    init(_ call: String) { description = "\(call): \(String(cString: strerror(errno)))" }
}
