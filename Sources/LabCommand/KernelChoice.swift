import ArgumentParser
import Fixtures
import Foundation
import Lab
import Report
import VirtualMachine
import YAMLReading

/// The options that choose kernels.
struct KernelOptions: ParsableArguments {
    @Option(
        name: .customLong("kernel"),
        help:
            "A series of the catalogue, such as 6.12, or the path of a bzImage. Repeatable. (default: the catalogue's default)"
    )
    var kernels: [String] = []

    @Option(help: ArgumentHelp("The modules of a kernel given by its path.", valueName: "dir"))
    var modules: String?

    @Flag(help: "Every series of the catalogue that can be had.")
    var allKernels = false

    @Flag(help: "The running kernel, in namespaces of its own. Needs root.")
    var host = false

    mutating func validate() throws {
        if modules != nil, kernels.count != 1 || allKernels {
            throw ValidationError("--modules belongs to exactly one --kernel PATH")
        }
    }
}

/// A kernel to run trials on.
enum Target: Sendable {
    case host
    case machine(Kernel)

    var isHost: Bool { if case .host = self { true } else { false } }

    var name: String {
        switch self {
        case .host: "host"
        case .machine(let kernel): kernel.name
        }
    }
}

/// The kernels of a run: those that are at hand, and those that could not be had.
struct KernelChoice: Sendable {
    var targets: [Target] = []
    var missing: [MissingKernel] = []
    /// How the command line names a kernel that `--kernel NAME` does not.
    var options: [String: [String]] = [:]

    /// Where each came from, by name.
    var origins: [String: String] {
        var origins: [String: String] = [:]
        for case .machine(let kernel) in targets { origins[kernel.name] = kernel.origin }
        return origins
    }

    /// Finds what `options` ask for, and fetches what is not yet in the cache.
    init(_ chosen: KernelOptions, cache: Cache, progress: ProgressLine) async throws {
        if chosen.host {
            guard HostRunner.isPrivileged else {
                throw Breakdown("--host needs root, to make namespaces and load programs: run it with sudo")
            }
            targets.append(.host)
            options["host"] = ["--host"]
        }
        if chosen.host, chosen.kernels.isEmpty, !chosen.allKernels { return }

        let catalogue = try KernelChoice.catalogue()
        let known = catalogue.names
        var named = chosen.kernels
        if named.isEmpty, !chosen.allKernels { named = catalogue.default.map { [$0.name] } ?? [] }
        var series: [String] = []
        var paths: [String] = []
        for name in named {
            if known.contains(name) {
                series.append(name)
            } else if name.contains("/") || FileManager.default.fileExists(atPath: name) {
                paths.append(name)
            } else {
                throw KernelChoice.unknown(name, known)
            }
        }
        if chosen.modules != nil, paths.isEmpty { throw Misuse("--modules belongs to a kernel given by its path") }
        for path in paths {
            let kernel: Kernel
            do {
                kernel = try Kernel.atPath(path, modules: chosen.modules)
            } catch {
                throw Misuse("--kernel: \(error)")
            }
            options[kernel.name] = ["--kernel", path] + (chosen.modules.map { ["--modules", $0] } ?? [])
            add(.machine(kernel))
        }
        // In the catalogue's order, oldest first, and each once.
        let wanted = known.filter { chosen.allKernels || series.contains($0) }
        guard !wanted.isEmpty else { return }
        let fetcher = KernelFetcher(catalogue: catalogue, cache: cache)
        for (name, result) in try await fetcher.fetch(wanted, refresh: false, progress: { progress.note($0) }) {
            switch result {
            case .success(let kernel): add(.machine(kernel))
            case .failure(let error):
                missing.append(
                    MissingKernel(name, reason: "\(error)", isRequired: series.contains(name) || !error.isAbsence))
                progress.warn("kernel \(name): \(error)")
            }
        }
    }

    private mutating func add(_ target: Target) {
        if !targets.contains(where: { $0.name == target.name }) { targets.append(target) }
    }

    static func catalogue() throws -> KernelCatalogue {
        try KernelCatalogue.load(from: PackageRoot.find() + "/vm/kernels.yaml")
    }

    static func unknown(_ name: String, _ known: [String]) -> Misuse {
        Misuse(
            "no kernel series is called '\(name)'\(suggestion(for: name, among: known))"
                + " The catalogue has \(known.joined(separator: ", ")); a path needs a slash")
    }
}
