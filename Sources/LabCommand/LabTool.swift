import ArgumentParser
import Foundation
import Lab
import Report
import YAMLReading

@main
struct LabTool: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Which Linux kernels let sockets and names go without fixed addresses, shown fixture by fixture.",
        discussion: """
            Exit status: 0 everything conforms, or is unsupported as declared; 1 something deviates, crashed or \
            hung; 2 the input is wrong; 3 the lab is broken. A run ended by a signal exits with 128 plus its number.
            """,
        subcommands: [
            RunCommand.self, ListCommand.self, ShowCommand.self, KernelsCommand.self, DoctorCommand.self,
            CacheCommand.self, DNSCommand.self, DispatchCommand.self,
        ])

    /// Runs the command as one task, which a signal cancels, and waits for its teardown in every case.
    static func main() async {
        // A fixture on this machine's kernel may start this program anew, for a change that another process is to make.
        if let status = DispatcherProcess.perform(CommandLine.arguments) { Foundation.exit(status) }
        let task = Task { await status(of: Array(CommandLine.arguments.dropFirst())) }
        let interruption = Interruption { task.cancel() }
        let ending = await task.value
        interruption.killRemains()
        Foundation.exit(interruption.signal.map { 128 + $0 } ?? ending)
    }

    private static func status(of arguments: [String]) async -> Int32 {
        do {
            if let misuse = unknownCommand(in: arguments) { throw misuse }
            var command = try parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            return ExitStatus.conforms.rawValue
        } catch {
            return report(error)
        }
    }

    /// A misspelt command, which the parser takes for an argument too many.
    private static func unknownCommand(in arguments: [String]) -> Misuse? {
        var command: any ParsableCommand.Type = LabTool.self
        for (index, word) in arguments.enumerated() {
            let names = command.configuration.subcommands.compactMap { $0.configuration.commandName }
            // An option, or an argument of a command that has no other below it, or of its default.
            if names.isEmpty || word.hasPrefix("-") || word == "help" { return nil }
            guard
                let next = command.configuration.subcommands.first(where: { $0.configuration.commandName == word })
            else {
                if command.configuration.defaultSubcommand != nil { return nil }
                let path = (["lab"] + arguments[..<index]).joined(separator: " ")
                let near = suggestion(for: word, among: names)
                let all = ": it has \(names.joined(separator: ", "))"
                return Misuse("\(path) has no command '\(word)'\(near.isEmpty ? all : near)")
            }
            command = next
        }
        return nil
    }

    /// Says what went wrong, and how that counts.
    private static func report(_ error: any Error) -> Int32 {
        if let status = error as? ExitCode { return status.rawValue }
        // What a cancelled subprocess says is no news: the interruption was told already.
        if error is CancellationError || Task.isCancelled && !(error is any StatusCarrying) {
            return ExitStatus.broken.rawValue
        }
        if let status = (error as? any StatusCarrying)?.status ?? knownStatus(of: error) {
            StandardError.write("lab: \(error)\n")
            return status.rawValue
        }
        // Only the parser's own are left: a request for help, or a command line that it cannot read.
        let code = exitCode(for: error)
        let message = fullMessage(for: error)
        guard code == .success else {
            StandardError.write(message + "\n")
            // The parser's EX_USAGE (64) is this command's 2.
            return code == .validationFailure ? ExitStatus.usage.rawValue : ExitStatus.broken.rawValue
        }
        do {
            try StandardOutput.write(message + "\n")
            return ExitStatus.conforms.rawValue
        } catch {
            return report(error)
        }
    }
}
