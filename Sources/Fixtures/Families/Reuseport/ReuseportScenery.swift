import Addressing
import Lab

/// A reuseport group and the packets that come to it.
struct GroupVariant {
    enum Members {
        /// Of the packets' family, bound to loopback.
        case ordinary
        /// IPv6 sockets for IPv4 packets: bound to ::ffff:127.0.0.1.
        case mapped
        /// IPv6 sockets that serve both families, for IPv4 packets: bound to ::.
        case dualStack
    }

    var transport: TransportProtocol
    /// Of the packets.
    var family: AddressFamily
    var members: Members

    /// `udp-ipv6`, `tcp-mapped`, `udp-dual-stack`.
    var id: String {
        switch members {
        case .ordinary: variant.id
        case .mapped: "\(transport.rawValue)-mapped"
        case .dualStack: "\(transport.rawValue)-dual-stack"
        }
    }

    static let ordinary = Variant.all.map {
        GroupVariant(transport: $0.transport, family: $0.family, members: .ordinary)
    }

    /// With IPv4 packets to IPv6 groups.
    static let all =
        ordinary
        + TransportProtocol.allCases.flatMap { transport in
            [.mapped, .dualStack].map { GroupVariant(transport: transport, family: .ipv4, members: $0) }
        }

    var variant: Variant { Variant(transport: transport, family: family) }
    var plan: AddressPlan { AddressPlan(family: family) }
    var features: [Feature] { members == .ordinary ? variant.features : [.ipv6] }
    /// Where the packets go: an address that no member is bound to.
    var destination: Endpoint { Endpoint(plan.service.host(1), 80) }
    /// Whether the group is bound to a wildcard address.
    var isWildcard: Bool { members == .dualStack }

    /// Where a member is bound.
    func address(port: UInt16 = 8001) -> Endpoint {
        switch members {
        case .ordinary: Endpoint(plan.loopback, port)
        case .mapped: Endpoint(.v6(0xFFFF_7F00_0001), port)
        case .dualStack: Endpoint(.wildcard(.ipv6), port)
        }
    }

    var options: [SocketOption] { [.reusePort] + (members == .ordinary ? [] : [.dualStack]) }

    /// A member of the group.
    func member(_ name: String, port: UInt16 = 8001, options more: [SocketOption] = []) -> Step {
        Step(
            .socket(
                SocketDescription(name, in: "host", transport, bind: address(port: port), options: options + more)),
            label: "open-\(name)")
    }

    /// The namespace, with the destination's prefix local to it.
    var host: [Step] {
        [Step(.namespace("host")), Step(.localPrefix(LocalPrefix(namespace: "host", prefix: plan.service)))]
    }

    /// A socket bound to the very destination, which gets the packets if nothing else decides.
    var bystander: Step {
        Step(.socket(SocketDescription("bystander", in: "host", transport, bind: destination, options: [.freeBind])))
    }

    /// An sk_lookup program that selects what is under the label `pick`, attached.
    func lookup(picking socket: String) -> [Step] {
        [
            Step(.load(ProgramLoad("lookup", script: selection()))),
            Step(.register(Registration("lookup", label: "pick", socket: socket)), label: "register-pick"),
            Step(.attach(Attachment("link", program: "lookup", to: "host")), label: "attach"),
        ]
    }

    /// What the sk_lookup program does. The answers of UDP sockets pass through the same namespace, and must reach the
    /// client.
    func selection(_ flags: [SelectionFlag] = []) -> [ScriptOperation] {
        [.onlyLocalPort(destination.port), .select("pick", flags: flags)]
    }

    func probe(_ outcome: Outcome, to endpoint: Endpoint? = nil, source: Endpoint? = nil) -> Step {
        Step(
            .probe(Probe(from: "host", transport, to: endpoint ?? destination, source: source)),
            expect: [Expectation(outcome)])
    }

    /// Flows are spread over these, and no others, each staying where it is.
    ///
    /// - Parameter before: Whether each has stayed where it was in the last such step, too.
    func spread(_ among: [String], to endpoint: Endpoint? = nil, asBefore before: Bool = false) -> Step {
        var facts = ["answered by": among.sorted().joined(separator: ", "), "moved": "0"]
        if before { facts["moved since before"] = "0" }
        return Step(
            .spread(Spread(from: "host", transport, to: endpoint ?? destination, among: among)),
            expect: [Expectation(.facts(facts))])
    }
}

/// Steps with a reuseport group's program.
enum GroupScenery {
    static func load(_ name: String, _ script: [ScriptOperation] = [], object: String = "reuseport") -> Step {
        Step(.load(ProgramLoad(name, object: object, script: script)))
    }

    static func register(_ socket: String, with program: String, under label: String? = nil) -> Step {
        Step(.register(Registration(program, label: label ?? socket, socket: socket)))
    }

    static func attach(_ program: String, to socket: String, label: String? = nil) -> Step {
        Step(.attachReuseport(GroupProgram(program, to: socket)), label: label)
    }

    static func script(_ program: String, _ operations: [ScriptOperation]) -> Step {
        Step(.script(ScriptChange(program, operations)))
    }

    static func recorded(_ program: String, _ facts: [String: String]) -> Step {
        Step(.recorded(program), expect: [Expectation(.facts(facts))])
    }

    static func refused(_ action: Action, _ errno: Int32, call: String) -> Step {
        Step(action, expect: [Expectation(.fails(ErrorNumber(rawValue: errno), call: call))])
    }
}
