import Addressing
import Lab

/// Steps that several families begin with.
enum Scenery {
    /// A client outside the server, one link away; each prefix is local to the server and routed to it.
    static func network(_ plan: AddressPlan, local prefixes: [Prefix] = [], routed: [Prefix] = []) -> [Step] {
        [
            Step(.namespace("server")),
            Step(.namespace("client")),
            Step(
                .devicePair(
                    DevicePair(
                        .init(namespace: "client", device: "uplink", addresses: [plan.clientTransit]),
                        .init(namespace: "server", device: "uplink", addresses: [plan.serverTransit])))),
        ]
            + prefixes.map { Step(.localPrefix(LocalPrefix(namespace: "server", prefix: $0))) }
            + (prefixes + routed).map {
                Step(.route(Route(namespace: "client", to: $0, via: plan.serverAddress)))
            }
    }

    /// A dispatcher with these bindings, attached to the server under the label `attach`.
    static func dispatcher(_ bindings: [Step] = []) -> [Step] {
        [Step(.load(ProgramLoad("dispatcher", object: "dispatch")))] + bindings + [attach]
    }

    static let attach = Step(.attach(Attachment("link", program: "dispatcher", to: "server")), label: "attach")

    /// A socket that owns none of the addresses it serves: bound to loopback, on a port nobody asks for.
    static func service(_ name: String, _ variant: Variant, port: UInt16, receiveBuffer: Int? = nil) -> Step {
        Step(
            .socket(
                SocketDescription(
                    name, in: "server", variant.transport, bind: Endpoint(.loopback(variant.family), port),
                    receiveBuffer: receiveBuffer)))
    }

    /// Registers a socket under a label; the step's own label is `register-LABEL`.
    static func register(_ socket: String, under label: String) -> Step {
        Step(.register(Registration("dispatcher", label: label, socket: socket)), label: "register-\(label)")
    }

    static func bind(
        _ variant: Variant, _ prefix: Prefix, _ ports: PortRange, to label: String, label stepLabel: String? = nil
    ) -> Step {
        Step(.bind(Binding("dispatcher", variant.transport, prefix, ports: ports, to: label)), label: stepLabel)
    }

    static func unbind(_ variant: Variant, _ prefix: Prefix, _ ports: PortRange, from label: String) -> Step {
        Step(.unbind(Binding("dispatcher", variant.transport, prefix, ports: ports, to: label)))
    }

    static func probe(_ variant: Variant, _ address: IPAddress, _ port: UInt16, _ outcome: Outcome) -> Step {
        Step(
            .probe(Probe(from: "client", variant.transport, to: Endpoint(address, port))),
            expect: [Expectation(outcome)])
    }

    static func sweep(
        _ variant: Variant, _ addresses: Prefix, _ ports: PortRange, stride: Int = 1, _ answers: [AnswerSpan]
    ) -> Step {
        Step(
            .sweep(
                Sweep(from: "client", variant.transport, addresses: addresses, ports: ports, stride: stride)),
            expect: [Expectation(.answers(answers))])
    }

    /// The prefix on one port, every address with one answer.
    static func span(_ prefix: Prefix, _ port: UInt16, _ answer: String) -> AnswerSpan {
        AnswerSpan(Endpoint(prefix.address, port), through: Endpoint(prefix.last, port), answer)
    }
}

/// The changed worlds that several families share.
extension Sabotage {
    /// The program is loaded and filled, and never attached.
    static let programNotAttached = Sabotage("program-not-attached", omit: ["attach"])

    /// A program that selects nothing is attached instead.
    static let passAllProgram = Sabotage(
        "pass-all-program",
        replace: [
            "attach": [
                Step(.load(ProgramLoad("pass-all", object: "pass"))),
                Step(.attach(Attachment("link", program: "pass-all", to: "server"))),
            ]
        ])

    /// A label holds another service's socket.
    static func wrongSocket(_ label: String, instead socket: String) -> Sabotage {
        Sabotage(
            "wrong-socket-registered",
            replace: [
                "register-\(label)": [Step(.register(Registration("dispatcher", label: label, socket: socket)))]
            ])
    }
}
