import ArgumentParser
import Report
import SocketLookup

struct DispatchListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the bindings, and the sockets of each label.")

    @OptionGroup var location: LocationOptions
    @OptionGroup var format: FormatOption

    func run() async throws {
        try location.with { location, _ in
            let state = try DispatcherState(at: location, for: .looking)
            let (bindings, sockets) = (try state.bindings(), try state.sockets())
            switch format.format {
            case .json:
                try StandardOutput.write(
                    DispatchJSON.lines(bindings.map { DispatchJSON.BindingRecord($0) })
                        + DispatchJSON.lines(sockets.map { DispatchJSON.SocketRecord($0) }))
            case .text:
                let lines = Self.table(bindings) + [""] + Self.table(sockets)
                try StandardOutput.write(lines.joined(separator: "\n") + "\n")
            }
        }
    }

    private static func table(_ bindings: [Binding]) -> [String] {
        if bindings.isEmpty { return ["no bindings"] }
        return lines(
            [["PROTOCOL", "PREFIX", "PORTS", "LABEL", "OTHERWISE"]]
                + bindings.map {
                    [
                        $0.match.protocol.rawValue, "\($0.match.prefix)", "\($0.match.ports)", $0.label,
                        $0.otherwise.rawValue,
                    ]
                })
    }

    private static func table(_ sockets: [RegisteredSocket]) -> [String] {
        if sockets.isEmpty { return ["no sockets"] }
        return lines(
            [["LABEL", "PROTOCOL", "FAMILY", "SOCKET", "CONDITION", "SHARES"]]
                + sockets.map {
                    [
                        $0.label, $0.protocol.rawValue, $0.family.rawValue,
                        $0.cookie.map { String($0, radix: 16) } ?? "-", $0.condition.rawValue, "\($0.shares)/64",
                    ]
                })
    }

    private static func lines(_ rows: [[String]]) -> [String] {
        Table(rows: rows.map { $0.map { Table.Cell($0) } }).lines()
    }
}
