import Addressing
import Lab

/// Scenery of one namespace, `server`, whose packets go over loopback, so that kernels without devices that connect
/// namespaces are asked as well.
///
/// Clients are in reach of the program, too: it runs for an answer to a UDP client that is not connected, and for an
/// ICMP error to one. So clients connect their sockets here, unless that is what a fixture is about.
struct OneHost {
    let variant: Variant
    /// Clients in a namespace of their own, one link away, after all: where the path matters.
    var outside = false
    var plan: AddressPlan { AddressPlan(family: variant.family) }

    /// The port asked.
    static let port: UInt16 = 80
    /// In the prefix that is local: one that a socket is bound to, and one that none is.
    var exact: IPAddress { plan.service.host(1) }
    var other: IPAddress { plan.service.host(2) }

    var namespace: [Step] {
        outside ? Scenery.network(plan, local: [plan.service]) : [Step(.namespace("server")), prefix]
    }

    private var home: String { outside ? "client" : "server" }

    var prefix: Step { Step(.localPrefix(LocalPrefix(namespace: "server", prefix: plan.service))) }

    /// A socket that shares its port with others of the fixture.
    func open(
        _ name: String, _ address: IPAddress, _ port: UInt16 = OneHost.port, connect: Endpoint? = nil,
        options: [SocketOption] = [], label: String? = nil, change: (inout SocketDescription) -> Void = { _ in }
    ) -> Step {
        // UDP sockets share a port if both have SO_REUSEADDR, without being a group; TCP listeners need SO_REUSEPORT.
        let sharing: SocketOption = variant.transport == .tcp ? .reusePort : .reuseAddress
        var socket = SocketDescription(
            name, in: "server", variant.transport, bind: Endpoint(address, port),
            options: [.freeBind, sharing] + options, connect: connect)
        change(&socket)
        return Step(.socket(socket), label: label ?? "open-\(name)")
    }

    /// The socket that the program selects: on loopback, and on the port asked, as a connected client takes no
    /// answer from another.
    func openSteered(
        _ name: String = "steered", change: (inout SocketDescription) -> Void = { _ in }
    ) -> Step { open(name, plan.loopback, change: change) }

    /// Another that the program may select. A TCP listener beside the first would be of its reuseport group.
    func openAnother(_ name: String) -> Step {
        open(name, plan.loopback, variant.transport == .tcp ? 8002 : OneHost.port)
    }

    /// A client's endpoint; each of a fixture's flows has one of its own.
    func client(_ number: UInt16) -> Endpoint { Endpoint(outside ? plan.clientAddress : plan.loopback, 40000 + number) }

    /// A flow that stays open: its client's port is 40000 and `number`.
    func connect(
        _ name: String, _ number: UInt16, to address: IPAddress, port: UInt16 = OneHost.port, _ outcome: Outcome,
        label: String? = nil, fastOpen: Bool? = nil, question: Bool? = nil
    ) -> Step {
        Step(
            .connect(
                Connection(
                    name, from: home, variant.transport, to: Endpoint(address, port), source: client(number),
                    connected: variant.transport == .udp ? true : nil, fastOpen: fastOpen, question: question)),
            label: label, expect: [Expectation(outcome)])
    }

    func exchange(_ name: String, _ outcome: Outcome) -> Step {
        Step(.exchange(name), expect: [Expectation(outcome)])
    }

    func probe(
        _ address: IPAddress, _ outcome: Outcome, port: UInt16 = OneHost.port, fence: Endpoint? = nil,
        label: String? = nil
    ) -> Step {
        Step(
            .probe(Probe(from: home, variant.transport, to: Endpoint(address, port), fence: fence)), label: label,
            expect: [Expectation(outcome)])
    }

    /// A script that selects the socket under the label `steered` for the port asked, attached after one that
    /// witnesses every lookup.
    func script(_ operations: [ScriptOperation]? = nil, socket: String = "steered") -> [Step] {
        [
            Step(.load(ProgramLoad("witness", object: "script", script: [.verdict(.pass)]))),
            Step(.attach(Attachment("witness", program: "witness", to: "server"))),
            Step(.load(ProgramLoad("program", object: "script", script: operations ?? OneHost.steer))),
            OneHost.register(socket), OneHost.attach,
        ]
    }

    static let steer: [ScriptOperation] = [.onlyLocalPort(port), .select("steered")]

    static func register(_ socket: String = "steered") -> Step {
        Step(.register(Registration("program", label: "steered", socket: socket)), label: "register")
    }

    static let attach = Step(.attach(Attachment("link", program: "program", to: "server")), label: "attach")

    static func change(_ operations: [ScriptOperation]) -> Step { Step(.script(ScriptChange("program", operations))) }

    static let detach = [Step(.detach("link")), Step(.detach("witness"))]

    /// How many lookups ran the programs since this was last asked, and the last of them.
    static func recorded(runs: Int, _ facts: [String: String] = [:]) -> Step {
        Step(.recorded("witness"), expect: [Expectation(.facts(facts.merging(["runs": "\(runs)"]) { $1 }))])
    }

    /// A lookup of what a client sent to the port asked.
    func seen(_ number: UInt16, _ address: IPAddress, port: UInt16 = OneHost.port) -> [String: String] {
        [
            "protocol": variant.transport.rawValue, "remote": client(number).description,
            "local": Endpoint(address, port).description,
        ]
    }

    static func facts(_ action: Action, _ facts: [String: String], label: String? = nil) -> Step {
        Step(action, label: label, expect: [Expectation(.facts(facts))])
    }

    static func fails(_ action: Action, _ errno: ErrorNumber, _ call: String? = nil, label: String? = nil) -> Step {
        Step(action, label: label, expect: [Expectation(.fails(errno, call: call))])
    }

    func fixture(
        _ name: String, variant id: String? = nil, _ summary: String, because: [String] = [],
        requires: [Feature] = [], _ steps: [Step], sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: name, variant: id ?? variant.id, summary: summary, because: because,
            requires: [.skLookup] + (outside ? [.devicePair] : []) + requires + variant.features, steps: steps,
            sabotages: sabotages)
    }
}

extension Sabotage {
    /// The script is loaded, and the program that is attached selects nothing.
    static let scriptSelectsNothing = Sabotage(
        "script-selects-nothing", replace: ["attach": [OneHost.change([.verdict(.pass)]), OneHost.attach]])

    static func registered(_ socket: String) -> Sabotage {
        Sabotage("wrong-socket-registered", replace: ["register": [OneHost.register(socket)]])
    }
}
