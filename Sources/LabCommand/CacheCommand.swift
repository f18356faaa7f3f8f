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
            let root = try Cache.standard().root
            var rows = [[Table.Cell(root), Table.Cell("")]]
            var total = 0
            for name in CacheCommand.entries(of: root) {
                let size = CacheCommand.size(of: "\(root)/\(name)")
                total += size
                rows.append([.init("  \(name)"), .init(CacheCommand.megabytes(size))])
            }
            rows[0][1] = .init(rows.count == 1 ? "empty" : CacheCommand.megabytes(total))
            try StandardOutput.write(Table(rows: rows).lines().joined(separator: "\n") + "\n")
        }
    }

    struct Clear: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "clear", abstract: "Remove everything in the cache; the next run makes it again.")

        func run() async throws {
            let root = try Cache.standard().root
            let resolved = URL(fileURLWithPath: root).resolvingSymlinksInPath().path
            // A LAB_CACHE that was set to the wrong directory must not cost more than a cache.
            for precious in [NSHomeDirectory(), FileManager.default.currentDirectoryPath] {
                let path = URL(fileURLWithPath: precious).resolvingSymlinksInPath().path
                if resolved == "/" || path == resolved || path.hasPrefix(resolved + "/") {
                    throw Misuse("the cache directory \(root) holds \(precious): nothing is removed; set LAB_CACHE")
                }
            }
            for name in CacheCommand.entries(of: root) {
                do {
                    try FileManager.default.removeItem(atPath: "\(root)/\(name)")
                } catch {
                    throw Breakdown("\(root)/\(name) cannot be removed: \(error.localizedDescription)")
                }
            }
            try StandardOutput.write("\(root)  empty\n")
        }
    }

    private static func entries(of root: String) -> [String] {
        // A cache that is not there yet is empty.
        ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).sorted()
    }

    /// What the files under `path` take on the disk: saved machines are sparse.
    private static func size(of path: String) -> Int {
        var total = 0
        var status = stat()
        if lstat(path, &status) == 0 { total += Int(status.st_blocks) * 512 }
        for name in FileManager.default.enumerator(atPath: path)?.compactMap({ $0 as? String }) ?? []
        where lstat("\(path)/\(name)", &status) == 0 { total += Int(status.st_blocks) * 512 }
        return total
    }

    private static func megabytes(_ bytes: Int) -> String { "\((bytes + 500_000) / 1_000_000) MB" }
}
