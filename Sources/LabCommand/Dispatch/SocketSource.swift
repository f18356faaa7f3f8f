import Addressing
import ArgumentParser
import Foundation
import SocketLookup
import Sockets
import SystemPackage

/// Which sockets are to be registered.
struct SocketSource: ParsableArguments {
    @Option(help: "A process that has the sockets: those that listen, or are UDP sockets without a peer.")
    var pid: Int32?

    @Option(
        name: .customLong("fd"),
        help: ArgumentHelp(
            "A descriptor: of that process with --pid, else of this command. May be repeated.", valueName: "number"))
    var descriptors: [Int32] = []

    @Option(help: "Only sockets of this protocol.")
    var `protocol`: TransportProtocol?

    @Option(
        help: ArgumentHelp("Only sockets that are bound to this address and port.", valueName: "address:port"),
        transform: { try Endpoint(text: $0) })
    var address: Endpoint?

    @Flag(help: "All sockets of the process, although they are bound to different addresses or ports.")
    var all = false

    func validate() throws {
        if let pid, pid < 1 { throw ValidationError("--pid takes the number of a process") }
        if let wrong = descriptors.first(where: { $0 < 0 }) {
            throw ValidationError("--fd \(wrong): a descriptor is 0 or more")
        }
        if all, pid == nil { throw ValidationError("--all is for --pid") }
    }

    /// Calls `body` with the sockets, which are open until it returns.
    func with(_ namespace: FileDescriptor?, _ body: ([FileDescriptor]) throws -> Void) throws {
        if let pid {
            let process = try SocketSource.sockets(of: pid, descriptors, in: namespace)
            let sockets = process.sockets.map { (descriptor: $0.descriptor, number: $0.original) }
            do {
                try body(try chosen(from: sockets, of: "process \(pid)", isNamed: all || !descriptors.isEmpty))
            } catch SocketLookupError.unsuitableSocket(let duplicate, let because) {
                // The user knows the process's number, not that of the duplicate.
                let number = sockets.first { $0.descriptor.rawValue == duplicate }?.number ?? duplicate
                throw SocketLookupError.unsuitableSocket(descriptor: number, because: because)
            }
            withExtendedLifetime(process) {}
        } else if !descriptors.isEmpty {
            try body(
                try chosen(
                    from: descriptors.map { (FileDescriptor(rawValue: $0), $0) }, of: "this command", isNamed: true))
        } else {
            let inherited = try InheritedDescriptors.announced(in: ProcessInfo.processInfo.environment)
            guard !inherited.isEmpty else {
                throw Misuse("no socket is named: give --pid, --fd, or hand some over (LISTEN_FDS)")
            }
            try body(
                try chosen(
                    from: inherited.map { ($0.descriptor, $0.descriptor.rawValue) }, of: "the service manager",
                    isNamed: true))
        }
    }

    /// Says what the user got wrong in his own terms, and not by the call that found out.
    private static func sockets(
        of pid: Int32, _ descriptors: [Int32], in namespace: FileDescriptor?
    ) throws -> ProcessSockets {
        do throws(SocketLookupError) {
            return try ProcessSockets(of: pid, descriptors: descriptors.isEmpty ? nil : descriptors, in: namespace)
        } catch {
            switch error {
            case .call("pidfd_open", ESRCH, _, _): throw Misuse("there is no process \(pid)")
            // Of a thread that is no process's first.
            case .call("pidfd_open", EINVAL, _, _): throw Misuse("\(pid) is a thread: give the number of its process")
            case .call("pidfd_getfd", EBADF, _, _):
                let absent = descriptors.filter { access("/proc/\(pid)/fd/\($0)", F_OK) != 0 }.map { "\($0)" }
                throw Misuse(
                    "process \(pid) has no descriptor \(absent.joined(separator: ", ")): see ls /proc/\(pid)/fd")
            default: throw error
            }
        }
    }

    /// Those that the options let through.
    ///
    /// - Parameter isNamed: Whether it is known that these are meant. If not, a process that listens at several places
    ///   is asked about: flows would be spread over sockets that do different things.
    private func chosen(
        from candidates: [(descriptor: FileDescriptor, number: Int32)], of whose: String, isNamed: Bool
    ) throws -> [FileDescriptor] {
        var found: [(descriptor: FileDescriptor, number: Int32, facts: SocketFacts)] = []
        for (descriptor, number) in candidates { found.append((descriptor, number, try SocketFacts(of: descriptor))) }
        func list() -> String {
            found.map { "\($0.facts.protocol.rawValue) \($0.facts.address) (--fd \($0.number))" }
                .joined(separator: ", ")
        }
        let chosen = found.filter {
            (`protocol` == nil || $0.facts.protocol == `protocol`) && (address == nil || $0.facts.address == address)
        }
        if chosen.isEmpty {
            if found.isEmpty {
                throw Misuse("\(whose) has no socket in this network namespace that packets could be led to")
            }
            throw Misuse("\(whose) has no such socket; it has \(list())")
        }
        for `protocol` in TransportProtocol.allCases {
            for family in AddressFamily.allCases where !isNamed {
                let alike = chosen.filter { $0.facts.protocol == `protocol` && $0.facts.families.contains(family) }
                if Set(alike.map(\.facts.address)).count > 1 {
                    throw Misuse(
                        "\(whose) has several sockets for \(`protocol`.rawValue) over \(family.rawValue): \(list()); "
                            + "choose with --protocol, --address or --fd, or take --all")
                }
            }
        }
        return chosen.map(\.descriptor)
    }
}
