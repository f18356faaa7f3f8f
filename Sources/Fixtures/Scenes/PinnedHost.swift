import Addressing
import Lab

/// One namespace, `server`, with a pinned dispatcher, asked over its own loopback: no device is needed that a kernel
/// might lack.
struct PinnedHost {
    let variant: Variant
    var plan: AddressPlan { AddressPlan(family: variant.family) }

    static let tcpIPv4 = PinnedHost(variant: Variant(transport: .tcp, family: .ipv4))
    static let all = Variant.all.map { PinnedHost(variant: $0) }

    /// The port that is asked where nothing else is said. Bindings have no high ones, so that they leave the answers to
    /// clients alone, which are looked up too.
    static let port: UInt16 = 80
    static let lowPorts = PortRange.from(0, to: 1023)

    /// The prefix that is bound, its halves, and an address in each.
    var prefix: Prefix { plan.service }
    var low: Prefix { prefix.part(0, bits: 1) }
    var high: Prefix { prefix.part(1, bits: 1) }
    var inLow: IPAddress { low.host(1) }
    var inHigh: IPAddress { high.host(1) }

    /// A namespace whose own are the addresses of both prefixes, with a dispatcher.
    func scene(loading: [Step] = [PinnedHost.load]) -> [Step] {
        [Step(.namespace("server"))]
            + [prefix, plan.second].map { Step(.localPrefix(LocalPrefix(namespace: "server", prefix: $0))) } + loading
    }

    static let load = Step(.dispatcher(DispatcherStep(.load("dispatch"), in: "server")), label: "load")

    // MARK: sockets

    /// Sockets on loopback, on ports that nobody asks.
    func open(_ names: String...) -> [Step] {
        names.enumerated().map { number, name in
            Step(
                .socket(
                    SocketDescription(
                        name, in: "server", variant.transport, bind: Endpoint(plan.loopback, 8001 + UInt16(number)))),
                label: "open-\(name)")
        }
    }

    /// What ordinary lookup finds at an address.
    func openOrdinary(_ address: IPAddress, port: UInt16 = PinnedHost.port, name: String = "ordinary") -> Step {
        Step(
            .socket(
                SocketDescription(
                    name, in: "server", variant.transport, bind: Endpoint(address, port), options: [.freeBind])))
    }

    // MARK: operations

    /// One that is to succeed, or to find these facts.
    static func perform(
        _ operation: DispatcherOperation, _ facts: [String: String] = [:], label: String? = nil,
        by performer: DispatcherStep.Performer? = nil, beside company: DispatcherStep.Company? = nil
    ) -> Step {
        Step(
            .dispatcher(DispatcherStep(operation, in: "server", by: performer, beside: company)), label: label,
            expect: facts.isEmpty ? [] : [Expectation(.facts(facts))])
    }

    static func refused(
        _ operation: DispatcherOperation, _ refusal: String, label: String? = nil,
        beside company: DispatcherStep.Company? = nil
    ) -> Step {
        perform(operation, ["refusal": refusal], label: label, beside: company)
    }

    static func tell(_ subject: DispatcherSubject, _ facts: [String: String]) -> Step {
        perform(.tell(subject), facts)
    }

    static func tell(_ bindings: [DispatcherBinding]) -> Step {
        tell(
            .bindings,
            ["bindings": bindings.isEmpty ? "none" : bindings.map(\.description).joined(separator: "; ")])
    }

    func binding(
        _ prefix: Prefix, _ ports: PortRange = PortRange(PinnedHost.port), to label: String,
        elsePass: Bool = false
    ) -> DispatcherBinding {
        DispatcherBinding(variant.transport, prefix, ports, to: label, otherwise: elsePass ? .pass : .drop)
    }

    static func bind(
        _ bindings: DispatcherBinding..., label: String? = "bind", by performer: DispatcherStep.Performer? = nil
    ) -> Step {
        perform(.bind(bindings), label: label, by: performer)
    }

    static func register(
        _ sockets: String..., under label: String? = nil, by performer: DispatcherStep.Performer? = nil
    ) -> Step {
        let name = label ?? sockets.first ?? ""
        return perform(.register(DispatcherSockets(name, sockets)), label: "register-\(name)", by: performer)
    }

    /// Each socket under a label of its own name.
    static func registerEach(_ names: [String]) -> [Step] { names.map { register($0) } }

    // MARK: probes

    /// From loopback, which no binding has.
    var client: Endpoint { Endpoint(plan.loopback, 0) }

    func packet(_ address: IPAddress, _ port: UInt16 = PinnedHost.port) -> Probe {
        Probe(from: "server", variant.transport, to: Endpoint(address, port), source: client)
    }

    func probe(_ address: IPAddress, _ port: UInt16, _ outcome: Outcome) -> Step {
        Step(.probe(packet(address, port)), expect: [Expectation(outcome)])
    }

    func probe(_ address: IPAddress, _ outcome: Outcome) -> Step { probe(address, PinnedHost.port, outcome) }

    /// Asked by who is to answer.
    func probe(_ address: IPAddress, _ port: UInt16, _ socket: String) -> Step {
        probe(address, port, .reaches(socket))
    }

    func probe(_ address: IPAddress, _ socket: String) -> Step { probe(address, PinnedHost.port, .reaches(socket)) }

    // MARK: fixtures

    func fixture(
        _ name: String, variant id: String? = nil, _ summary: String, because: [String] = [],
        requires: [Feature] = [], _ steps: [Step], sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: "dispatcher/\(name)", variant: id ?? variant.id, summary: summary,
            because: PinnedHost.because + because, requires: [.skLookup] + requires + variant.features, steps: steps,
            sabotages: sabotages)
    }

    private static let because = [
        "paper §3.3 and Figure 5: bindings, labels and sockets change independently while everything runs"
    ]
}

extension Sabotage {
    static func without(_ label: String) -> Sabotage { Sabotage("without-\(label)", omit: [label]) }

    /// A change that should be refused, or be killed, is made.
    static func instead(of label: String, _ name: String, _ steps: Step...) -> Sabotage {
        Sabotage(name, replace: [label: steps])
    }
}
