// A stand-in until the executor is merged: it runs `exec` steps in the shell and nothing else.
import Glibc
import SystemPackage

public enum Progress: Sendable {
    case began(step: Int)
    case observed(step: Int, Observation)
}

public final class Executor {
    private let programs: FilePath

    public init(programs: FilePath) { self.programs = programs }

    public func perform(_ fixture: Fixture, report: (Progress) -> Void) async -> Ending {
        for (index, step) in fixture.steps.enumerated() {
            report(.began(step: index + 1))
            switch step.action {
            case .exec(let command):
                guard let stream = popen(command.run, "r") else { return .broken(step: index + 1, reason: "popen") }
                var output: [UInt8] = []
                while case let byte = fgetc(stream), byte != EOF { output.append(UInt8(truncatingIfNeeded: byte)) }
                let status = pclose(stream)
                report(
                    .observed(
                        step: index + 1,
                        Observation(.exited(status >> 8, output: String(decoding: output, as: UTF8.self)))))
            case .namespace:
                report(.observed(step: index + 1, Observation(.succeeded)))
            default:
                return .broken(step: index + 1, reason: "the stand-in executor cannot do that")
            }
        }
        return .finished
    }
}
