import Foundation
import Testing
import VirtualMachine

/// The kernels that the kernel tests run on: the series in `LAB_KERNELS`, by default one long-term one.
enum TestKernels {
    static let series: [String] = {
        let named = ProcessInfo.processInfo.environment["LAB_KERNELS"] ?? ""
        let series = named.split { " ,".contains($0) }.map(String.init)
        return series.isEmpty ? ["6.12"] : series
    }()

    /// Whether what cannot run must fail, as in CI, instead of being skipped.
    static let areRequired = ProcessInfo.processInfo.environment["LAB_REQUIRE"] == "1"

    static let hint: Comment = "needs QEMU and a kernel: scripts/setup, then lab kernels fetch"
    static let rootHint: Comment = "needs root, to make namespaces and load programs: sudo swift test"

    static var canBoot: Bool {
        get async {
            if areRequired { return true }
            do {
                for name in series { _ = try await kernel(name) }
                return (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
                    FileManager.default.isExecutableFile(atPath: "\($0)/qemu-system-x86_64")
                }
            } catch {
                return false
            }
        }
    }

    static var canUseHost: Bool { areRequired || geteuid() == 0 }

    /// A kernel of the catalogue, fetched if it is not in the cache.
    static func kernel(_ series: String) async throws -> Kernel {
        let catalogue = try KernelCatalogue.load(from: PackageRoot.find() + "/vm/kernels.yaml")
        let fetcher = KernelFetcher(catalogue: catalogue, cache: try Cache.standard())
        return try await fetcher.fetch([series])[0].result.get()
    }

    /// The kernel that the lab's tests of itself boot.
    static var first: Kernel { get async throws { try await kernel(series[0]) } }

    static func runner(for kernel: Kernel) async throws -> GuestRunner {
        let cache = try Cache.standard()
        let artifacts = try await GuestArtifacts.prepare(cache: cache)
        let choice = try await Accelerator.choose(booting: kernel, artifacts: artifacts, cache: cache)
        return GuestRunner(artifacts: artifacts, accelerator: choice.accelerator, cache: cache)
    }
}
