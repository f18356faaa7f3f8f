import ArgumentParser
import Foundation
import Report
import VirtualMachine

struct CacheCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache", abstract: "What the lab keeps between runs: kernels, guests, saved machines.",
        subcommands: [Show.self, Clear.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show where the cache is, and what is in it.")

        func run() async throws {
            let cache = try Cache.standard()
            let entries = cache.entries()
            let total = entries.reduce(0) { $0 + $1.bytes }
            let head = [Table.Cell(cache.root), .init(entries.isEmpty ? "empty" : CacheCommand.megabytes(total))]
            let rows = [head] + entries.map { [.init("  \($0.name)"), .init(CacheCommand.megabytes($0.bytes))] }
            try StandardOutput.write(Table(rows: rows).lines().joined(separator: "\n") + "\n")
        }
    }

    struct Clear: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "clear", abstract: "Remove everything in the cache; the next run makes it again.")

        func run() async throws {
            let cache = try Cache.standard()
            let root = cache.root
            let resolved = URL(fileURLWithPath: root).resolvingSymlinksInPath().path
            // A LAB_CACHE that was set to the wrong directory must not cost more than a cache.
            for precious in [NSHomeDirectory(), FileManager.default.currentDirectoryPath] {
                let path = URL(fileURLWithPath: precious).resolvingSymlinksInPath().path
                if resolved == "/" || path == resolved || path.hasPrefix(resolved + "/") {
                    throw Misuse("the cache directory \(root) holds \(precious): nothing is removed; set LAB_CACHE")
                }
            }
            try cache.clear()
            try StandardOutput.write("\(root)  empty\n")
        }
    }

    private static func megabytes(_ bytes: Int) -> String { "\((bytes + 500_000) / 1_000_000) MB" }
}
