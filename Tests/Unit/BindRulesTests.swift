import Addressing
import Lab
import Testing

@testable import Fixtures

private let any4 = IPAddress.wildcard(.ipv4)
private let any6 = IPAddress.wildcard(.ipv6)
private let local4 = IPAddress.loopback(.ipv4)
private let local6 = IPAddress.loopback(.ipv6)
private let mappedAny = IPAddress.mapped(0)
private let mappedLocal = IPAddress.mapped(0x7F00_0001)

/// What the second of two sockets on one port is told.
private func second(
    _ transport: TransportProtocol = .tcp, _ first: BindAttempt, _ second: BindAttempt, rules: BindRules = BindRules()
) -> String? {
    let sequence = BindSequence(in: "host", transport, port: 7000, [first, second])
    return rules.facts(of: sequence)[sequence.fact(ofSocket: 1)]
}

private let taken = "bind EADDRINUSE"

@Suite("Bind rules")
struct BindRulesTests {
    // RFC 3493 §3.7, §5.3; ipv6(7); ip(7). The rows of the kernel's bind_wildcard selftest, by its own reasoning.
    private static let addresses: [(IPAddress, Bool, IPAddress, Bool, String)] = [
        (any4, false, local4, false, taken), (any4, false, any6, false, taken), (any4, false, any6, true, "ok"),
        (any4, false, local6, false, "ok"), (any4, false, mappedAny, false, taken),
        (any4, false, mappedLocal, false, taken), (local4, false, any6, false, taken),
        (local4, false, any6, true, "ok"), (local4, false, local6, false, "ok"),
        (local4, false, mappedAny, false, taken), (local4, false, mappedLocal, false, taken),
        (local4, false, .v4(0x7F00_0002), false, "ok"), (any6, false, local6, false, taken),
        (any6, true, local6, false, taken), (any6, false, any6, true, taken), (any6, true, mappedAny, false, "ok"),
        (any6, true, mappedLocal, false, "ok"), (any6, false, mappedAny, false, taken),
        (local6, false, mappedAny, false, "ok"), (local6, false, mappedLocal, false, "ok"),
        (mappedAny, false, mappedLocal, false, taken), (mappedLocal, false, .mapped(0x7F00_0002), false, "ok"),
        (any6, false, any6, false, taken), (any4, false, any4, false, taken),
    ]

    @Test("addresses conflict as the documents say, in either order", arguments: TransportProtocol.allCases)
    func addresses(transport: TransportProtocol) {
        for (first, firstOnly, other, otherOnly, expected) in BindRulesTests.addresses {
            let one = BindAttempt(first, options: firstOnly ? [.v6Only] : [])
            let two = BindAttempt(other, options: otherOnly ? [.v6Only] : [])
            #expect(second(transport, one, two) == expected, "\(first) \(firstOnly) \(other) \(otherOnly)")
            #expect(second(transport, two, one) == expected, "\(other) \(otherOnly) \(first) \(firstOnly)")
        }
    }

    // socket(7). First socket's options, whether it listens, second's options: TCP, UDP.
    private static let sharing: [([SocketOption], Bool, [SocketOption], String, String)] = [
        ([], false, [], taken, taken),
        ([.reuseAddress], false, [.reuseAddress], "ok", "ok"), ([.reuseAddress], true, [.reuseAddress], taken, "ok"),
        ([.reuseAddress], false, [], taken, taken), ([], false, [.reuseAddress], taken, taken),
        ([.reusePort], false, [.reusePort], "ok", "ok"), ([.reusePort], true, [.reusePort], "ok", "ok"),
        ([.reusePort], true, [], taken, taken), ([], true, [.reusePort], taken, taken),
        ([.reuseAddress], false, [.reusePort], taken, taken), ([.reusePort], false, [.reuseAddress], taken, taken),
        ([.reuseAddress, .reusePort], true, [.reuseAddress], taken, "ok"),
        ([.reuseAddress, .reusePort], true, [.reusePort], "ok", "ok"),
    ]

    @Test("options share as socket(7) says")
    func sharing() {
        for (first, listens, other, tcp, udp) in BindRulesTests.sharing {
            let two = BindAttempt(local4, options: other)
            #expect(
                second(.tcp, BindAttempt(local4, options: first, listen: listens ? .atOnce : .never), two) == tcp,
                "\(first) \(listens) \(other)")
            #expect(second(.udp, BindAttempt(local4, options: first), two) == udp, "\(first) \(other)")
        }
    }

    @Test("SO_REUSEPORT asks for one user, SO_REUSEADDR for none")
    func users() {
        for transport in TransportProtocol.allCases {
            func attempt(_ option: SocketOption, _ user: UInt32) -> BindAttempt {
                BindAttempt(local4, options: [option], user: user)
            }
            #expect(second(transport, attempt(.reusePort, 1), attempt(.reusePort, 1)) == "ok")
            #expect(second(transport, attempt(.reusePort, 1), attempt(.reusePort, 2)) == taken)
            #expect(second(transport, attempt(.reuseAddress, 1), attempt(.reuseAddress, 2)) == "ok")
        }
    }

    @Test("of two that share by SO_REUSEADDR, the second to listen is refused; of two that share by SO_REUSEPORT, none")
    func listening() {
        func facts(_ options: [SocketOption]) -> [String: String] {
            BindRules().facts(
                of: BindSequence(
                    in: "host", .tcp, port: 1,
                    Array(repeating: BindAttempt(local4, options: options, listen: .later), count: 2)))
        }
        #expect(facts([.reuseAddress])["listen 1 127.0.0.1"] == "ok")
        #expect(facts([.reuseAddress])["listen 2 127.0.0.1"] == "listen EADDRINUSE")
        #expect(facts([.reusePort])["listen 2 127.0.0.1"] == "ok")
    }

    @Test("with one option each, or none, TCP's and UDP's order of binding does not matter")
    func symmetry() {
        let forms = [any4, local4, any6, local6, mappedAny, mappedLocal]
        let options: [[SocketOption]] = [[], [.reuseAddress], [.reusePort], [.reuseAddress, .reusePort]]
        for transport in TransportProtocol.allCases {
            for (first, other) in forms.flatMap({ first in forms.map { (first, $0) } }) {
                for (mine, yours) in options.flatMap({ mine in options.map { (mine, $0) } }) {
                    let one = BindAttempt(first, options: mine)
                    let two = BindAttempt(other, options: yours)
                    #expect(second(transport, one, two) == second(transport, two, one), "\(one) \(two)")
                }
            }
        }
    }

    @Test("every rule says why, and without it some fixture would expect something else", arguments: BindRule.allCases)
    func everyRuleMatters(rule: BindRule) {
        #expect(rule.statement.hasSuffix(".") && rule.statement.contains("("))
        let sequences = Catalogue.all.flatMap(\.steps).compactMap { step -> BindSequence? in
            guard case .binds(let sequence) = step.action, sequence.port != 0 else { return nil }
            return sequence
        }
        let without = BindRules(without: rule)
        #expect(sequences.contains { without.facts(of: $0) != BindRules().facts(of: $0) })
    }

    @Test("the table has at least 44 ordered pairs, three agreements and six probes for each kind of socket")
    func table() {
        for kind in BindFamily.Kind.allCases {
            for scheme in ["plain", "reuseaddr", "reuseport"] {
                let fixture = Catalogue.all.first { $0.id == "bind/conflicts:\(kind.rawValue)-\(scheme)" }
                let sequences = (fixture?.steps ?? []).compactMap { step -> BindSequence? in
                    if case .binds(let sequence) = step.action { sequence } else { nil }
                }
                #expect(Set(sequences.map(\.sockets)).count >= 44)
                #expect(sequences.allSatisfy { Set($0.probes.map(\.address)).count == 6 })
                #expect(Set(sequences.map(\.port)).count == sequences.count)
            }
        }
    }
}
