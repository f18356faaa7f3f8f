import Fixtures
import Lab
import YAMLReading
import Testing

private func fixture(_ name: String, _ variant: String? = nil, tags: [String] = []) -> Fixture {
    Fixture(name: name, variant: variant, summary: "", because: [], tags: tags, steps: [])
}

private let all = [
    fixture("ranges/two-dns", "udp-ipv4", tags: ["dns"]), fixture("ranges/two-dns", "tcp-ipv6", tags: ["dns"]),
    fixture("ranges/nested", "udp-ipv4"), fixture("order/exact"),
    fixture("ports/all", "sampled"), fixture("ports/all", "every-port", tags: ["slow"]),
]

@Test(
    "a selection takes names, ids and globs, in the catalogue's order",
    arguments: [
        ([], [0, 1, 2, 3, 4]), (["ranges/two-dns"], [0, 1]), (["ranges/two-dns:tcp-ipv6"], [1]),
        (["ranges/*"], [0, 1, 2]), (["*:udp-*"], [0, 2]), (["order/exact", "ranges/n*"], [2, 3]),
        (["*"], [0, 1, 2, 3, 4]),
        (["ports/all:every-port"], [5]), (["ports/all"], [4, 5]), (["ports/*"], [4]), (["order/e[xy]act"], [3]),
    ] as [([String], [Int])])
func selections(selectors: [String], expected: [Int]) throws {
    #expect(try Selection(selectors).fixtures(from: all) == expected.map { all[$0] })
}

@Test("tags narrow a selection, and slow fixtures come when asked for")
func tags() throws {
    #expect(try Selection(tags: ["dns"]).fixtures(from: all) == [all[0], all[1]])
    #expect(try Selection(tags: ["slow"]).fixtures(from: all) == [all[5]])
    #expect(try Selection(["ports/*"], includesSlow: true).fixtures(from: all) == [all[4], all[5]])
    #expect(try Selection(["ranges/*"], skippedTags: ["dns"]).fixtures(from: all) == [all[2]])
}

@Test(
    "an unknown selection is refused with what was probably meant",
    arguments: [
        (Selection(["ranges/tow-dns"]), .unknownSelector("ranges/tow-dns", nearest: "ranges/two-dns")),
        (
            Selection(["ranges/two-dns:udp-ipv5"]),
            .unknownSelector("ranges/two-dns:udp-ipv5", nearest: "ranges/two-dns:udp-ipv4")
        ),
        (Selection(["order/exact", "ranges"]), .unknownSelector("ranges", nearest: "ranges/*")),
        (Selection(["rangse/*"]), .unknownSelector("rangse/*", nearest: "ranges/*")),
        (Selection(["something-else"]), .unknownSelector("something-else", nearest: nil)),
        (Selection(tags: ["dsn"]), .unknownTag("dsn", nearest: "dns")),
        (Selection(["order/*"], tags: ["dns"]), .nothingSelected),
        (Selection(["ports/*every*"]), .onlySlow),
    ] as [(Selection, SelectionError)])
func unknownSelections(selection: Selection, expected: SelectionError) {
    #expect(throws: expected) { try selection.fixtures(from: all) }
}

@Test("the nearest candidate is one with few differences, of the same length if possible")
func nearestCandidate() {
    #expect(nearest(to: "6.13", among: ["5.10", "6.1", "6.12"]) == "6.12")
    #expect(nearest(to: "porbe", among: ["prune", "probe"]) == "probe")
    #expect(nearest(to: "socket", among: ["flood", "drain"]) == nil)
    #expect(nearest(to: "", among: []) == nil)
}
