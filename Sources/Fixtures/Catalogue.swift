import Addressing
import Lab

/// The built-in fixtures.
public enum Catalogue {
    public static let all: [Fixture] = [
        Fixture(
            name: "order/no-program", variant: "udp-ipv4",
            summary: "Without a program the ordinary lookup decides.", because: ["bpf_sk_lookup(7)"], tags: ["order"],
            requires: [.skLookup],
            steps: [
                Step(.namespace("server")),
                Step(
                    .socket(
                        SocketDescription(
                            "web", in: "server", .udp, bind: Endpoint(.v4(0x7F00_0001), 53), options: [.reuseAddress])),
                    label: "listen"),
                Step(
                    .probe(Probe(from: "server", .udp, to: Endpoint(.v4(0x7F00_0001), 53))),
                    expect: [Expectation(.reaches("web"))]),
            ],
            sabotages: [Sabotage("nobody-listens", omit: ["listen"])]),
        Fixture(
            name: "ports/every-port", variant: "real", summary: "One socket on every port.", because: [],
            tags: ["slow"], steps: [Step(.namespace("server"))]),
    ]
}
