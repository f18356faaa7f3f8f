import Addressing
import ArgumentParser
import SocketLookup
import YAMLReading

/// What packets are compared with, as three words.
struct MatchArguments: ParsableArguments {
    @Argument(help: "tcp or udp.")
    var `protocol`: TransportProtocol

    @Argument(help: "192.0.2.0/24 or 2001:db8::/32, or one address.", transform: { try Prefix(text: $0) })
    var prefix: Prefix

    @Argument(help: "53 or 8000-8010; 0-65535 for all.", transform: { try PortRange(text: $0) })
    var ports: PortRange

    var match: Match { Match(`protocol`, prefix, ports) }
}

struct DispatchBindCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bind", abstract: "Lead a protocol, prefix and port range to a label.",
        discussion: "A match that is bound already moves to the label in one step.")

    @OptionGroup var match: MatchArguments

    @Argument(help: "1 to 64 bytes.")
    var label: String

    @Option(help: "What becomes of packets while the label has no live socket: drop, or pass to ordinary lookup.")
    var otherwise = Fallback.drop

    @OptionGroup var change: ChangeOptions
    @OptionGroup var format: FormatOption

    func run() async throws {
        let binding = Binding(match.match, to: label, otherwise: otherwise)
        try change.with { state, _ in
            let difference = try state.bind([binding])
            try StandardOutput.write(difference.text(format.format))
            try state.remark(onSocketsOf: [label])
        }
    }
}

struct DispatchUnbindCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unbind", abstract: "Remove a binding; what it led falls to the next wider one.")

    @OptionGroup var match: MatchArguments

    @Argument(help: "The label that it must be bound to. Default: any.")
    var label: String?

    @OptionGroup var change: ChangeOptions
    @OptionGroup var format: FormatOption

    func run() async throws {
        try change.with { state, _ in
            let difference: BindingDifference
            do throws(SocketLookupError) {
                difference = try state.unbind([match.match], from: label)
            } catch {
                guard case .notBound(let match) = error else { throw error }
                let candidates = try state.bindings().map(\.match.description)
                throw Misuse("\(error)\(suggestion(for: match.description, among: candidates))")
            }
            try StandardOutput.write(difference.text(format.format))
        }
    }
}

extension DispatcherState {
    /// Tells of labels that are bound and have no socket: allowed, and often a slip of the pen.
    func remark(onSocketsOf labels: [String]) throws {
        let live = Set(try sockets().filter { $0.condition == .active }.map(\.label))
        for label in Set(labels).subtracting(live).sorted() {
            StandardError.write(
                "lab: note: '\(label)' has no live socket yet\(suggestion(for: label, among: live.sorted()))\n")
        }
    }
}

extension TransportProtocol: ExpressibleByArgument {}
extension Fallback: ExpressibleByArgument {}
extension AddressFamily: ExpressibleByArgument {}
