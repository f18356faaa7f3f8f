import Addressing
import Channel
import Foundation
import Lab
import Testing
import VirtualMachine

/// The lab must survive whatever a guest does, and say what it was: each test breaks one, on purpose.
extension KernelTests {
    @Suite(.serialized, .enabled(TestKernels.hint) { await TestKernels.canBoot })
    struct MachineSelfTests {
        /// A fixture that a sound guest conforms to.
        private static func trial(_ name: String) -> Trial {
            Trial(
                Fixture(
                    name: "self-test/\(name)", summary: "a shell line runs in the guest", because: [],
                    steps: [
                        Step(.namespace("test")),
                        Step(
                            .exec(Command(in: "test", "echo hello")), expect: [Expectation(.exits(0, output: "hello"))]),
                    ]))
        }

        private func results(
            _ misbehaviour: Misbehaviour?, runs: String? = nil, silence: Duration? = nil,
            report: @escaping @Sendable (RunEvent) -> Void = { _ in }
        ) async throws -> [FixtureResult] {
            let kernel = try await TestKernels.first
            var runner = try await TestKernels.runner(for: kernel)
            if let runs { runner.runs = runs }
            if let silence { runner.options.silenceDeadline = silence }
            if let misbehaviour { runner.misbehaviours = ["self-test/second": misbehaviour] }
            let results = try await runner.run(
                [Self.trial("first"), Self.trial("second"), Self.trial("third")], on: kernel, report: report)
            #expect(results.map(\.fixture) == ["self-test/first", "self-test/second", "self-test/third"])
            return results
        }

        private func expectOnlySecond(_ verdict: Verdict, _ results: [FixtureResult]) throws -> Deviation {
            #expect(results.map(\.verdict) == [.conforms, verdict, .conforms], "\(results)")
            #expect(!results.contains { $0.release.isEmpty })
            return try #require(results[1].deviation)
        }

        @Test func `A sound guest conforms throughout`() async throws {
            let results = try await results(nil)
            #expect(results.map(\.verdict) == [.conforms, .conforms, .conforms], "\(results)")
        }

        @Test func `Fixtures and output of hundreds of kilobytes pass the channel whole`() async throws {
            let kernel = try await TestKernels.first
            let size = 150_000
            // Longer than what a shell takes as one argument, so in many steps.
            let steps = (0..<100).map { index in
                Step(
                    .exec(Command(in: "test", ": " + String(repeating: "x", count: size / 100) + "; echo \(index)")),
                    expect: [Expectation(.exits(0, output: "\(index)"))])
            }
            let flood = Step(
                .exec(Command(in: "test", "head -c \(size) /dev/zero | tr '\\0' y; echo; echo end")),
                expect: [Expectation(.exits(0, output: "end"))])
            let big = Trial(
                Fixture(
                    name: "self-test/big", summary: "much passes", because: [],
                    steps: [Step(.namespace("test"))] + steps + [flood]))
            let results = try await TestKernels.runner(for: kernel).run([big], on: kernel) { _ in }
            #expect(results.map(\.verdict) == [.conforms], "\(results.map(\.deviation?.observed))")
        }

        @Test func `A panic is a crash of the trial that ran, with the kernel's last words`() async throws {
            let deviation = try expectOnlySecond(.crashed, await results(.panic))
            #expect(deviation.observed.contains("Kernel panic - not syncing: sysrq triggered crash"))
            #expect(deviation.log.contains { $0.contains("Call Trace") })
        }

        @Test func `A warning from a guest that lives on is a crash too`() async throws {
            let deviation = try expectOnlySecond(.crashed, await results(.warn))
            #expect(deviation.observed.contains("WARNING: CPU: 0"))
        }

        @Test(arguments: [Misbehaviour.hang, .mute])
        func `Silence past the deadline is a hang`(_ misbehaviour: Misbehaviour) async throws {
            let deviation = try expectOnlySecond(
                .hung, await results(misbehaviour, silence: .seconds(3)))
            #expect(deviation.observed.contains("was not enough"))
        }

        @Test func `A step that takes long and goes on is no hang`() async throws {
            let kernel = try await TestKernels.first
            var runner = try await TestKernels.runner(for: kernel)
            runner.options.silenceDeadline = .seconds(8)
            // 200,000 refused datagrams, all in one step: several times the deadline even on an idle machine.
            let (addresses, ports) = (try Prefix(text: "127.0.0.4/30"), try PortRange(1, through: 50000))
            let refused = AnswerSpan(
                Endpoint(addresses.address, 1), through: Endpoint(addresses.last, 50000), "refused")
            let sweep = Step(
                .sweep(Sweep(from: "test", .udp, addresses: addresses, ports: ports)),
                expect: [Lab.Expectation(.answers([refused]))])
            let trial = Trial(
                Fixture(
                    name: "self-test/long", summary: "nobody is there", because: [],
                    steps: [Step(.namespace("test")), sweep]))
            let results = try await runner.run([trial], on: kernel) { _ in }
            #expect(results.map(\.verdict) == [.conforms], "\(results)")
        }

        @Test func `An agent that exits is the lab's fault`() async throws {
            let deviation = try expectOnlySecond(.broken, await results(.exit))
            #expect(deviation.observed.contains("the agent exited with status 3"))
        }

        @Test func `A QEMU that is killed from outside is the lab's fault`() async throws {
            try await TestGuest.withDirectory { runs in
                let results = try await results(.mute, runs: runs) { event in
                    guard case .began(_, trial: "self-test/second") = event else { return }
                    for process in TestGuest.processes(in: runs) { kill(process, SIGKILL) }
                }
                #expect(try expectOnlySecond(.broken, results).observed.contains("QEMU ended"))
            }
        }

        @Test func `A kernel that is none gives every trial one verdict after two attempts`() async throws {
            var kernel = try await TestKernels.first
            kernel.image = "/dev/null"
            let boots = Counter()
            let results = try await TestKernels.runner(for: kernel).run(
                [Self.trial("first"), Self.trial("second"), Self.trial("third")], on: kernel
            ) { if case .phase = $0 { boots.increment() } }
            #expect(results.map(\.verdict) == [.broken, .broken, .broken])
            #expect(boots.value == 2)
        }

        @Test func `A kernel that does not come up in time hangs, and is not waited for a third time`() async throws {
            let kernel = try await TestKernels.first
            var runner = try await TestKernels.runner(for: kernel)
            runner.options.kernelDeadline = .milliseconds(50)
            let boots = Counter()
            let results = try await runner.run(
                [Self.trial("first"), Self.trial("second"), Self.trial("third")], on: kernel
            ) { if case .phase = $0 { boots.increment() } }
            #expect(results.map(\.verdict) == [.hung, .hung, .hung])
            #expect(boots.value == 2)
        }

        @Test func `Nothing is left of a run that is cancelled`() async throws {
            try await TestGuest.withDirectory { runs in
                let (began, beginning) = AsyncStream.makeStream(of: Void.self)
                let task = Task {
                    try await results(.mute, runs: runs) { event in
                        if case .began(_, trial: "self-test/second") = event { beginning.yield() }
                    }
                }
                for await _ in began { break }
                let processes = TestGuest.processes(in: runs)
                #expect(processes.count == 1)
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
                #expect(processes.allSatisfy { kill($0, 0) != 0 })
                let left = try FileManager.default.contentsOfDirectory(atPath: runs)
                #expect(left.isEmpty)
            }
        }
    }
}
