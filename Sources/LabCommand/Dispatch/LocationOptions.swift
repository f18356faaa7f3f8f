import ArgumentParser
import Foundation
import SocketLookup
import SystemPackage
import YAMLReading

/// Which dispatcher is meant.
struct LocationOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The network namespace: a file, or a name of ip-netns(8). Default: the current one.",
            valueName: "path"))
    var netns: String?

    @Option(
        name: .customLong("state"),
        help: ArgumentHelp("The directory in a BPF file system where dispatchers are pinned.", valueName: "dir"))
    var base = StateLocation.defaultBase.string

    /// Calls `body` with the location, whose namespace is open until it returns.
    func with<Result>(_ body: (StateLocation, FileDescriptor?) throws -> Result) throws -> Result {
        do {
            guard let netns else { return try body(try StateLocation(base: FilePath(base)), nil) }
            let namespace = try LocationOptions.open(netns)
            return try namespace.closeAfter {
                try body(try StateLocation(base: FilePath(base), namespace: namespace), namespace)
            }
        } catch let error as SocketLookupError {
            guard case .call(_, let number, _, _) = error, number == EPERM || number == EACCES else { throw error }
            throw Breakdown(
                "\(error)\nlab: run it as root; the group of \(base) may list, and ask for status and metrics")
        }
    }

    private static func open(_ text: String) throws -> FileDescriptor {
        let path = text.contains("/") ? text : "/run/netns/\(text)"
        let namespace: FileDescriptor
        do {
            namespace = try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
        } catch let error as Errno {
            let message = "--netns \(text): \(path) cannot be opened: \(error)"
            if error == .permissionDenied || error == .notPermitted {
                throw Breakdown(message + "\nlab: run it as root")
            }
            // Names are ip-netns(8)'s.
            let names = (try? FileManager.default.contentsOfDirectory(atPath: "/run/netns")) ?? []
            throw Misuse(message + (text.contains("/") ? "" : suggestion(for: text, among: names.sorted())))
        }
        // Any other file has an inode as well, and would be taken for a namespace without a dispatcher.
        guard ioctl(namespace.rawValue, namespaceKind, 0) == networkKind else {
            try namespace.close()
            throw Misuse("--netns \(text): \(path) is not a network namespace")
        }
        return namespace
    }

    /// NS_GET_NSTYPE (ioctl_ns(2)), a macro that Swift cannot read.
    private static let namespaceKind: UInt = 0xB703
    /// CLONE_NEWNET, likewise.
    private static let networkKind: Int32 = 0x4000_0000
}

/// How a command that changes a dispatcher goes about it.
struct ChangeOptions: ParsableArguments {
    @OptionGroup var location: LocationOptions

    @Flag(help: "Fail at once (3) while another process changes the dispatcher.")
    var noWait = false

    /// Calls `body` with the dispatcher, locked until it returns.
    func with<Result>(
        _ body: (borrowing DispatcherState, FileDescriptor?) throws -> Result
    ) throws -> Result {
        try location.with { location, namespace in
            try body(try DispatcherState(at: location, for: .changing, waiting: !noWait), namespace)
        }
    }
}
