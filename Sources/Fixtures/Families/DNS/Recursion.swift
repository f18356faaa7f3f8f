import Addressing
import Lab
import PolicyDNS

/// Our server and a recursive resolver, Debian's unbound, on one port of one host.
enum Recursion {
    static let fixtures: [Fixture] = AddressFamily.allCases.map(beside)

    private static func beside(_ family: AddressFamily) -> Fixture {
        let scene = NameScene(family: family)
        let (authoritative, recursive) = (scene.resolvers, scene.otherPool)
        let one = HostNames(1, below: "example.com")
        let asked = Endpoint(recursive.host(9), 53)
        return scene.fixture(
            "authoritative-beside-recursive",
            "An authoritative server and a recursive resolver share a port on disjoint prefixes, and the resolver, which has its own names from the server, keeps one answer for as long as the TTL says.",
            because: [
                "paper Figure 5b: services of different kinds share a port by prefix",
                "RFC 1034 §4.3.1: AA and RA tell authoritative answers and recursive service apart",
                "paper §3.2: a resolver downstream holds a binding for the TTL",
            ],
            requires: [.unbound],
            scene.network(local: [authoritative, recursive]) + scene.sockets(options: [.reusePort])
                // unbound takes an address asked from each datagram only on wildcard sockets, and for these it looks.
                + scene.sockets(
                    "recursive", at: scene.plan.wildcard, options: [.reusePort] + (family == .ipv6 ? [.v6Only] : []))
                + [scene.serve(.answering(from: scene.pool)), unbound(scene)]
                + Scenery.dispatcher(
                    NameScene.register() + NameScene.register("recursive")
                        + NameScene.bind(authoritative, to: "names") + NameScene.bind(recursive, to: "recursive"))
                + TransportProtocol.allCases.map { transport in
                    scene.query(
                        over: transport, "h1.example.com", within: [scene.pool],
                        [
                            "rcode": "NOERROR", "authoritative": "yes", "recursion": "not available", "answers": "1",
                            "outside": "0",
                        ])
                }
                + TransportProtocol.allCases.map { transport in
                    scene.query(
                        over: transport, to: asked, "h1.example.com", recursion: true, within: [scene.pool],
                        [
                            "rcode": "NOERROR", "authoritative": "no", "recursion": "available", "answers": "1",
                            "outside": "0",
                        ])
                }
                + [
                    // What one knows the other does not.
                    scene.query(
                        to: asked, "only.here.example", recursion: true, ["rcode": "NOERROR", "answers": "1"]),
                    scene.query("only.here.example", recursion: true, ["rcode": "REFUSED", "answers": "0"]),
                    scene.survey(
                        to: recursive, one, queries: 256, recursion: true, within: scene.pool,
                        ["asked": "256 addresses", "each name kept its address": "yes"]),
                    scene.survey(
                        to: authoritative, one, queries: 256, within: scene.pool,
                        ["asked": "256 addresses", "each name kept its address": "no"]),
                ],
            sabotages: [
                Sabotage(
                    "sockets-swapped",
                    replace: [
                        "register-names-udp": register("recursive-udp", under: "names"),
                        "register-recursive-udp": register("names-udp", under: "recursive"),
                    ]),
                // Then the wildcard has both prefixes.
                .programNotAttached,
                Sabotage("resolver-refuses", replace: ["unbound": [unbound(scene, zone: "refuse")]]),
            ])
    }

    private static func register(_ socket: String, under label: String) -> [Step] {
        [Step(.register(Registration("dispatcher", label: label, socket: socket)))]
    }

    /// The resolver, which asks our server for what is below example.com, and cannot reach anybody else.
    private static func unbound(_ scene: NameScene, zone: String = "transparent") -> Step {
        let (on, off) = scene.family == .ipv4 ? ("4", "6") : ("6", "4")
        let configuration = """
            server:
              do-daemonize: no
              use-syslog: no
              logfile: ""
              username: ""
              chroot: ""
              directory: ""
              pidfile: ""
              use-systemd: yes
              interface-automatic: yes
              do-ip\(on): yes
              do-ip\(off): no
              access-control: 0.0.0.0/0 allow
              access-control: ::/0 allow
              do-not-query-localhost: no
              module-config: "iterator"
              msg-cache-size: 1m
              rrset-cache-size: 1m
              outgoing-range: 64
              num-queries-per-thread: 256
              local-zone: "example.com" \(zone)
              local-data: "only.here.example. \(scene.type.rawValue) \(scene.plan.serverAddress)"
            stub-zone:
              name: "example.com"
              stub-addr: \(scene.resolver.address)
            remote-control:
              control-enable: no

            """
        // It takes sockets from systemd only where it believes that systemd runs (sd_booted(3)).
        let run = "mount -t tmpfs run /run && mkdir -p /run/systemd/system && exec unbound -d -c $CONFIGURATION"
        return Step(
            .daemon(
                Daemon(
                    "unbound", in: "server", run: "unshare -m sh -c '\(run)'", configuration: configuration,
                    sockets: ["recursive-udp", "recursive-tcp"])),
            label: "unbound")
    }
}
