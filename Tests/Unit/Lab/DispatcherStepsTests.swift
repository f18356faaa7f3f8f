import Addressing
import Testing

@testable import Fixtures
@testable import Lab
@testable import SocketLookup

@Suite("Steps about a pinned dispatcher")
struct DispatcherStepsTests {
    @Test("a binding is a line, and a line is a binding")
    func lines() throws {
        for text in [
            "tcp 192.0.2.0/24 80 web", "udp 2001:db8::/32 0-65535 two words else pass", "tcp 0.0.0.0/0 1-2 ",
            "udp 192.0.2.1/32 53  else pass",
        ] {
            #expect(DispatcherBinding(text: text)?.description == text)
        }
        #expect(DispatcherBinding(text: "tcp 192.0.2.0/24 80 web else pass")?.otherwise == .pass)
        #expect(DispatcherBinding(text: "tcp 192.0.2.0/24 80 web else pass")?.label == "web")
        for text in ["tcp 192.0.2.0/24 80", "sctp 192.0.2.0/24 80 web", "tcp 192.0.2.1/24 80 x", "tcp ::/0 9-8 x", ""] {
            #expect(DispatcherBinding(text: text) == nil, "\(text)")
        }
    }

    @Test("a change is killed after each of the steps that changes have")
    func interruptions() {
        #expect(DispatcherInterruptions.steps.map(\.name) == ControlStep.allCases.map(\.rawValue))
        let variants = DispatcherInterruptions.fixtures.compactMap(\.variant)
        #expect(variants == ControlStep.allCases.map(\.rawValue))
    }

    @Test("a refusal is no success, unless it is what is expected")
    func refusals() {
        #expect(Outcome.succeeds.matches(.facts(["added": "1"])))
        #expect(!Outcome.succeeds.matches(.facts(["refusal": "busy"])))
        #expect(Outcome.facts(["refusal": "busy"]).matches(.facts(["refusal": "busy"])))
        #expect(!Outcome.facts(["added": "1"]).matches(.facts(["refusal": "busy"])))
    }

    @Test("arguments of a program that tell of no change to a dispatcher are left to it")
    func otherArguments() {
        #expect(DispatcherProcess.perform(["lab"]) == nil)
        #expect(DispatcherProcess.perform(["lab", "run", "--change-dispatcher"]) == nil)
    }
}
