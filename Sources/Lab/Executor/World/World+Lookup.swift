import Addressing
import Glibc
import SocketLookup
import SystemPackage

extension World {
    func load(_ load: ProgramLoad) throws {
        try unused(loaded[load.name] != nil, "program", load.name)
        let object = programs.appending("\(load.object).bpf.o")
        guard access(object.string, R_OK) == 0 else {
            throw ExecutorError.unknown(kind: "program object", name: load.object)
        }
        let program = try limited(to: load.capabilities) { try Program(object: object, named: load.object) }
        loaded[load.name] = program
        if load.object.hasPrefix("reuseport") {
            return try prepareGroupProgram(load, program)
        }
        if let operations = load.script {
            var script = LoadedScript(try ScriptedProgram(program))
            try script.perform(operations)
            scripts[load.name] = script
            return
        }
        do {
            dispatchers[load.name] = try Dispatcher(program)
        } catch SocketLookupError.notADispatcher {
            // One of the programs that show one behaviour each.
        }
    }

    /// Asks a program, without a packet, whom it would pick for each endpoint.
    func testRun(_ run: TestRun) throws -> [AnswerSpan] {
        let program = try program(run.program)
        var names: [UInt64: String] = [:]
        for (name, server) in servers { names[try server.descriptor.cookie()] = name }
        return try spans(over: run.addresses, run.ports, stride: 1) { endpoint in
            let result = try program.testRun(
                LookupContext(run.protocol, remote: run.remote, local: endpoint))
            if result.returned == 0 { return "drop" }
            return result.cookie == 0 ? "pass" : names[result.cookie] ?? "a socket unknown to the fixture"
        }
    }
}

extension Descriptor {
    /// The same descriptor, still owned here.
    var file: FileDescriptor { FileDescriptor(rawValue: raw) }
}
