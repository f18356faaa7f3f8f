import Addressing
import Lab

/// The table of bind() conflicts: ordered pairs of addresses, options, and six probes of each.
enum BindConflicts {
    private typealias Kind = BindFamily.Kind

    static let fixtures: [Fixture] =
        Kind.allCases.flatMap { kind in
            Scheme.all.map { fixture(kind, $0) }
        } + [Scheme.reuseAddress, .reusePort, .both, .reuseAddressThenBoth, .reusePortThenBoth].map(listenFixture)

    /// The options of the first socket, of the second, and of the probes.
    private struct Scheme {
        var name: String
        var first: [SocketOption]
        var second: [SocketOption]
        var probes: [SocketOption]
        /// Whether all have the same, so that the whole table is worth its time.
        var isUniform: Bool { first == second && second == probes }

        static let plain = Scheme(name: "plain", first: [], second: [], probes: [])
        static let reuseAddress = uniform("reuseaddr", [.reuseAddress])
        static let reusePort = uniform("reuseport", [.reusePort])
        static let both = uniform("both", [.reuseAddress, .reusePort])
        static let reuseAddressThenBoth = Scheme(
            name: "reuseaddr-then-both", first: [.reuseAddress], second: both.first, probes: [.reusePort])
        static let reusePortThenBoth = Scheme(
            name: "reuseport-then-both", first: [.reusePort], second: both.first, probes: [.reuseAddress])

        static let all: [Scheme] = [
            plain, reuseAddress, reusePort, both,
            Scheme(name: "first-reuseaddr", first: [.reuseAddress], second: [], probes: [.reuseAddress]),
            Scheme(name: "second-reuseaddr", first: [], second: [.reuseAddress], probes: [.reuseAddress]),
            Scheme(name: "first-reuseport", first: [.reusePort], second: [], probes: [.reusePort]),
            Scheme(name: "second-reuseport", first: [], second: [.reusePort], probes: [.reusePort]),
            Scheme(
                name: "reuseaddr-then-reuseport", first: [.reuseAddress], second: [.reusePort], probes: [.reusePort]),
            Scheme(
                name: "reuseport-then-reuseaddr", first: [.reusePort], second: [.reuseAddress], probes: [.reusePort]),
            reuseAddressThenBoth, reusePortThenBoth,
        ]

        private static func uniform(_ name: String, _ options: [SocketOption]) -> Scheme {
            Scheme(name: name, first: options, second: options, probes: options)
        }
    }

    /// An address as a program writes it, and whether its socket is IPv6 only.
    private struct Form {
        var address: IPAddress
        var v6Only = false

        func attempt(_ options: [SocketOption], _ listen: BindAttempt.Listening) -> BindAttempt {
            BindAttempt(address, options: options + (v6Only ? [.v6Only] : []), listen: listen)
        }

        /// Eight forms make 64 ordered pairs.
        static let all = [
            Form(address: .wildcard(.ipv4)), Form(address: .loopback(.ipv4)), Form(address: .v4(0x7F00_0002)),
            Form(address: .wildcard(.ipv6)), Form(address: .wildcard(.ipv6), v6Only: true),
            Form(address: .loopback(.ipv6)), Form(address: .mapped(0)), Form(address: .mapped(0x7F00_0001)),
        ]
        /// Those that are neither another's twin nor a second specific address: 36 ordered pairs.
        static let distinct = [all[0], all[1], all[3], all[4], all[5], all[7]]
    }

    private static let probed: [IPAddress] = [
        .wildcard(.ipv4), .loopback(.ipv4), .wildcard(.ipv6), .loopback(.ipv6), .mapped(0), .mapped(0x7F00_0001),
    ]

    private static func fixture(_ kind: Kind, _ scheme: Scheme) -> Fixture {
        let forms = scheme.isUniform ? Form.all : Form.distinct
        let pairs = forms.flatMap { first in forms.map { (first, $0) } }
        let cases = pairs.enumerated().map { index, pair in
            BindSequence(
                in: "host", kind.transport,
                // Each pair has a port of its own, so that none can be spoilt by what another left behind.
                port: 7000 + UInt16(index),
                [pair.0.attempt(scheme.first, kind.listen), pair.1.attempt(scheme.second, kind.listen)],
                probes: probed.map { BindAttempt($0, options: scheme.probes, listen: kind.listen) })
        }
        return BindFamily.fixture(
            "conflicts", variant: "\(kind.rawValue)-\(scheme.name)",
            "For each ordered pair of addresses, the second bind and six more succeed or fail as the rules say.",
            because: BindFamily.because(for: kind.transport), cases)
    }

    /// All sockets are bound before the first listens.
    private static func listenFixture(_ scheme: Scheme) -> Fixture {
        let pairs = Form.distinct.flatMap { first in Form.distinct.map { (first, $0) } }
        let cases = pairs.enumerated().map { index, pair in
            BindSequence(
                in: "host", .tcp, port: 7000 + UInt16(index),
                [pair.0.attempt(scheme.first, .later), pair.1.attempt(scheme.second, .later)],
                probes: [.wildcard(.ipv4), .loopback(.ipv6)].map {
                    BindAttempt($0, options: scheme.probes, listen: .later)
                })
        }
        return BindFamily.fixture(
            "listen-is-judged-anew", variant: scheme.name,
            "Of two sockets that share an address by SO_REUSEADDR, one may listen; with SO_REUSEPORT both may.",
            because: ["listen(2): EADDRINUSE", BindRule.listeningIsJudgedAnew.statement], cases)
    }
}

extension IPAddress {
    /// `::ffff:a.b.c.d` in its own form: an IPv6 address.
    static func mapped(_ ipv4: UInt32) -> IPAddress { .v6(0xFFFF_0000_0000 | UInt128(ipv4)) }
}
