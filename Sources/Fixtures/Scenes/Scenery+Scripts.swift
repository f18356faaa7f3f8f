import Addressing
import Lab

/// One namespace with scripted programs, asked over its own loopback: it needs no device that a kernel might lack.
struct ScriptedLookups {
    let variant: Variant
    /// The port that is asked; a script is about packets to it, and leaves the answers alone, which are looked up too
    /// where the client is not connected.
    static let port: UInt16 = 80

    var destination: Endpoint { Endpoint(.loopback(variant.family), ScriptedLookups.port) }

    /// What ordinary lookup finds at the destination is called `ordinary`.
    func network(ordinary: Bool = true) -> [Step] {
        [Step(.namespace("server"))] + (ordinary ? [socket("ordinary", port: ScriptedLookups.port)] : [])
    }

    func socket(_ name: String, port: UInt16, options: [SocketOption] = []) -> Step {
        Step(
            .socket(
                SocketDescription(
                    name, in: "server", variant.transport, bind: Endpoint(.loopback(variant.family), port),
                    options: options)))
    }

    /// A program that passes everything until it is given a script.
    func load(_ program: String) -> Step { Step(.load(ProgramLoad(program, script: []))) }

    func attach(_ program: String) -> Step {
        Step(.attach(Attachment(program, program: program, to: "server")), label: "attach-\(program)")
    }

    func register(_ socket: String, with programs: [String], label: String? = nil) -> [Step] {
        programs.map { Step(.register(Registration($0, label: socket, socket: socket)), label: label) }
    }

    func script(_ program: String, _ operations: [ScriptOperation]) -> Step {
        Step(.script(ScriptChange(program, [.onlyLocalPort(ScriptedLookups.port)] + operations)))
    }

    func probe(_ outcome: Outcome) -> Step {
        Step(
            .probe(Probe(from: "server", variant.transport, to: destination)), expect: [Expectation(outcome)])
    }

    /// What a program recorded; operations are counted from the first that was given, which comes second here.
    func recorded(_ program: String, _ facts: [String: String]) -> Step {
        Step(.recorded(program), expect: [Expectation(.facts(facts))])
    }

    func ran(_ programs: [String]) -> Step {
        var facts = Dictionary(uniqueKeysWithValues: programs.map { ($0, "1") })
        facts["order"] = programs.joined(separator: ", ")
        return Step(.ran(programs), expect: [Expectation(.facts(facts))])
    }

    /// What a socket's state is when it can be selected.
    var selectableState: String { variant.transport == .tcp ? "listen" : "close" }
}
