import ArgumentParser
import Foundation
import SocketLookup
import SystemPackage
import VirtualMachine

/// The dispatcher's program, compiled.
struct ProgramOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "dispatch.bpf.o. Default: compiled from the working copy, and kept in the cache.", valueName: "file"))
    var object: String?

    func path() async throws -> FilePath {
        if let object {
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: object, isDirectory: &isDirectory), !isDirectory.boolValue
            else { throw Misuse("--object \(object): there is no such file") }
            return FilePath(object)
        }
        let progress = ProgressLine()
        defer { progress.clear() }
        let programs = try await GuestArtifacts.preparePrograms(cache: Cache.standard()) { progress.note($0) }
        return FilePath(programs).appending("dispatch.bpf.o")
    }
}

struct DispatchLoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Attach the dispatcher to a network namespace, without bindings.")

    @OptionGroup var location: LocationOptions
    @OptionGroup var program: ProgramOption

    func run() async throws {
        let object = try await program.path()
        try location.with { location, _ in
            try DispatcherState.load(object, at: location)
            try StandardOutput.write("loaded: \(location.directory)\n")
        }
    }
}

struct DispatchUnloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unload", abstract: "Detach the dispatcher, and forget its bindings, labels and counters.",
        discussion: "Connections go on; new ones find their sockets as without a dispatcher.")

    @OptionGroup var location: LocationOptions

    @Flag(help: "Fail at once (3) while another process changes the dispatcher.")
    var noWait = false

    func run() async throws {
        try location.with { location, _ in
            try DispatcherState.unload(at: location, waiting: !noWait)
            try StandardOutput.write("unloaded: \(location.directory)\n")
        }
    }
}

struct DispatchUpgradeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Put another version of the program in the place of the one that runs, and keep everything else.")

    @OptionGroup var change: ChangeOptions
    @OptionGroup var program: ProgramOption

    func run() async throws {
        let object = try await program.path()
        try change.with { state, _ in
            let isAnother: Bool
            do throws(SocketLookupError) {
                isAnother = try state.upgrade(to: object)
            } catch {
                // The object is at fault, not the state.
                guard case .incompatible(object.string, let because) = error else { throw error }
                throw Misuse("\(object) cannot take the place of the program that runs: \(because)")
            }
            try StandardOutput.write(isAnother ? "upgraded\n" : "upgraded to the same version\n")
        }
    }
}
