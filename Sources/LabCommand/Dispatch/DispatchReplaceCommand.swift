import ArgumentParser
import SocketLookup

struct DispatchReplaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replace", abstract: "Put a file's bindings in the place of all that there are, in one step.",
        discussion: """
            No packet sees a part of the change. A binding that stays keeps its counters; sockets stay under their \
            labels. Printed is the difference: - removed, ~ led elsewhere, + added.
            """)

    @Option(help: ArgumentHelp("The bindings, as YAML.", valueName: "file"))
    var file: String

    @Flag(help: "Change nothing: show what would be.")
    var dryRun = false

    @OptionGroup var change: ChangeOptions
    @OptionGroup var format: FormatOption

    func run() async throws {
        let bindings = try BindingsFile.read(file)
        if dryRun {
            try change.location.with { location, _ in
                let state = try DispatcherState(at: location, for: .looking, waiting: !change.noWait)
                try StandardOutput.write(state.difference(to: bindings).text(format.format))
            }
        } else {
            try change.with { state, _ in
                try StandardOutput.write(state.replace(with: bindings).text(format.format))
                try state.remark(onSocketsOf: bindings.map(\.label))
            }
        }
    }
}
