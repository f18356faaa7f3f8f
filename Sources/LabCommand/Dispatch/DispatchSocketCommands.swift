import Addressing
import ArgumentParser
import SocketLookup
import SystemPackage
import YAMLReading

struct DispatchRegisterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "register", abstract: "Put sockets under a label, in the places of those that were there.",
        discussion: """
            Sockets of a running process (--pid), descriptors of this command (--fd), or those that a service \
            manager hands over (LISTEN_FDS). Several share the new flows equally; a reuseport group counts as one. \
            Flows of connections stay where they are.
            """)

    @Argument(help: "1 to 64 bytes.")
    var label: String

    @OptionGroup var source: SocketSource

    @Flag(help: "They join the sockets that are there.")
    var add = false

    @OptionGroup var change: ChangeOptions
    @OptionGroup var format: FormatOption

    func run() async throws {
        try change.with { state, namespace in
            var cookies: Set<UInt64> = []
            try source.with(namespace) { sockets in
                try state.register(sockets, under: label, replacing: !add)
                for socket in sockets { cookies.insert(try SocketFacts(of: socket).cookie) }
            }
            let registered = try state.sockets().filter { $0.label == label && $0.isOne(of: cookies) }
            try StandardOutput.write(format.format.text(registered, "registered"))
            let bound = Set(try state.bindings().map(\.label))
            if !bound.contains(label) {
                StandardError.write(
                    "lab: note: no binding leads to '\(label)' yet\(suggestion(for: label, among: bound.sorted()))\n")
            }
        }
    }
}

struct DispatchUnregisterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unregister", abstract: "Take sockets from under a label: all, or those that options name.")

    @OptionGroup var choice: SocketChoice
    @OptionGroup var change: ChangeOptions
    @OptionGroup var format: FormatOption

    func run() async throws {
        try change.with { state, namespace in
            let meant = try choice.sockets(of: state, namespace)
            let taken = try state.unregister(from: choice.label) { meant.contains($0.identity) }
            try StandardOutput.write(format.format.text(taken, "unregistered"))
        }
    }
}

struct DispatchDrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain", abstract: "Give sockets of a label no new flows: all, or those that options name.",
        discussion: "Connections go on. A socket that drains stays listed until its owner closes it.")

    @OptionGroup var choice: SocketChoice
    @OptionGroup var change: ChangeOptions
    @OptionGroup var format: FormatOption

    func run() async throws {
        try change.with { state, namespace in
            let meant = try choice.sockets(of: state, namespace)
            let drained = try state.drain(from: choice.label) { meant.contains($0.identity) }
            if drained.isEmpty { StandardError.write("lab: note: these drain already\n") }
            try StandardOutput.write(format.format.text(drained, "draining"))
        }
    }
}

/// Which of a label's sockets are meant.
struct SocketChoice: ParsableArguments {
    @Argument(help: "The label.")
    var label: String

    @Option(help: "Only sockets that this process has open.")
    var pid: Int32?

    @Option(help: "Only sockets of this protocol.")
    var `protocol`: TransportProtocol?

    @Option(help: "Only for packets of this family: ipv4 or ipv6.")
    var family: AddressFamily?

    @Option(
        help: ArgumentHelp("Only this socket: as `lab dispatch list` and ss(8) show it, in hexadecimal."),
        transform: { text in
            guard let cookie = UInt64(text.hasPrefix("0x") ? String(text.dropFirst(2)) : text, radix: 16) else {
                throw ValidationError("'\(text)' is not a hexadecimal number")
            }
            return cookie
        })
    var cookie: UInt64?

    func validate() throws {
        if let pid, pid < 1 { throw ValidationError("--pid takes the number of a process") }
    }

    /// - Throws: ``Misuse`` if there is none: nobody asks for nothing.
    func sockets(
        of state: borrowing DispatcherState, _ namespace: FileDescriptor?
    ) throws -> Set<RegisteredSocket.Identity> {
        let all = try state.sockets()
        let labelled = all.filter { $0.label == label }
        guard !labelled.isEmpty else {
            let labels = Set(all.map(\.label)).sorted()
            throw Misuse("no socket is registered under '\(label)'\(suggestion(for: label, among: labels))")
        }
        var owned: Set<UInt64>?
        if let pid {
            let process = try ProcessSockets(of: pid, in: namespace)
            owned = Set(try process.sockets.map { try SocketFacts(of: $0.descriptor).cookie })
        }
        let meant = labelled.filter { socket in
            (`protocol` == nil || socket.protocol == `protocol`) && (family == nil || socket.family == family)
                && (cookie == nil || socket.cookie == cookie) && (owned.map(socket.isOne(of:)) ?? true)
        }
        guard !meant.isEmpty else {
            throw Misuse(
                "no such socket is registered under '\(label)'; these are: "
                    + labelled.map(\.name).joined(separator: ", "))
        }
        return Set(meant.map(\.identity))
    }
}

extension RegisteredSocket {
    /// What of it does not change.
    struct Identity: Hashable {
        var `protocol`: TransportProtocol
        var family: AddressFamily
        var cookie: UInt64?
    }

    var identity: Identity { Identity(protocol: `protocol`, family: family, cookie: cookie) }

    func isOne(of cookies: Set<UInt64>) -> Bool { cookie.map(cookies.contains) ?? false }
}
