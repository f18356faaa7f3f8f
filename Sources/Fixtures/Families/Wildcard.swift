import Addressing
import Lab

/// The catch-all listener and what it costs.
enum Wildcard {
    static let fixtures: [Fixture] =
        Scope.all.flatMap { scope in [claimsItsPort(scope), agreedSharing(scope)] }
        + Variant.all.flatMap { variant in [followsAddresses(variant), reachesInternalAddresses(variant)] }

    /// A wildcard address and a specific one that it covers.
    private struct Scope {
        var transport: TransportProtocol
        var name: String
        var wildcard: IPAddress
        var specific: IPAddress
        var options: [SocketOption]
        var features: [Feature]

        static let all = TransportProtocol.allCases.flatMap { transport in
            [
                Scope(
                    transport: transport, name: "ipv4", wildcard: .wildcard(.ipv4), specific: .loopback(.ipv4),
                    options: [], features: []),
                Scope(
                    transport: transport, name: "ipv6", wildcard: .wildcard(.ipv6), specific: .loopback(.ipv6),
                    options: [.v6Only], features: [.ipv6]),
                Scope(
                    transport: transport, name: "dual-stack-against-ipv4", wildcard: .wildcard(.ipv6),
                    specific: .loopback(.ipv4), options: [.dualStack], features: [.ipv6]),
            ]
        }

        func socket(_ name: String, _ address: IPAddress, _ port: UInt16, _ more: [SocketOption]) -> SocketDescription {
            SocketDescription(
                name, in: "server", transport, bind: Endpoint(address, port),
                // Only the IPv6 wildcard can be asked for IPV6_V6ONLY.
                options: (address == wildcard ? options : []) + more)
        }
    }

    /// Socket options of the first and the second to bind.
    private static let sides: [(name: String, first: [SocketOption], second: [SocketOption])] = [
        ("plain", [], []),
        ("first-reuseaddr", [.reuseAddress], []), ("second-reuseaddr", [], [.reuseAddress]),
        ("both-reuseaddr", [.reuseAddress], [.reuseAddress]),
        ("first-reuseport", [.reusePort], []), ("second-reuseport", [], [.reusePort]),
        ("reuseaddr-then-reuseport", [.reuseAddress], [.reusePort]),
        ("reuseport-then-reuseaddr", [.reusePort], [.reuseAddress]),
    ]

    private static func claimsItsPort(_ scope: Scope) -> Fixture {
        // UDP has no listening state that outweighs SO_REUSEADDR: there both sides agreeing is enough (socket(7)).
        let conflicting = sides.filter { scope.transport == .tcp || $0.name != "both-reuseaddr" }
        let orders = [
            ("wildcard-first", scope.wildcard, scope.specific), ("specific-first", scope.specific, scope.wildcard),
        ]
        let cases = orders.flatMap { order in conflicting.map { (order, $0) } }
        let steps = cases.enumerated().flatMap { index, item -> [Step] in
            let ((order, first, second), side) = item
            let port = UInt16(7000 + index)
            let name = "\(order)-\(side.name)"
            return [
                Step(.socket(scope.socket("\(name)/1", first, port, side.first)), label: index == 0 ? "claim" : nil),
                Step(
                    .socket(scope.socket("\(name)/2", second, port, side.second)),
                    expect: [Expectation(.fails(.addressInUse, call: "bind"))]),
            ]
        }
        return Fixture(
            name: "wildcard/claims-its-port", variant: "\(scope.transport.rawValue)-\(scope.name)",
            summary:
                "A socket bound to the wildcard claims its port for every address: another bind fails with EADDRINUSE in either order, unless both sides agreed to share.",
            because: [
                "paper §3.3: a wildcard listener claims the port exclusively for itself", "listen(2), socket(7)",
            ],
            requires: scope.features, steps: [Step(.namespace("server"))] + steps,
            sabotages: [
                Sabotage(
                    "claims-another-port",
                    replace: ["claim": [Step(.socket(scope.socket("elsewhere", scope.wildcard, 6999, [])))]])
            ])
    }

    private static func agreedSharing(_ scope: Scope) -> Fixture {
        let agreements: [[SocketOption]] = scope.transport == .tcp ? [[.reusePort]] : [[.reusePort], [.reuseAddress]]
        let plan = AddressPlan(family: scope.specific.family)
        let other: IPAddress = plan.service.host(9)
        let cases = agreements.flatMap { options in [true, false].map { (options, $0) } }
        let steps = cases.enumerated().flatMap { index, item -> [Step] in
            let (options, wildcardFirst) = item
            let port = UInt16(7000 + index)
            let wildcard = scope.socket("wildcard-\(index)", scope.wildcard, port, options)
            let specific = scope.socket("specific-\(index)", scope.specific, port, options)
            func probe(_ address: IPAddress, _ name: String) -> Step {
                Step(
                    .probe(Probe(from: "server", scope.transport, to: Endpoint(address, port))),
                    expect: [Expectation(.reaches(name))])
            }
            let specificStep = Step(.socket(specific), label: "specific-\(index)")
            return (wildcardFirst ? [Step(.socket(wildcard)), specificStep] : [specificStep, Step(.socket(wildcard))])
                + [probe(scope.specific, specific.name), probe(other, wildcard.name)]
        }
        return Fixture(
            name: "wildcard/shares-its-port-when-both-agree", variant: "\(scope.transport.rawValue)-\(scope.name)",
            summary:
                "Where both sides set SO_REUSEPORT (for UDP, also SO_REUSEADDR) both binds succeed; the specific socket has its address, the wildcard the others.",
            because: ["socket(7)", "paper Figure 5a: the wildcard is looked up last"], requires: scope.features,
            steps: [
                Step(.namespace("server")), Step(.localPrefix(LocalPrefix(namespace: "server", prefix: plan.service))),
            ] + steps,
            sabotages: [
                Sabotage("specific-socket-missing", omit: ["specific-0"])
            ])
    }

    private static func followsAddresses(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let (kept, moving) = (plan.service.host(1), plan.service.host(77))
        func change(_ make: (AddressAssignment) -> Action) -> Action {
            make(AddressAssignment(namespace: "server", address: Prefix(moving).description))
        }
        // An IPv4 host that is no router drops what is not for it; an IPv6 one says that it has no route
        // (RFC 4443 §3.1), which the client sees as ENETUNREACH.
        func absent() -> Step {
            switch variant.family {
            case .ipv4:
                Step(
                    .probe(
                        Probe(
                            from: "client", variant.transport, to: Endpoint(moving, 8001),
                            fence: Endpoint(plan.serverAddress, 9))),
                    expect: [Expectation(.silent)])
            case .ipv6:
                Step(
                    .probe(Probe(from: "client", variant.transport, to: Endpoint(moving, 8001))),
                    expect: [Expectation(.fails(.networkUnreachable, call: nil))])
            }
        }
        return Fixture(
            name: "wildcard/follows-the-addresses-of-the-host", variant: variant.id,
            summary:
                "A wildcard listener answers on an address that was added after it was bound, and no more once that is removed.",
            because: ["paper §3.3: addresses may be added or removed after socket binding without a restart"],
            requires: [.devicePair] + variant.features,
            steps: Scenery.network(plan, local: [Prefix(kept)], routed: [plan.service])
                + [
                    Step(
                        .socket(
                            SocketDescription(
                                "fence", in: "server", variant.transport, bind: Endpoint(plan.serverAddress, 9)))),
                    Step(
                        .socket(
                            SocketDescription(
                                "wildcard", in: "server", variant.transport, bind: Endpoint(plan.wildcard, 8001))),
                        label: "listen"),
                    Scenery.probe(variant, kept, 8001, .reaches("wildcard")),
                    absent(),
                    Step(change(Action.addAddress)),
                    Scenery.probe(variant, moving, 8001, .reaches("wildcard")),
                    Step(change(Action.removeAddress), label: "remove"),
                    absent(),
                    Scenery.probe(variant, kept, 8001, .reaches("wildcard")),
                ],
            sabotages: [
                Sabotage("address-not-removed", omit: ["remove"]),
                Sabotage(
                    "bound-to-one-address",
                    replace: [
                        "listen": [
                            Step(
                                .socket(
                                    SocketDescription(
                                        "wildcard", in: "server", variant.transport, bind: Endpoint(kept, 8001),
                                        options: [.freeBind])))
                        ]
                    ]),
            ])
    }

    private static func reachesInternalAddresses(_ variant: Variant) -> Fixture {
        let plan = AddressPlan(family: variant.family)
        let (meant, exposed) = (plan.service.host(1), plan.internal.address)
        func open(_ name: String, _ address: IPAddress, _ port: UInt16) -> Step {
            Step(
                .socket(
                    SocketDescription(
                        name, in: "server", variant.transport, bind: Endpoint(address, port), options: [.freeBind])),
                label: "listen-\(name)")
        }
        return Fixture(
            name: "wildcard/answers-where-it-was-not-meant-to", variant: variant.id,
            summary:
                "A wildcard listener answers outsiders on an address that was meant to be internal; a socket bound to the public address does not.",
            because: ["paper §3.3, Figure 4b: the catch-all may expose an internal-only service to external traffic"],
            requires: [.devicePair] + variant.features,
            steps: Scenery.network(plan, local: [plan.service], routed: [plan.internal])
                + [
                    Step(
                        .addAddress(AddressAssignment(namespace: "server", address: plan.internal.description))),
                    open("wildcard", plan.wildcard, 8001), open("public", meant, 8002),
                    Scenery.probe(variant, meant, 8001, .reaches("wildcard")),
                    Scenery.probe(variant, exposed, 8001, .reaches("wildcard")),
                    Scenery.probe(variant, meant, 8002, .reaches("public")),
                    Scenery.probe(variant, exposed, 8002, .refused),
                ],
            sabotages: [
                Sabotage(
                    "wildcard-bound-to-one-address", replace: ["listen-wildcard": [open("wildcard", meant, 8001)]]),
                Sabotage(
                    "public-bound-to-the-wildcard", replace: ["listen-public": [open("public", plan.wildcard, 8002)]]),
            ])
    }
}
