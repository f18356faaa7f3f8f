import Addressing
import Lab
import PolicyDNS

/// What addresses policies answer with. A good generator fails one of these tests less than once in 10^9 times.
enum NameAnswers {
    static let fixtures: [Fixture] = AddressFamily.allCases.flatMap { family in
        [
            independentOfNames(family), everyNameMeetsEveryAddress(family), isolated(family), shared(family),
            ofPlaces(family), boundByStrategy(family),
        ]
    }

    private static let paper = "paper §3.2: addresses are drawn at random from the prefix that a policy names"

    /// 16 addresses of the pool.
    private static func few(_ scene: NameScene) -> Prefix { scene.pool.part(3, bits: 4) }

    private static func world(_ scene: NameScene, _ configuration: Configuration) -> [Step] {
        scene.network(local: [scene.resolvers]) + scene.sockets() + [scene.serve(configuration)]
            + Scenery.dispatcher(NameScene.register() + NameScene.bind(scene.resolvers, to: "names"))
    }

    private static func independentOfNames(_ family: AddressFamily) -> Fixture {
        let scene = NameScene(family: family)
        let pool = few(scene)
        // 16 draws for each name and address: χ² is then as good as exact at a probability of 10^-9.
        let queries = 3 * 16 * 16
        let (three, one) = (HostNames(3, below: "example.com"), HostNames(1, below: "example.com"))
        return scene.fixture(
            "answers-do-not-depend-on-names",
            "Answers to three names in turn are distributed over a pool like answers to one name, evenly, and tell nothing of which name was asked.",
            because: [
                "paper §3.2: a sequence of queries for (h_i, h_j, h_k) is answered like one for (h_i, h_i, h_i)",
                "contingency tables and χ², each of which a good generator fails once in 10^9 times",
            ],
            world(scene, .answering(from: pool))
                + [
                    scene.survey(
                        named: "three", three, queries: queries, within: pool,
                        ["independent of the name": "yes", "uniform": "yes"]),
                    scene.survey(named: "one", one, queries: queries, within: pool, ["uniform": "yes"]),
                    Step(
                        .compareSurveys(["three", "one"]),
                        expect: [Expectation(.facts(["same distribution": "yes"]))]),
                ],
            sabotages: [
                .serving("address-from-the-name", scene.serve(.answering(from: pool, strategy: .static))),
                .serving("one-after-the-other", scene.serve(.answering(from: pool, strategy: .roundRobin))),
                .serving("bit-stuck", scene.serve(.answering(from: pool, excluding: [pool.part(1, bits: 1)]))),
            ])
    }

    private static func everyNameMeetsEveryAddress(_ family: AddressFamily) -> Fixture {
        let scene = NameScene(family: family)
        let pool = few(scene)
        let hosts = HostNames(4, below: "example.com")
        // 4 names × 16 addresses × (15/16)^400 = 4·10^-10 is a bound on the probability that any is missed.
        let queries = 4 * 400
        return scene.fixture(
            "every-name-meets-every-address",
            "Within 400 answers to each, every one of four names has been answered with every one of 16 addresses.",
            because: [
                paper,
                "the coupon collector: a pair is missed with a probability of at most 4·16·(15/16)^400 < 10^-9",
            ],
            world(scene, .answering(from: pool))
                + [
                    scene.survey(
                        hosts, queries: queries, within: pool,
                        ["every name met every address": "yes", "each name kept its address": "no", "uniform": "yes"])
                ],
            sabotages: [
                .serving("address-from-the-name", scene.serve(.answering(from: pool, strategy: .static))),
                .serving("one-after-the-other", scene.serve(.answering(from: pool, strategy: .roundRobin))),
                .serving("one-address-missing", scene.serve(.answering(from: pool, excluding: [Prefix(pool.last)]))),
            ])
    }

    /// Two zones of different accounts, whose policies have pools of their own or share one.
    private static func accounts(_ first: Prefix, _ second: Prefix) -> Configuration {
        var free = Configuration.Policy(name: "free", pool: "free")
        free.match.accounts = ["free"]
        var paid = Configuration.Policy(name: "paid", pool: first == second ? "free" : "paid")
        paid.match.accounts = ["paid"]
        return Configuration(
            zones: [.of("free.example", account: "free"), .of("paid.example", account: "paid")],
            pools: [.of("free", first)] + (first == second ? [] : [.of("paid", second)]), policies: [free, paid])
    }

    private static let inFree = HostNames(2, below: "free.example")
    private static let inPaid = HostNames(2, below: "paid.example")

    private static func isolated(_ family: AddressFamily) -> Fixture {
        let scene = NameScene(family: family)
        // Neighbours: one bit tells them apart.
        let (free, paid) = (scene.pool.part(0, bits: 1), scene.pool.part(1, bits: 1))
        return scene.fixture(
            "pools-isolated",
            "Zones of different accounts are answered from their policies' own pools, and never with an address of the other's.",
            because: ["paper §3.2: pools may be isolated; attributes of a policy are the account type and the place"],
            world(scene, accounts(free, paid))
                + [
                    scene.survey(inFree, queries: 512, within: free, [:]),
                    scene.survey(inPaid, queries: 512, within: paid, [:]),
                    // One survey after the other; then each again, now that the other has been answered.
                    scene.survey(inFree, queries: 64, within: free, [:]),
                ],
            sabotages: [
                .serving("pools-shared", scene.serve(accounts(scene.pool, scene.pool))),
                .serving("pools-swapped", scene.serve(accounts(paid, free))),
            ])
    }

    private static func shared(_ family: AddressFamily) -> Fixture {
        let scene = NameScene(family: family)
        let pool = few(scene)
        let queries = 2 * 16 * 16
        return scene.fixture(
            "pools-shared",
            "Zones of different accounts whose policies name one pool are answered from all of it, and alike.",
            because: ["paper §3.2: pools may be shared between policies"],
            world(scene, accounts(pool, pool))
                + [
                    scene.survey(
                        named: "free", inFree, queries: queries, within: pool,
                        ["uniform": "yes", "every address answered": "yes"]),
                    scene.survey(
                        named: "paid", inPaid, queries: queries, within: pool,
                        ["uniform": "yes", "every address answered": "yes"]),
                    Step(
                        .compareSurveys(["free", "paid"]),
                        expect: [Expectation(.facts(["same distribution": "yes"]))]),
                ],
            sabotages: [
                .serving("pools-isolated", scene.serve(accounts(pool.part(0, bits: 1), pool.part(1, bits: 1))))
            ])
    }

    /// The same names at two points of presence.
    private static func ofPlaces(_ family: AddressFamily) -> Fixture {
        let scene = NameScene(family: family)
        let (east, west) = (scene.pool.part(0, bits: 1), scene.pool.part(1, bits: 1))
        let resolvers = [scene.resolvers.part(0, bits: 1), scene.resolvers.part(1, bits: 1)]
        let hosts = HostNames(2, below: "example.com")
        func configuration(_ east: Prefix, _ west: Prefix) -> Configuration {
            let places = ["east", "west"]
            var configuration = Configuration(
                zones: [.of("example.com")], pools: [.of("east", east), .of("west", west)],
                policies: places.map {
                    var policy = Configuration.Policy(name: $0, pool: $0)
                    policy.match.labels = [$0]
                    return policy
                })
            configuration.listeners = zip(places, resolvers).map { .init(address: Endpoint($1.address, 53), label: $0) }
            return configuration
        }
        let served = ["east", "west"].flatMap { NameScene.served($0, label: $0) }
        return scene.fixture(
            "places-answer-from-their-own-pools",
            "One server answers for two points of presence: a query's place is the socket that it was steered to, and never is an address of another place answered.",
            because: [
                "paper §3.2: the data center's label is an attribute of a policy", "US patent 11,153,265, claim 1",
            ],
            scene.network(local: [scene.resolvers])
                + scene.sockets("east", at: resolvers[0].address) + scene.sockets("west", at: resolvers[1].address)
                + [scene.serve(configuration(east, west), on: served)]
                + Scenery.dispatcher(
                    NameScene.register("east") + NameScene.register("west")
                        + NameScene.bind(resolvers[0], to: "east") + NameScene.bind(resolvers[1], to: "west"))
                + [
                    scene.survey(to: resolvers[0], hosts, queries: 256, within: east, [:]),
                    scene.survey(to: resolvers[1], hosts, queries: 256, within: west, [:]),
                    scene.survey(over: .tcp, to: resolvers[0], hosts, queries: 32, within: east, [:]),
                    scene.survey(over: .tcp, to: resolvers[1], hosts, queries: 32, within: west, [:]),
                ],
            sabotages: [
                Sabotage(
                    "wrong-socket-registered",
                    replace: [
                        "register-west-udp": [
                            Step(.register(Registration("dispatcher", label: "west", socket: "east-udp")))
                        ]
                    ]),
                .serving("pools-swapped", scene.serve(configuration(west, east), on: served)),
            ])
    }

    /// The worlds that the paper compares with.
    private static func boundByStrategy(_ family: AddressFamily) -> Fixture {
        let scene = NameScene(family: family)
        let pool = few(scene)
        let one = HostNames(1, below: "example.com")
        let many = HostNames(64, below: "example.com")
        return scene.fixture(
            "static-names-keep-their-addresses",
            "With the static strategy each of 64 names keeps one address, and they do not all keep the same; round-robin is too even for chance.",
            because: ["paper Figure 7: static assignments, which it compares random ones with"],
            world(scene, .answering(from: pool, strategy: .static))
                + [
                    scene.survey(many, queries: 64 * 8, within: pool, ["each name kept its address": "yes"]),
                    Step(
                        .nameServiceReload(NameServiceReload("names", .answering(from: pool, strategy: .roundRobin))),
                        label: "round-robin"),
                    scene.survey(
                        one, queries: 16 * 16, within: pool, ["every address answered": "yes", "uniform": "too even"]),
                    Step(.nameServiceReload(NameServiceReload("names", .answering(from: pool)))),
                    scene.survey(one, queries: 16 * 16, within: pool, ["uniform": "yes"]),
                ],
            sabotages: [
                .serving("random", scene.serve(.answering(from: pool))),
                Sabotage(
                    "random-for-round-robin",
                    replace: [
                        "round-robin": [Step(.nameServiceReload(NameServiceReload("names", .answering(from: pool))))]
                    ]),
            ])
    }
}
