// Stand-ins for what other branches write; deleted when they are merged.
import Lab
import SystemPackage

public struct Kernel: Hashable, Sendable {
    public var name: String
    public var image: String
    public var modules: String?
    public var origin: String?
    public static func atPath(_ path: String, modules: String?) throws -> Kernel {
        Kernel(name: path, image: path, modules: modules, origin: nil)
    }
}
public struct Cache: Sendable {
    public let root: String
    public static func standard() throws -> Cache { Cache(root: "/nonexistent") }
}
public struct KernelCatalogue: Sendable {
    public struct Series: Sendable { public var name: String }
    public var series: [Series]
    public static func load(from path: String) throws -> KernelCatalogue {
        KernelCatalogue(series: ["5.10", "6.1", "6.12", "7.3"].map(Series.init(name:)))
    }
}
public enum KernelError: Error, CustomStringConvertible {
    case stub(String)
    public var description: String { "the mirror no longer has the series" }
}
public struct KernelFetcher: Sendable {
    public init(catalogue: KernelCatalogue, cache: Cache) {}
    public func cached(_ series: String) -> Kernel? { nil }
    public func fetch(
        _ series: [String], refresh: Bool, progress: @Sendable (String) -> Void
    ) async throws -> [(series: String, result: Result<Kernel, KernelError>)] {
        series.map { name in
            progress("fetching \(name)")
            return name == "5.10"
                ? (name, .failure(.stub(name)))
                : (name, .success(Kernel(name: name, image: "/nonexistent", modules: nil, origin: "stub")))
        }
    }
}
public struct GuestArtifacts: Sendable {
    public var programs: String
    public static func prepare(cache: Cache, progress: @Sendable (String) -> Void) async throws -> GuestArtifacts {
        GuestArtifacts(programs: "/nonexistent")
    }
}
public struct Accelerator: Sendable, CustomStringConvertible {
    public var description: String { "tcg" }
    public static func cached(in cache: Cache) -> Accelerator? { nil }
    public static func probe(
        cache: Cache, kernel: Kernel, progress: @Sendable (String) -> Void
    ) async throws -> Accelerator { Accelerator() }
}
public struct GuestRunner: Sendable {
    public init(artifacts: GuestArtifacts, accelerator: Accelerator, cache: Cache) {}
    public func run(
        _ trials: [Trial], on kernel: Kernel, report: @Sendable (RunEvent) -> Void
    ) async throws -> [FixtureResult] { try await stub(trials, kernel.name, report) }
}
public struct HostRunner: Sendable {
    public init(programs: FilePath) {}
    public func run(_ trials: [Trial], report: @Sendable (RunEvent) -> Void) async throws -> [FixtureResult] {
        try await stub(trials, "host", report)
    }
}
private func stub(
    _ trials: [Trial], _ kernel: String, _ report: @Sendable (RunEvent) -> Void
) async throws -> [FixtureResult] {
    report(.phase(kernel: kernel, doing: "booting"))
    var results: [FixtureResult] = []
    for (index, trial) in trials.enumerated() {
        report(.began(kernel: kernel, trial: trial.id))
        try await Task.sleep(for: .milliseconds(500))
        let deviates = index % 2 == 1
        results.append(
            FixtureResult(
                fixture: trial.fixture, sabotage: trial.sabotage, kernel: kernel, release: "6.12.0-stub",
                verdict: deviates ? .deviates : .conforms, seconds: 0.5,
                deviation: deviates
                    ? Deviation(
                        step: 1, action: "probe", expected: "reaches web", observed: "silence", log: ["[ 1.0] x"])
                    : nil, measurements: deviates ? [] : [Measurement("sockets", 4096, "sockets")]))
        report(.finished(results[index]))
    }
    return results
}
