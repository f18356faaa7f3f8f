import Fixtures
import Lab
import SystemPackage
import Testing
import VirtualMachine

extension KernelTests {
    @Suite struct FixtureTests {
        private static let trials = Catalogue.all.filter { !$0.tags.contains("slow") }.map { Trial($0) }

        @Test(.enabled(TestKernels.hint) { await TestKernels.canBoot }, arguments: TestKernels.series)
        func `every fixture conforms, or is unsupported as declared, in a guest`(series: String) async throws {
            let kernel = try await TestKernels.kernel(series)
            let runner = try await TestKernels.runner(for: kernel)
            // Two machines share them: one of them takes nine minutes, and a machine has one processor.
            let results = try await withThrowingTaskGroup(of: [FixtureResult].self) { group in
                for share in 0..<2 {
                    let trials = Self.trials.indices.filter { $0 % 2 == share }.map { Self.trials[$0] }
                    group.addTask { try await runner.run(trials, on: kernel) { _ in } }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(results.count == Self.trials.count)
            expectNoDeviation(results)
        }

        @Test(.enabled(if: TestKernels.canUseHost, TestKernels.rootHint))
        func `every fixture conforms, or is unsupported as declared, on the running kernel`() async throws {
            let results = await HostRunner(programs: try await programs(), executable: executable).run(Self.trials) {
                _ in
            }
            #expect(results.count == Self.trials.count)
            expectNoDeviation(results)
        }

        @Test(.enabled(if: TestKernels.canUseHost, TestKernels.rootHint))
        func `every behaviour deviates in each of the worlds where it must`() async throws {
            // One variant of each, for speed: `make sabotage` has them all.
            let behaviours = Dictionary(grouping: Self.trials.map(\.fixture), by: \.name).values.compactMap(\.first)
            let trials = try behaviours.flatMap { fixture in
                try fixture.sabotages.map { try Trial(fixture, under: $0) }
            }
            let results = await HostRunner(programs: try await programs(), executable: executable).run(trials) { _ in }
            #expect(results.count == trials.count)
            expectNoDeviation(results)
        }

        /// The command, as built beside this: a test runner makes no changes to dispatchers.
        private var executable: FilePath {
            FilePath(CommandLine.arguments[0]).removingLastComponent().appending("lab")
        }

        private func programs() async throws -> FilePath {
            FilePath(try await GuestArtifacts.preparePrograms(cache: try Cache.standard()))
        }

        private func expectNoDeviation(_ results: [FixtureResult]) {
            for result in results where result.verdict != .conforms && result.verdict != .unsupported {
                let deviation = result.deviation
                Issue.record(
                    """
                    \(result.id)\(result.sabotage.map { " under \($0)" } ?? "") on \(result.release): \(result.verdict)
                    step \(deviation?.step ?? 0): \(deviation?.action ?? "")
                    expected: \(deviation?.expected ?? "")
                    observed: \(deviation?.observed ?? "")
                    """)
            }
        }
    }
}
