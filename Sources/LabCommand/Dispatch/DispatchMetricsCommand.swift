import ArgumentParser
import PolicyDNS
import SocketLookup

struct DispatchMetricsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "Print what was counted, as Prometheus reads it.",
        discussion: "For its node exporter: write the output to a file of the textfile collector and rename it.")

    enum Format: String, ExpressibleByArgument, CaseIterable { case prometheus, json }

    @OptionGroup var location: LocationOptions

    @Option(help: "prometheus (text exposition format 0.0.4), or json: one object per line.")
    var format = Format.prometheus

    func run() async throws {
        try location.with { location, _ in
            let state = try DispatcherState(at: location, for: .looking)
            let metrics = try state.metrics()
            switch format {
            case .prometheus: try StandardOutput.write(Self.page(metrics, try state.sockets()))
            case .json:
                try StandardOutput.write(
                    DispatchJSON.lines([Totals(metrics)])
                        + DispatchJSON.lines(
                            metrics.bindings.map { DispatchJSON.BindingRecord($0.binding, counters: $0.counters) }))
            }
        }
    }

    static func page(_ metrics: DispatcherMetrics, _ sockets: [RegisteredSocket]) -> String {
        var page = MetricsText()
        page.counter("dispatch_lookups_total", "Times that the program ran.")
        page.sample([], metrics.lookups)
        page.counter("dispatch_hits_total", "Lookups led to a socket, by bindings that are gone as well.")
        page.sample([], metrics.all.hits)
        page.counter("dispatch_misses_total", "Lookups whose label had no live socket, likewise.")
        page.sample([], metrics.all.misses)
        page.counter("dispatch_errors_total", "Sockets come upon that could not be used, likewise.")
        page.sample([], metrics.all.errors)
        let families: [(String, String, KeyPath<BindingCounters, UInt64>)] = [
            ("hits", "Lookups led to a socket.", \.hits),
            ("misses", "Lookups whose label had no live socket.", \.misses),
            ("errors", "Sockets come upon that could not be used.", \.errors),
        ]
        for (name, help, counter) in families {
            page.counter("dispatch_binding_\(name)_total", help)
            for entry in metrics.bindings {
                let binding = entry.binding
                page.sample(
                    [
                        ("protocol", binding.match.protocol.rawValue), ("prefix", "\(binding.match.prefix)"),
                        ("ports", "\(binding.match.ports)"), ("label", binding.label),
                    ], entry.counters[keyPath: counter])
            }
        }
        page.gauge("dispatch_sockets", "Sockets registered, by label, protocol, family and condition.")
        let groups = Dictionary(
            grouping: sockets, by: { [$0.label, $0.protocol.rawValue, $0.family.rawValue, $0.condition.rawValue] })
        for (group, sockets) in groups.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            let labels = zip(["label", "protocol", "family", "condition"], group).map { (name: $0, value: $1) }
            page.sample(labels, UInt64(sockets.count))
        }
        return page.text
    }

    private struct Totals: Encodable {
        var schema = DispatchJSON.schema
        var kind = "totals"
        var lookups: UInt64
        var hits: UInt64
        var misses: UInt64
        var errors: UInt64

        init(_ metrics: DispatcherMetrics) {
            lookups = metrics.lookups
            hits = metrics.all.hits
            misses = metrics.all.misses
            errors = metrics.all.errors
        }
    }
}
