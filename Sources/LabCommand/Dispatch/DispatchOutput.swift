import Addressing
import ArgumentParser
import Foundation
import Report
import SocketLookup

enum DispatchFormat: String, ExpressibleByArgument, CaseIterable { case text, json }

struct FormatOption: ParsableArguments {
    @Option(help: "text, or json: one object per line.")
    var format = DispatchFormat.text
}

/// What the JSON form says, one object per line: docs/dispatch.md has the keys.
enum DispatchJSON {
    /// A key may be added without a new number; none is removed, renamed or given another meaning.
    static let schema = 1

    static func lines(_ records: [some Encodable]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try records.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }.joined()
    }

    struct BindingRecord: Encodable {
        var schema = DispatchJSON.schema
        var kind = "binding"
        var `protocol`: TransportProtocol
        var prefix: Prefix
        var ports: PortRange
        var label: String
        var otherwise: Fallback
        /// Of a difference.
        var change: String?
        /// Of a change: what it was before.
        var before: Before?
        var hits: UInt64?
        var misses: UInt64?
        var errors: UInt64?

        struct Before: Encodable {
            var label: String
            var otherwise: Fallback
        }

        init(_ binding: Binding, change: String? = nil, before: Binding? = nil, counters: BindingCounters? = nil) {
            `protocol` = binding.match.protocol
            prefix = binding.match.prefix
            ports = binding.match.ports
            label = binding.label
            otherwise = binding.otherwise
            self.change = change
            self.before = before.map { Before(label: $0.label, otherwise: $0.otherwise) }
            hits = counters?.hits
            misses = counters?.misses
            errors = counters?.errors
        }
    }

    struct SocketRecord: Encodable {
        var schema = DispatchJSON.schema
        var kind = "socket"
        var label: String
        var `protocol`: TransportProtocol
        var family: AddressFamily
        /// In hexadecimal, as everywhere.
        var cookie: String?
        var condition: RegisteredSocket.Condition
        var shares: Int
        /// What was done to it.
        var change: String?

        init(_ socket: RegisteredSocket, change: String? = nil) {
            label = socket.label
            `protocol` = socket.protocol
            family = socket.family
            cookie = socket.cookie.map { String($0, radix: 16) }
            condition = socket.condition
            shares = socket.shares
            self.change = change
        }
    }
}

extension BindingDifference {
    /// As text a line for each binding: + added, - removed, ~ moved.
    func text(_ format: DispatchFormat) throws -> String {
        switch format {
        case .text:
            if isEmpty { return "nothing changes\n" }
            let lines =
                removed.map { "- \($0)" } + changed.map { "~ \($0.new) (was \($0.old.target))" }
                + added.map { "+ \($0)" }
            return lines.joined(separator: "\n") + "\n"
        case .json:
            return try DispatchJSON.lines(
                removed.map { DispatchJSON.BindingRecord($0, change: "removed") }
                    + changed.map { DispatchJSON.BindingRecord($0.new, change: "changed", before: $0.old) }
                    + added.map { DispatchJSON.BindingRecord($0, change: "added") })
        }
    }
}

extension Binding {
    fileprivate var target: String { "\(label)\(otherwise == .pass ? ", else pass" : "")" }
}

extension DispatchFormat {
    /// Sockets with what was done to them.
    func text(_ sockets: [RegisteredSocket], _ change: String) throws -> String {
        switch self {
        case .text: sockets.map { "\(change) \($0.name) under '\($0.label)'\n" }.joined()
        case .json: try DispatchJSON.lines(sockets.map { DispatchJSON.SocketRecord($0, change: change) })
        }
    }
}

extension RegisteredSocket {
    /// As ss(8) names it.
    var name: String {
        "\(`protocol`.rawValue) \(family.rawValue) socket \(cookie.map { String($0, radix: 16) } ?? "that was closed")"
    }
}
