import Addressing
import Lab

/// Lookup asks the program for every packet, whatever its addresses and ports, and shows it as it was sent.
enum Packets {
    static let fixtures: [Fixture] = Variant.all.map(everyPacket)

    /// Source and destination of one packet.
    private struct Flow {
        var from: Endpoint
        var to: Endpoint
    }

    private static func address(_ text: String) -> IPAddress {
        literal(text.contains(":") ? "\(text)/128" : "\(text)/32").address
    }

    /// Addresses of the loopback device beside its own: of every kind that somebody may one day treat apart.
    private static func addresses(_ family: AddressFamily) -> [IPAddress] {
        switch family {
        case .ipv4:
            // Private, shared, link-local, documentation, and high ones of class A, B and C.
            ["10.0.0.1", "100.64.0.1", "169.254.1.1", "192.0.2.255", "126.255.255.254", "191.255.0.1", "223.255.255.1"]
                .map(address)
        case .ipv6:
            // Unique local, link-local, documentation, site-local, and some whose words look like another family's.
            [
                "fd00::1", "fe80::1", "2001:db8::7f00:1", "fec0::1", "64:ff9b::7f00:1", "::7f00:2",
                "2001:db8:1:2:3:4:5:6",
            ]
            .map(address)
        }
    }

    private static let ports: [UInt16] = [1, 53, 255, 256, 443, 1023, 1024, 8080, 32767, 32768, 49152, 60999, 65535]

    private static func everyPacket(_ variant: Variant) -> Fixture {
        let loopback = IPAddress.loopback(variant.family)
        let addresses = addresses(variant.family)
        // Every destination from loopback, loopback from every source, every port on either side.
        let flows =
            addresses.enumerated().map { index, address in
                Flow(
                    from: Endpoint(variant.isLinkLocal(address) ? address : loopback, 40001 + UInt16(index)),
                    to: Endpoint(address, 80))
            }
            + addresses.filter { !variant.isLinkLocal($0) }.enumerated().map { index, address in
                Flow(from: Endpoint(address, 41001 + UInt16(index)), to: Endpoint(loopback, 80))
            }
            + ports.enumerated().map { index, port in
                Flow(from: Endpoint(loopback, ports[(index + 5) % ports.count]), to: Endpoint(loopback, port))
            }
        let lookups = ScriptedLookups(variant: variant)
        let asked = flows.flatMap { flow -> [Step] in
            [
                Step(.script(ScriptChange("first", [.onlyLocalPort(flow.to.port), .select("a")]))),
                Step(
                    .probe(Probe(from: "server", variant.transport, to: flow.to, source: flow.from)),
                    expect: [Expectation(.reaches("a"))]),
                lookups.recorded(
                    "first",
                    [
                        "runs": "1", "protocol": variant.transport.rawValue, "remote": flow.from.description,
                        "local": flow.to.description, "2 result": "0", "2 selected": "a",
                    ]),
            ]
        }
        return Fixture(
            name: "packets/seen-as-they-were-sent", variant: variant.id,
            summary:
                "A program is asked once for every packet, whatever kinds of addresses and ports it bears, and sees just these.",
            because: [
                "commit e9ddbb7707ff: struct bpf_sk_lookup", "paper section 3.3: any address, any port, one socket",
            ],
            requires: [.skLookup] + variant.features,
            steps: [Step(.namespace("server"))]
                + addresses.map { address in
                    let length = variant.isLinkLocal(address) && variant.family == .ipv6 ? 64 : variant.family.width
                    return Step(.addAddress(AddressAssignment(namespace: "server", address: "\(address)/\(length)")))
                } + [
                    lookups.socket("a", port: 8001), lookups.load("first"), lookups.attach("first"),
                ] + lookups.register("a", with: ["first"], label: "register-a") + asked,
            sabotages: [
                Sabotage("program-not-attached", omit: ["attach-first"]),
                Sabotage("nothing-to-select", omit: ["register-a"]),
            ])
    }
}

extension Variant {
    /// Whether an address is good on its own link only, so that packets to it bear one of its kind as their source.
    fileprivate func isLinkLocal(_ address: IPAddress) -> Bool {
        literal("fe80::/10").contains(address)
    }
}
