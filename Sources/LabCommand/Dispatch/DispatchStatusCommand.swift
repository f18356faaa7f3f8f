import ArgumentParser
import SocketLookup

struct DispatchStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show whether there is a dispatcher, and what interrupted changes have left.")

    @OptionGroup var location: LocationOptions
    @OptionGroup var format: FormatOption

    func run() async throws {
        try location.with { location, _ in
            let status = try DispatcherState.status(at: location)
            switch format.format {
            case .text: try StandardOutput.write(Self.text(status))
            case .json: try StandardOutput.write(DispatchJSON.lines([Record(status)]))
            }
        }
    }

    private static func text(_ status: DispatcherStatus) -> String {
        var lines = [("namespace", "\(status.location.inode)"), ("state", "\(status.location.directory)")]
        if let loaded = status.loaded {
            lines.append(("loaded", "yes"))
            // Somebody who only looks may not open links.
            let program = loaded.program.map { "number \($0.number), tag \($0.tag)" } ?? "not for you to see"
            lines.append(("program", program))
            let isOurs = loaded.layout == DispatcherStatus.layout
            lines.append(
                ("layout", "\(loaded.layout)" + (isOurs ? "" : ", which this version can only unload")))
            if isOurs {
                lines.append(("bindings", "\(loaded.bindings)"))
                lines.append(("labels", "\(loaded.labels)"))
                lines.append(("sockets", "\(loaded.sockets)"))
            }
        } else {
            lines.append(("loaded", "no"))
        }
        for leftover in DispatcherStatus.Leftover.allCases where status.leftovers.contains(leftover) {
            lines.append(("leftover", leftover.meaning))
        }
        return lines.map { $0.padding(10) + $1 + "\n" }.joined()
    }

    private struct Record: Encodable {
        var schema = DispatchJSON.schema
        var kind = "status"
        var namespace: UInt64
        var state: String
        var isLoaded: Bool
        var program: UInt32?
        var tag: String?
        var layout: UInt32?
        var bindings: Int?
        var labels: Int?
        var sockets: Int?
        var leftovers: [DispatcherStatus.Leftover]

        private enum CodingKeys: String, CodingKey {
            case schema, kind, namespace, state, program, tag, layout, bindings, labels, sockets, leftovers
            case isLoaded = "loaded"
        }

        init(_ status: DispatcherStatus) {
            namespace = status.location.inode
            state = status.location.directory.string
            isLoaded = status.loaded != nil
            program = status.loaded?.program?.number
            tag = status.loaded?.program?.tag
            layout = status.loaded?.layout
            // The others are unknown of another layout.
            if let loaded = status.loaded, loaded.layout == DispatcherStatus.layout {
                (bindings, labels, sockets) = (loaded.bindings, loaded.labels, loaded.sockets)
            }
            leftovers = DispatcherStatus.Leftover.allCases.filter(status.leftovers.contains)
        }
    }
}

extension DispatcherStatus.Leftover {
    fileprivate var meaning: String {
        switch self {
        case .load: "of a load that was interrupted and had not taken effect"
        case .unload: "of an unload that was interrupted and had taken effect"
        case .replacement: "of a change of bindings that was interrupted; those listed are in force"
        case .upgradeNotDone: "of an upgrade that was interrupted and had not taken effect"
        case .upgradeDone: "of an upgrade that was interrupted and had taken effect"
        }
    }
}

extension String {
    fileprivate func padding(_ width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
