import Addressing
import PolicyDNS
import Testing

@testable import Lab

@Suite("Steps about names")
struct NameStepsTests {
    private func fixture(pool: String, label: String?) throws -> Fixture {
        var configuration = Configuration(
            zones: [
                .init(
                    name: try DomainName(text: "example.com"),
                    nameservers: [.init(name: try DomainName(text: "ns.example.net"))])
            ],
            pools: [.init(name: "pool", addresses: AddressPool(try Prefix(text: "192.0.2.0/24")))],
            policies: [.init(name: "all", pool: pool)])
        configuration.listeners = [.init(address: try Endpoint(text: "192.0.2.53:53"), label: "east")]
        return Fixture(
            name: "dns/x", summary: "X.", because: [],
            steps: [
                Step(.namespace("server")),
                Step(
                    .socket(
                        SocketDescription("names", in: "server", .udp, bind: try Endpoint(text: "127.0.0.1:53")))),
                Step(.nameService(NameService("n", on: [.init("names", label: label)], configuration))),
            ])
    }

    private func complaint(about fixture: Fixture) -> String? {
        do {
            try fixture.validate()
            return nil
        } catch {
            return error.description
        }
    }

    @Test("a configuration that can be served is fine")
    func fine() throws {
        #expect(complaint(about: try fixture(pool: "pool", label: "east")) == nil)
    }

    @Test("a configuration that no server takes is found before anything is performed")
    func configuration() throws {
        let text = try #require(complaint(about: fixture(pool: "pond", label: "east")))
        #expect(text.hasPrefix("dns/x, step 3: the configuration: "))
        #expect(text.contains("'pond'"))
    }

    @Test("a socket's label must be one of the configuration's, or policies could not match it")
    func label() throws {
        #expect(
            complaint(about: try fixture(pool: "pool", label: "west"))
                == "dns/x, step 3: no listener of the configuration has the label 'west'")
    }

    @Test("a name that is none is found before anything is performed")
    func name() throws {
        var fixture = try fixture(pool: "pool", label: "east")
        fixture.steps.append(
            Step(
                .nameQuery(
                    NameQuery(from: "server", .udp, to: try Endpoint(text: "127.0.0.1:53"), "a..b", .a))))
        #expect(
            complaint(about: fixture)
                == "dns/x, step 4: 'a..b': a domain name has no empty labels: remove the extra dot")
    }
}
