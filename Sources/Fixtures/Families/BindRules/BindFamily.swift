import Addressing
import Lab

/// What every fixture about bind() begins with, and the worlds in which it must not conform.
enum BindFamily {
    static let fixtures: [Fixture] = BindConflicts.fixtures

    /// A step whose expectation is what the rules say.
    static func step(_ sequence: BindSequence, label: String? = nil) -> Step {
        Step(.binds(sequence), label: label, expect: [Expectation(.facts(BindRules().facts(of: sequence)))])
    }

    static func because(for transport: TransportProtocol) -> [String] {
        let manual = ["bind(2)", "socket(7)", transport == .tcp ? "tcp(7)" : "udp(7)", "ipv6(7), RFC 3493 §5.3"]
        return manual + [transport == .tcp ? "commit 28044fc1d495" : "commit df560056d9f7"]
    }

    /// A fixture in one namespace, `host`.
    ///
    /// Sabotages: another program holds the ports, of both protocols; and, where the fixture is about IPv6, the
    /// namespace makes every IPv6 socket IPv6-only that does not ask otherwise.
    static func fixture(
        _ name: String, variant: String? = nil, _ summary: String, because: [String], _ steps: [Step], ipv6: Bool,
        requires: [Feature] = [], sabotages: [Sabotage]? = nil
    ) -> Fixture {
        Fixture(
            name: "bind/\(name)", variant: variant, summary: summary, because: because,
            requires: requires + (ipv6 ? [.ipv6] : []),
            steps: [Step(.namespace("host"), label: "namespace")] + steps,
            sabotages: sabotages ?? [squatter(steps)] + (ipv6 ? [v6OnlyNamespace] : []))
    }

    /// Somebody holds the first port of the fixture, on every address.
    static func squatter(_ steps: [Step]) -> Sabotage {
        let sequences = steps.compactMap { if case .binds(let sequence) = $0.action { sequence } else { nil } }
        let sockets = sequences.prefix(1).map { sequence in
            Step(
                .socket(
                    SocketDescription(
                        "squatter", in: "host", sequence.protocol, bind: Endpoint(.wildcard(.ipv4), sequence.port))))
        }
        return Sabotage("port-held-by-another", replace: ["namespace": [Step(.namespace("host"))] + sockets])
    }

    private static let v6OnlyNamespace = Sabotage(
        "ipv6-only-namespace",
        replace: [
            "namespace": [
                Step(.namespace("host")),
                Step(.sysctl(SystemControl(namespace: "host", key: "net.ipv6.bindv6only", value: "1"))),
            ]
        ])
}
