import Foundation
import Lab
import Testing
import VirtualMachine

@Suite("Documentation")
struct DocumentationTests {
    private func text(_ path: String) throws -> String {
        try String(contentsOfFile: "\(PackageRoot.find())/\(path)", encoding: .utf8)
    }

    @Test("every action of the YAML form is documented", arguments: Action.names)
    func actions(name: String) throws {
        #expect(try text("docs/fixtures.md").contains("`\(name)"))
    }

    @Test("every feature and socket option is documented")
    func names() throws {
        let documentation = try text("docs/fixtures.md")
        for name in Feature.allCases.map(\.rawValue) + SocketOption.allCases.map(\.rawValue) {
            #expect(documentation.contains(name), "\(name)")
        }
    }

    @Test("the make targets of the README are the ones that CI runs")
    func commands() throws {
        let ci = try text(".ci/run")
        let targets = try text("README.md").split(separator: "\n").filter { $0.hasPrefix("$ make ") }
        #expect(targets.count >= 3)
        for line in targets {
            let command = line.dropFirst(2).prefix { $0 != "#" }.trimmingCharacters(in: .whitespaces)
            #expect(ci.contains(command), "\(command)")
        }
    }
}
