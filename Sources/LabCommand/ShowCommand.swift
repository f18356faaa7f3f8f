import ArgumentParser
import Fixtures
import Lab

struct ShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Print a built-in fixture as YAML that `lab run FILE.yaml` accepts.")

    enum Format: String, ExpressibleByArgument, CaseIterable { case yaml }

    @Argument(help: "family/name, family/name:variant, or a YAML file, which is shown as it was understood.")
    var name: String

    @Option(help: "How it is printed.")
    var format: Format = .yaml

    func run() async throws {
        if name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
            return try StandardOutput.write(FixtureFile.encode(FixtureFile.read(name)))
        }
        let found = try Selection([name], includesSlow: true).fixtures(from: Catalogue.all)
        // A file holds one fixture. The variants differ in little, so the first is a good start.
        let fixture = found[0]
        if found.count > 1 {
            let others = found.dropFirst().map(\.id).joined(separator: ", ")
            StandardError.write("lab: this is \(fixture.id); there are also \(others)\n")
        }
        try StandardOutput.write(FixtureFile.encode(fixture))
    }
}
