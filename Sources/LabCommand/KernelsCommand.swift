import ArgumentParser
import Report
import VirtualMachine

struct KernelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels", abstract: "The kernels that the lab knows and has.",
        subcommands: [List.self, Fetch.self, Path.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the catalogue's series, and which are in the cache.")

        func run() async throws {
            let catalogue = try KernelChoice.catalogue()
            let fetcher = KernelFetcher(catalogue: catalogue, cache: try Cache.standard())
            let rows = catalogue.series.map { series -> [Table.Cell] in
                let kernel = fetcher.cached(series.name)
                return [
                    .init(series.name), .init(kernel == nil ? "not fetched" : "cached"),
                    .init(kernel?.origin ?? kernel?.image ?? ""),
                ]
            }
            try StandardOutput.write(Table(rows: rows).lines().joined(separator: "\n") + "\n")
        }
    }

    struct Fetch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "fetch", abstract: "Put series into the cache, each at its newest release.")

        @Argument(help: ArgumentHelp("Series of the catalogue, such as 6.12.", valueName: "series"))
        var names: [String] = []

        @Flag(help: "Every series of the catalogue; one that cannot be had is no failure.")
        var all = false

        @Flag(help: "Look for newer releases of those that are in the cache.")
        var refresh = false

        mutating func validate() throws {
            if names.isEmpty == !all { throw ValidationError("name the series to fetch, or give --all") }
        }

        func run() async throws {
            let catalogue = try KernelChoice.catalogue()
            let known = catalogue.names
            for name in names where !known.contains(name) { throw KernelChoice.unknown(name, known) }
            let fetcher = KernelFetcher(catalogue: catalogue, cache: try Cache.standard())
            let progress = ProgressLine()
            let results = try await fetcher.fetch(
                known.filter { all || names.contains($0) }, refresh: refresh, progress: { progress.note($0) })
            progress.clear()
            var isIncomplete = results.isEmpty
            for (name, result) in results {
                switch result {
                case .success(let kernel):
                    try StandardOutput.write("\(name)  \(kernel.origin ?? kernel.image)\n")
                case .failure(let error):
                    try StandardOutput.write("\(name)  missing: \(error)\n")
                    if !all { isIncomplete = true }
                }
            }
            if isIncomplete { throw ExitCode(ExitStatus.broken.rawValue) }
        }
    }

    struct Path: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "path", abstract: "Print where the image of a fetched series is.")

        @Argument(help: ArgumentHelp("A series of the catalogue, such as 6.12.", valueName: "series"))
        var name: String

        func run() async throws {
            let catalogue = try KernelChoice.catalogue()
            guard catalogue.names.contains(name) else { throw KernelChoice.unknown(name, catalogue.names) }
            guard let kernel = KernelFetcher(catalogue: catalogue, cache: try Cache.standard()).cached(name) else {
                throw Misuse("\(name) is not in the cache: lab kernels fetch \(name)")
            }
            try StandardOutput.write(kernel.image + "\n")
        }
    }
}
