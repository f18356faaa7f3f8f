import Addressing
import Lab
import PolicyDNS

/// Sites at whatever address a policy answers: names, addresses and sockets that know nothing of each other.
enum NamesAndSites {
    static let fixtures: [Fixture] =
        AddressFamily.allCases.flatMap { family in
            SiteSelector.allCases.flatMap { selector in
                [anyAddress(family, selector, single: false), anyAddress(family, selector, single: true)]
            } + [rebinding(family)]
        }

    private static let paper = "paper §3.2: any name may be answered with any address of a pool, and be served there"

    private static func anyAddress(_ family: AddressFamily, _ selector: SiteSelector, single: Bool) -> Fixture {
        let scene = NameScene(family: family)
        let sites = HostNames(1000, below: "example.com")
        let pool = single ? Prefix(scene.pool.host(7)) : scene.pool
        // Of 256 addresses, 1,000 uniform draws miss half with a probability below 10^-200.
        let used = ["most addresses used": "yes"]
        let steps =
            scene.network(local: [scene.pool, scene.otherPool, scene.resolvers]) + scene.sockets() + scene.web(sites)
            + [scene.serve(.answering(from: pool))]
            + Scenery.dispatcher(
                NameScene.register() + NameScene.bind(scene.resolvers, to: "names")
                    + [Scenery.register("web", under: "web"), NameScene.bindWeb(pool)])
            + [scene.visit(sites, by: selector, within: pool, used)]
        let elsewhere = NameScene.bindWeb(single ? Prefix(scene.pool.host(8)) : scene.pool.part(0, bits: 1))
        return scene.fixture(
            "any-address-serves-any-name",
            variant: "\(selector == .host ? "http" : "tls")-\(family.rawValue)" + (single ? "-one-address" : ""),
            single
                ? "1,000 names share one address: the site is told by the \(selector.words), and one socket serves all."
                : "1,000 names are answered with any of 256 addresses, one socket serves all of them, and the site is told by the \(selector.words).",
            because: [paper, selector.standard], steps,
            sabotages: [
                Sabotage(
                    single ? "another-address-steered" : "half-of-the-pool-steered", replace: ["bind-web": [elsewhere]]),
                Sabotage(
                    "half-of-the-sites-missing",
                    replace: ["sites": [NameScene.sites(HostNames(500, below: "example.com"))]]),
                .serving("answers-from-another-pool", scene.serve(.answering(from: scene.otherPool))),
            ])
    }

    /// Another pool takes over while clients know addresses of the first.
    private static func rebinding(_ family: AddressFamily) -> Fixture {
        let scene = NameScene(family: family)
        let (old, new) = (scene.pool, scene.otherPool)
        let sites = HostNames(64, below: "example.com")
        let bindNew = NameScene.bindWeb(new, label: "bind-new")
        let reload = Step(.nameServiceReload(NameServiceReload("names", .answering(from: new))), label: "reload")
        let all = NameScene.visited(sites.count)
        let gone = ["visited": "0", "refused": "\(sites.count)", "broken": "0", "unanswered": "0"]
        return scene.fixture(
            "rebinding",
            "When names move to another pool, connections to old addresses live, clients that hold such an address are served until it is unbound, and new answers are of the new pool.",
            because: [
                "paper §3.2, §5: a binding of name and address lasts no longer than the TTL and the connections made within it"
            ],
            scene.network(local: [old, new, scene.resolvers]) + scene.sockets() + scene.web(sites)
                + [scene.serve(.answering(from: old))]
                + Scenery.dispatcher(
                    NameScene.register() + NameScene.bind(scene.resolvers, to: "names")
                        + [Scenery.register("web", under: "web"), NameScene.bindWeb(old)])
                + [
                    scene.visit(as: "early", sites, by: .host, within: old),
                    scene.query("h1.example.com", within: [old], ["ttl": "300", "outside": "0"]),
                    // Clients may hold old addresses for a TTL from here on.
                    bindNew, reload,
                    scene.visit(as: "late", sites, by: .host, within: new),
                    NameScene.revisit("early", over: .kept, all), NameScene.revisit("early", over: .fresh, all),
                    // The TTL has passed.
                    Step(
                        .unbind(Binding("dispatcher", .tcp, old, ports: .all, to: "web")), label: "unbind-old"),
                    NameScene.revisit("early", over: .kept, all), NameScene.revisit("early", over: .fresh, gone),
                    NameScene.revisit("late", over: .kept, all), NameScene.revisit("late", over: .fresh, all),
                ],
            sabotages: [
                Sabotage(
                    "old-pool-unbound-at-once", omit: ["unbind-old"],
                    replace: ["reload": [reload, NameScene.unbindWeb(old)]]),
                Sabotage("configuration-stays", omit: ["reload"]),
                Sabotage("new-pool-not-bound", omit: ["bind-new"]),
                Sabotage("old-pool-stays-bound", omit: ["unbind-old"]),
            ])
    }
}

extension SiteSelector {
    fileprivate var words: String {
        switch self {
        case .host: "Host header"
        case .serverName: "TLS server name"
        }
    }

    fileprivate var standard: String {
        switch self {
        case .host: "RFC 9112 §3.2"
        case .serverName: "RFC 6066 §3"
        }
    }
}
