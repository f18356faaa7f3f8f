// Stand-ins for what other branches write; deleted when they are merged.
import Lab
import SystemPackage

public struct Kernel: Hashable, Sendable {
    public var name: String
    public var image: String
    public var modules: String?
    public var origin: String?
    public static func atPath(_ image: String, modules: String? = nil) throws(KernelError) -> Kernel {
        if image == "vm/kernels.yaml" { throw .stub("\(image) is no kernel") }
        return Kernel(name: image, image: image, modules: modules, origin: nil)
    }
}
public enum CacheError: Error { case stub }
public struct Cache: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public var name: String
        public var path: String
        public var bytes: Int
    }
    public let root: String
    public static func standard() throws(CacheError) -> Cache { Cache(root: "/nonexistent") }
    public func entries() -> [Entry] { [Entry(name: "kernels/6.12", path: "", bytes: 61_234_567)] }
    public func clear(_ entry: String? = nil) throws(CacheError) {}
}
public struct KernelCatalogue: Hashable, Sendable {
    public struct Series: Hashable, Sendable {
        public var name: String
        public var isDefault: Bool
    }
    public var series: [Series]
    public var names: [String] { series.map(\.name) }
    public var `default`: Series? { series.first(where: \.isDefault) }
    public static func load(from path: String) throws(KernelError) -> KernelCatalogue {
        KernelCatalogue(
            series: ["5.10", "6.1", "6.12", "7.3"].map { Series(name: $0, isDefault: $0 == "6.12") })
    }
}
public enum KernelError: Error, CustomStringConvertible {
    case stub(String)
    public var description: String { if case .stub(let text) = self { text } else { "" } }
}
public struct KernelFetcher: Sendable {
    public init(catalogue: KernelCatalogue, cache: Cache) {}
    public func cached(_ series: String) -> Kernel? { nil }
    public func fetch(
        _ series: [String], refresh: Bool = false, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws -> [(series: String, result: Result<Kernel, KernelError>)] {
        series.map { name in
            progress("fetching \(name)")
            return name == "5.10"
                ? (name, .failure(.stub("the mirror has \(name) no longer")))
                : (
                    name,
                    .success(Kernel(name: name, image: "/nonexistent", modules: nil, origin: "linux-image \(name)"))
                )
        }
    }
}
public struct GuestArtifacts: Sendable {
    public var programs: String
    public static func prepare(
        cache: Cache, report: @Sendable (String) -> Void = { _ in }
    ) async throws -> GuestArtifacts { GuestArtifacts(programs: "/nonexistent") }
    public static func preparePrograms(
        cache: Cache, report: @Sendable (String) -> Void = { _ in }
    ) async throws -> String { "/nonexistent" }
}
public enum Accelerator: String, Sendable {
    case kvm, tcg
    public struct Choice: Sendable {
        public var accelerator: Accelerator
        public var because: String
    }
    public static func choose(
        booting kernel: Kernel, artifacts: GuestArtifacts, cache: Cache, report: (String) -> Void = { _ in }
    ) async throws -> Choice { Choice(accelerator: .tcg, because: "it is a stub") }
}
public struct GuestRunner: Sendable {
    public init(artifacts: GuestArtifacts, accelerator: Accelerator, cache: Cache) {}
    public func run(
        _ trials: [Trial], on kernel: Kernel, report: @Sendable (RunEvent) -> Void
    ) async throws -> [FixtureResult] { try await stub(trials, kernel.name, report) }
}
public struct HostRunner: Sendable {
    public init(programs: FilePath) {}
    public static var isPrivileged: Bool { true }
    public func run(_ trials: [Trial], report: @Sendable (RunEvent) -> Void) async -> [FixtureResult] {
        (try? await stub(trials, "host", report)) ?? []
    }
}
extension KernelIdentity {
    public static var running: KernelIdentity { KernelIdentity(release: "6.12.0-stub", build: "") }
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
                    : nil, measurements: deviates ? [] : [Measurement("sockets", 4096, "")]))
        report(.finished(results[index]))
    }
    return results
}
