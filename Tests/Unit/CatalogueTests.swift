import Lab
import Testing

@testable import Fixtures

@Suite("Catalogue")
struct CatalogueTests {
    @Test("every built-in fixture is well formed, says why, and has a sabotage", arguments: Catalogue.all.map(\.id))
    func wellFormed(id: String) throws {
        let fixture = try #require(Catalogue.all.first { $0.id == id })
        try fixture.validate()
        #expect(!fixture.because.isEmpty)
        #expect(fixture.summary.hasSuffix("."))
        #expect(!fixture.sabotages.isEmpty)
    }

    @Test("identities are unique")
    func unique() {
        #expect(Set(Catalogue.all.map(\.id)).count == Catalogue.all.count)
    }

    @Test(
        "exactly one expectation of every step applies to each kernel of the catalogue's span",
        arguments: Catalogue.all.map(\.id)
    )
    func expectations(id: String) throws {
        let fixture = try #require(Catalogue.all.first { $0.id == id })
        for version in [KernelVersion(5, 10, 200), KernelVersion(6, 1), KernelVersion(6, 12), KernelVersion(7, 3)] {
            for step in fixture.steps { _ = try step.expectation(for: version) }
        }
    }

    @Test("the paper's families are all there")
    func families() {
        #expect(
            Set(Catalogue.all.map(\.family)).isSuperset(
                of: ["wildcard", "ranges", "ports", "isolation", "rebind", "order", "figure-4c", "scale", "bind"]))
    }
}
