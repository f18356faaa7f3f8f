import Addressing
import Testing

@testable import Lab

// Swift Testing has one, too.
private typealias Expectation = Lab.Expectation

@Suite("Judgement")
struct JudgementTests {
    private let asked = Endpoint(.v4(0xC000_0201), 53)

    private func fixture(_ expectation: Expectation, sabotages: [Sabotage] = []) -> Fixture {
        Fixture(
            name: "family/name", summary: "…", because: [],
            steps: [
                Step(.namespace("server"), label: "make"),
                Step(.probe(Probe(from: "server", .udp, to: asked)), expect: [expectation]),
            ], sabotages: sabotages)
    }

    private func verdict(
        _ outcome: Outcome, _ event: Event, ending: Ending = .finished
    ) -> (verdict: Verdict, deviation: Deviation?) {
        fixture(Expectation(outcome)).judge(
            [Observation(.succeeded), Observation(event)], ending: ending, version: KernelVersion(6, 12))
    }

    @Test("an answer by the expected socket alone, from the address asked, conforms")
    func reaches() {
        #expect(verdict(.reaches("web"), .answered(by: "web", from: asked, received: ["web"])).verdict == .conforms)
    }

    @Test(
        "an answer deviates if another socket answered, another received too, or it came from elsewhere",
        arguments: [
            Event.answered(by: "other", from: Endpoint(.v4(0xC000_0201), 53), received: ["other"]),
            .answered(by: "web", from: Endpoint(.v4(0xC000_0201), 53), received: ["web", "other"]),
            .answered(by: "web", from: Endpoint(.v4(0xC000_0202), 53), received: ["web"]),
            .refused(received: []), .timedOut(received: ["web"]), .failed(call: "connect", errno: .networkUnreachable),
        ])
    func misses(event: Event) {
        #expect(verdict(.reaches("web"), event).verdict == .deviates)
    }

    @Test("of many facts those that differ are told, and one that is missing deviates")
    func facts() throws {
        let expected = Outcome.facts(["runs": "1", "verdict": "pass"])
        #expect(verdict(expected, .facts(["runs": "1", "verdict": "pass", "other": "x"])).verdict == .conforms)
        let deviation = try #require(verdict(expected, .facts(["verdict": "pass"])).deviation)
        #expect(deviation.expected == "runs: 1")
        #expect(deviation.observed == "runs: nothing known (known: verdict: pass)")
        #expect(verdict(expected, .facts(["runs": "2", "verdict": "pass"])).verdict == .deviates)
        #expect(verdict(expected, .succeeded).verdict == .deviates)
        #expect(verdict(.succeeds, .facts(["runs": "1"])).verdict == .conforms)
    }

    @Test("a refusal that some socket received anyway is no refusal")
    func leakedRefusal() {
        #expect(verdict(.refused, .refused(received: [])).verdict == .conforms)
        #expect(verdict(.refused, .refused(received: ["web"])).verdict == .deviates)
        #expect(verdict(.refused, .timedOut(received: [])).verdict == .deviates)
    }

    @Test("silence is not a time-out")
    func silence() {
        #expect(verdict(.silent, .silent(received: [])).verdict == .conforms)
        #expect(verdict(.silent, .timedOut(received: [])).verdict == .deviates)
    }

    @Test("an errno must be the one expected, by the call expected")
    func errnos() {
        let expected = Outcome.fails(.addressInUse, call: "bind")
        #expect(verdict(expected, .failed(call: "bind", errno: .addressInUse)).verdict == .conforms)
        #expect(verdict(expected, .failed(call: "listen", errno: .addressInUse)).verdict == .deviates)
        #expect(verdict(expected, .failed(call: "bind", errno: .connectionRefused)).verdict == .deviates)
        #expect(verdict(expected, .succeeded).verdict == .deviates)
        #expect(verdict(.succeeds, .facts(["runs": "1"])).verdict == .conforms)
    }

    @Test("a flood that nobody expected deviates")
    func unexpectedFlood() {
        let expected = Outcome.received(["visitor": .exactly(20)])
        #expect(verdict(expected, .received(["visitor": 20])).verdict == .conforms)
        #expect(verdict(expected, .received(["visitor": 19])).verdict == .deviates)
        #expect(verdict(expected, .received(["visitor": 20, "attack": 1])).verdict == .deviates)
        #expect(verdict(.received([:]), .received([:])).verdict == .conforms)
    }

    @Test("a deviation names the step, the expected and the observed outcome")
    func explains() throws {
        let deviation = try #require(verdict(.reaches("web"), .refused(received: [])).deviation)
        #expect(deviation.step == 2)
        #expect(deviation.action == "udp probe from server to 192.0.2.1:53")
        #expect(deviation.expected == "reaches web, and no other socket")
        #expect(deviation.observed == "refused (ECONNREFUSED), nothing received")
    }

    @Test("a performance that stopped early without a deviation is broken, not conforming")
    func stoppedEarly() {
        let judged = fixture(Expectation(.refused)).judge(
            [Observation(.succeeded)], ending: .finished, version: KernelVersion(6, 12))
        #expect(judged.verdict == .broken)
    }

    @Test("the lab's own failure is broken, and an absent feature unsupported")
    func endings() {
        let broken = fixture(Expectation(.refused)).judge(
            [], ending: .broken(step: 1, reason: "no such thing"), version: KernelVersion(6, 12))
        #expect(broken.verdict == .broken)
        #expect(broken.deviation?.observed == "no such thing")
        let unsupported = fixture(Expectation(.refused)).judge(
            [], ending: .unsupported(.testRun), version: KernelVersion(5, 10))
        #expect(unsupported.verdict == .unsupported)
    }

    @Test("of expectations for several kernels exactly one must apply")
    func versions() throws {
        let fixed = VersionSet(KernelVersion(6, 6), KernelVersion(6, 1, 30))
        let step = Step(
            .namespace("x"),
            expect: [Expectation(.refused, until: fixed), Expectation(.succeeds, since: fixed)])
        #expect(try step.expectation(for: KernelVersion(6, 1, 29)).outcome == .refused)
        #expect(try step.expectation(for: KernelVersion(6, 1, 30)).outcome == .succeeds)
        #expect(try step.expectation(for: KernelVersion(6, 5)).outcome == .refused)
        #expect(try step.expectation(for: KernelVersion(7, 3)).outcome == .succeeds)
        let gap = Step(.namespace("x"), expect: [Expectation(.refused, since: fixed)])
        #expect(throws: FixtureError.self) { try gap.expectation(for: KernelVersion(5, 10)) }
    }

    @Test("under a sabotage a deviation conforms, and a fixture that conforms all the same is broken")
    func sabotage() throws {
        let trial = try Trial(fixture(Expectation(.refused)), under: Sabotage("world-changed", omit: ["make"]))
        let identity = KernelIdentity(release: "6.12.1", build: "")
        func result(_ event: Event) -> FixtureResult {
            trial.result(
                kernel: "6.12", identity: identity, observations: [Observation(event)], ending: .finished, seconds: 1)
        }
        #expect(result(.answered(by: "x", from: asked, received: ["x"])).verdict == .conforms)
        let survived = result(.refused(received: []))
        #expect(survived.verdict == .broken)
        #expect(survived.sabotage == "world-changed")
    }

    @Test("a sabotage that names no step is refused, since it would change nothing")
    func emptySabotage() {
        #expect(throws: FixtureError.self) {
            try fixture(Expectation(.refused)).sabotaged(by: Sabotage("nothing", omit: ["missing"]))
        }
    }
}

@Suite("Names in fixtures")
struct NameTests {
    private func fixture(_ steps: [Step], sabotages: [Sabotage] = []) -> Fixture {
        Fixture(name: "family/name", summary: "…", because: [], steps: steps, sabotages: sabotages)
    }

    private let server = Step(.namespace("server"))
    private let web = Step(
        .socket(SocketDescription("web", in: "server", .tcp, bind: Endpoint(.v4(0), 80))), label: "open")

    private func probe(_ name: String) -> Step {
        Step(
            .probe(Probe(from: "server", .tcp, to: Endpoint(.v4(0x7F00_0001), 80))),
            expect: [Expectation(.reaches(name))])
    }

    @Test("a name that no step has made is refused, in actions and in expectations")
    func unknown() throws {
        try fixture([server, web, probe("web")]).validate()
        #expect(
            throws: FixtureError.unknownName(
                fixture: "family/name", step: 1, kind: "namespace", name: "server", known: [])
        ) { try fixture([web]).validate() }
        #expect(
            throws: FixtureError.unknownName(
                fixture: "family/name", step: 3, kind: "socket", name: "wbe", known: ["web"])
        ) { try fixture([server, web, probe("wbe")]).validate() }
    }

    @Test("a name is made once, unless the first was closed or expected to fail")
    func duplicate() throws {
        #expect(throws: FixtureError.duplicateName(fixture: "family/name", step: 3, kind: "socket", name: "web")) {
            try fixture([server, web, Step(web.action)]).validate()
        }
        try fixture([server, web, Step(.close("web")), Step(web.action)]).validate()
        let refused = Step(web.action, expect: [Expectation(.fails(.addressInUse, call: "bind"))])
        try fixture([server, refused, Step(web.action)]).validate()
    }

    @Test("a sabotage may take away what an expectation names, and nothing that a step needs")
    func sabotages() throws {
        try fixture([server, web, probe("web")], sabotages: [Sabotage("nobody", omit: ["open"])]).validate()
        #expect(throws: FixtureError.self) {
            try fixture([server, web, Step(.close("web"))], sabotages: [Sabotage("nobody", omit: ["open"])]).validate()
        }
    }
}
