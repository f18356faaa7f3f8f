import Addressing
import Glibc
import Lab

/// What becomes of connections whose listener stops before it has accepted them.
enum ReuseportMigration {
    static let fixtures: [Fixture] =
        [AddressFamily.ipv4, .ipv6].flatMap { family in
            let group = GroupVariant(transport: .tcp, family: family, members: .ordinary)
            return [
                reset(group), migrated(group, by: "close"), migrated(group, by: "shutdown"), requestMigrated(group),
                programDecides(group),
            ]
        }

    private static func fixture(
        _ name: String, _ group: GroupVariant, _ summary: String, because: [String],
        requires: [Feature] = [.listenerMigration], variant: String? = nil, _ steps: [Step], sabotages: [Sabotage]
    ) -> Fixture {
        Fixture(
            name: "reuseport/\(name)", variant: variant ?? group.id, summary: summary, because: because,
            requires: requires + group.features, steps: [Step(.namespace("host"))] + steps, sabotages: sabotages)
    }

    private static let because = ["commit f9ac779f881c: net.ipv4.tcp_migrate_req", "commit 54b92e841937"]

    /// Members that accept nothing for now; the first gets every connection.
    private static func paused(_ group: GroupVariant, _ names: [String], options: [SocketOption] = []) -> [Step] {
        names.map { group.member($0, options: options) }
            + names.map { Step(.call(SocketCall(.pause, on: $0))) }
            + [Step(.attachReuseportFilter(GroupFilter(picking: 0, to: names[0])))]
    }

    private static func connect(_ name: String, _ group: GroupVariant) -> Step {
        Step(.connect(Connection(name, from: "host", .tcp, to: group.address(), question: false)))
    }

    private static func migrate(_ value: String, label: String? = "migrate") -> Step {
        Step(.sysctl(SystemControl(namespace: "host", key: "net.ipv4.tcp_migrate_req", value: value)), label: label)
    }

    private static func backlog(_ name: String, queued: Int, woken: Bool? = nil) -> Step {
        var facts = ["queued": "\(queued)"]
        if let woken { facts["woken"] = woken ? "yes" : "no" }
        return Step(.backlog(name), expect: [Expectation(.facts(facts))])
    }

    private static func exchange(_ name: String, _ outcome: Outcome) -> Step {
        Step(.exchange(name), expect: [Expectation(outcome)])
    }

    private static let isReset = Outcome.fails(ErrorNumber(rawValue: ECONNRESET), call: "send")

    private static func reset(_ group: GroupVariant) -> Fixture {
        fixture(
            "a-closed-listener-resets-its-queue", group,
            "Connections that a member of a group has not accepted are reset when it is closed, unless they may migrate.",
            because: ["listen(2)", "commit f9ac779f881c"], requires: [],
            paused(group, ["a", "b"]) + [
                connect("one", group), connect("two", group), backlog("a", queued: 2, woken: true),
                backlog("b", queued: 0, woken: false),
                Step(.close("a"), label: "close"), exchange("one", isReset), exchange("two", isReset),
                backlog("b", queued: 0, woken: false),
                connect("three", group), backlog("b", queued: 1, woken: true),
            ],
            sabotages: [
                // With nobody closing at all, the client would wait for as long as it may.
                Sabotage("accepts-instead", replace: ["close": [Step(.call(SocketCall(.resume, on: "a")))]])
            ])
    }

    private static func migrated(_ group: GroupVariant, by way: String) -> Fixture {
        let stop: Action = way == "close" ? .close("a") : .call(SocketCall(.shutdownRead, on: "a"))
        return fixture(
            "queued-connections-migrate", group,
            "With tcp_migrate_req, connections that wait at a listener that stops go to another member of its group, which is woken to accept them; without one, they are reset.",
            because: because + ["commit 3864c6ba1e04: the other listener is woken"], variant: "\(group.id)-\(way)",
            [migrate("1")] + paused(group, ["a", "b"]) + [
                connect("one", group), connect("two", group), backlog("a", queued: 2, woken: true),
                backlog("b", queued: 0, woken: false),
                Step(stop, label: "stop"), backlog("b", queued: 2), woken("b"),
                Step(.call(SocketCall(.resume, on: "b"))),
                exchange("one", .reaches("b")), exchange("two", .reaches("b")),
                group.probe(.reaches("b"), to: group.address()),
                // Nobody is left to take them.
                Step(.call(SocketCall(.pause, on: "b"))), connect("three", group), backlog("b", queued: 1),
                Step(.close("b")), exchange("three", isReset),
                exchange("one", .reaches("b")),
            ],
            sabotages: [
                Sabotage("no-migration", replace: ["migrate": [migrate("0")]]),
                Sabotage("nobody-stops", omit: ["stop"]),
            ])
    }

    // Measured: 6.18.44 and 7.0.13 have the commit, 6.18.15 and 7.0.3 are older than it. The stable series that end
    // between are left open.
    private static let mayWake = VersionSet(
        KernelVersion(7, 1), KernelVersion(7, 0, 4), KernelVersion(6, 18, 16), KernelVersion(6, 12, 86),
        KernelVersion(6, 6), KernelVersion(6, 1, 175), KernelVersion(5, 15))
    private static let wakes = VersionSet(
        KernelVersion(7, 1), KernelVersion(7, 0, 13), KernelVersion(6, 18, 44), KernelVersion(6, 12, 86),
        KernelVersion(6, 1, 175))

    private static func woken(_ name: String) -> Step {
        let because = "commit 3864c6ba1e04"
        return Step(
            .backlog(name), label: "woken",
            expect: [
                Expectation(.facts(["woken": "no"]), until: mayWake, because: because),
                Expectation(.facts([:]), since: mayWake, until: wakes, because: because),
                Expectation(.facts(["woken": "yes"]), since: wakes, because: because),
            ])
    }

    private static func requestMigrated(_ group: GroupVariant) -> Fixture {
        fixture(
            "handshakes-migrate", group,
            "With tcp_migrate_req, a handshake that ends after its listener has stopped makes a connection of another member; without it, the client is reset.",
            because: because + ["commit d4f2c86b2b7e: requests migrate at the final ACK"],
            [migrate("1")] + paused(group, ["a", "b"], options: [.deferAccept]) + [
                // Until the client says something, there is a request only.
                connect("one", group), backlog("a", queued: 0),
                Step(.close("a"), label: "close"), Step(.call(SocketCall(.resume, on: "b"))),
                exchange("one", .reaches("b")),
                group.member("c", options: [.deferAccept]), Step(.call(SocketCall(.pause, on: "b"))),
                connect("two", group), migrate("0", label: nil),
                Step(.close("b")), exchange("two", .fails(ErrorNumber(rawValue: ECONNRESET), call: "recv")),
            ],
            sabotages: [
                // With nobody closing at all, the client would wait for as long as it may.
                Sabotage("accepts-instead", replace: ["close": [Step(.call(SocketCall(.resume, on: "a")))]])
            ])
    }

    private static func programDecides(_ group: GroupVariant) -> Fixture {
        fixture(
            "program-decides-who-inherits", group,
            "A program of the kind that migrates says who inherits the connections of a listener that stops, or that nobody does, whatever tcp_migrate_req is.",
            because: ["commit d5e4ddaeb6ab: BPF_SK_REUSEPORT_SELECT_OR_MIGRATE"],
            [
                migrate("0"), group.member("a"),
                GroupScenery.load("group", object: "reuseport_migrate"), GroupScenery.attach("group", to: "a"),
                Step(.call(SocketCall(.pause, on: "a"))), connect("one", group), connect("two", group),
                backlog("a", queued: 2),
            ]
                + ["b", "c", "d"].flatMap { [group.member($0), Step(.call(SocketCall(.pause, on: $0)))] }
                + [
                    GroupScenery.register("c", with: "group"), GroupScenery.script("group", [.select("c")]),
                    GroupScenery.recorded("group", ["runs": "2", "migrations": "0"]),
                    Step(.close("a"), label: "close"),
                    GroupScenery.recorded(
                        "group", ["runs": "0", "migrations": "2", "1 result": "0", "wildcard": "no"]),
                    backlog("b", queued: 0, woken: false), backlog("c", queued: 2),
                    backlog("d", queued: 0, woken: false),
                    // Each is asked about anew.
                    GroupScenery.register("d", with: "group"), GroupScenery.script("group", [.select("d")]),
                    Step(.call(SocketCall(.shutdownRead, on: "c"))), backlog("d", queued: 2),
                    Step(.call(SocketCall(.resume, on: "d"))), exchange("one", .reaches("d")),
                    exchange("two", .reaches("d")),
                    GroupScenery.script("group", [.verdict(.drop)]),
                    Step(.close("b")), Step(.call(SocketCall(.pause, on: "d"))), connect("three", group),
                    group.member("e"), Step(.call(SocketCall(.pause, on: "e"))),
                    Step(.close("d")), exchange("three", isReset), backlog("e", queued: 0),
                    GroupScenery.recorded("group", ["migrations": "3"]),
                ],
            sabotages: [Sabotage("nobody-closes", omit: ["close"])])
    }
}
