import Glibc
import SystemPackage

extension KernelIdentity {
    /// The running kernel.
    public static var running: KernelIdentity {
        var names = utsname()
        // Fails only for a bad address.
        uname(&names)
        func text<Field>(_ field: Field) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return KernelIdentity(release: text(names.release), build: text(names.version))
    }
}

/// Performs fixtures on the running kernel, in namespaces of its own, and leaves nothing behind.
public struct HostRunner: Sendable {
    private let programs: FilePath
    private let executable: FilePath

    /// - Parameters: as ``Executor`` has them.
    public init(programs: FilePath, executable: FilePath = "/proc/self/exe") {
        self.programs = programs
        self.executable = executable
    }

    /// Whether this process may make namespaces and load programs.
    public static var isPrivileged: Bool { geteuid() == 0 }

    /// Performs each trial; after cancellation, the results so far.
    public func run(_ trials: [Trial], report: @Sendable (RunEvent) -> Void) async -> [FixtureResult] {
        let executor = Executor(programs: programs, executable: executable)
        let identity = KernelIdentity.running
        raiseDescriptorLimit()
        var results: [FixtureResult] = []
        for trial in trials where !Task.isCancelled {
            report(.began(kernel: "host", trial: trial.id))
            let start = ContinuousClock.now
            var observations: [Observation] = []
            let ending = await executor.perform(trial.fixture) {
                if case .observed(_, let observation) = $0 { observations.append(observation) }
            }
            if Task.isCancelled { break }
            let result = trial.result(
                kernel: "host", identity: identity, observations: observations, ending: ending,
                seconds: (ContinuousClock.now - start) / .seconds(1))
            report(.finished(result))
            results.append(result)
        }
        return results
    }

    /// The scale fixtures open more sockets than the usual limit of 1024; root may raise the hard limit, too.
    private func raiseDescriptorLimit() {
        let wanted: rlim_t = 1 << 17
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < wanted else {
            return
        }
        limit.rlim_cur = wanted
        limit.rlim_max = max(limit.rlim_max, wanted)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
