import FoundationEssentials
import Testing

@testable import VirtualMachine

@Suite struct KernelsCatalogueTests {
    private func problem(_ yaml: String) -> String? {
        do {
            _ = try KernelCatalogue(yaml: yaml, path: "kernels.yaml")
            return nil
        } catch {
            return error.description
        }
    }

    @Test func `the catalogue of the repository is valid and has a default`() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let catalogue = try KernelCatalogue.load(from: "/\(root)/vm/kernels.yaml")
        #expect(
            catalogue.names == ["5.10", "6.1", "6.12", "6.16", "6.17", "6.18", "6.19", "7.0", "7.1", "7.2", "7.3"])
        #expect(catalogue.default?.name == "6.12")
        #expect(catalogue["5.10"]?.suites.first == "bullseye-security")
    }

    @Test func `an unquoted 5.10 is not the number 5.1`() throws {
        let catalogue = try KernelCatalogue(yaml: "series:\n- {name: 5.10, suites: [bullseye]}\n", path: "k")
        #expect(catalogue.names == ["5.10"])
        #expect(catalogue.series[0].flavours == ["cloud-amd64", "amd64"])
    }

    @Test func `a mistake is reported with its line and column`() {
        #expect(
            problem("series:\n  - name: 6.12\n    suite: [trixie]\n")
                == "kernels.yaml:3:5: unknown key 'suite': the keys are name, suites, flavours, default")
        #expect(
            problem("series:\n  - name: six\n    suites: [trixie]\n")
                == "kernels.yaml:2:11: 'six' is not a series: write 6.12")
        #expect(problem("series:\n  - name: 6.12\n")?.hasPrefix("kernels.yaml:2:") == true)
        #expect(problem("series: [\n")?.hasPrefix("kernels.yaml:2:") == true)
        #expect(problem("")?.hasPrefix("kernels.yaml:1:1:") == true)
    }

    @Test func `a series may be there once and one may be the default`() {
        let entry = "  - {name: 6.12, suites: [trixie]}\n"
        #expect(problem("series:\n" + entry + entry) == "kernels.yaml:3:5: series 6.12 is here twice")
        let two = """
            series:
              - {name: 6.1, suites: [bookworm], default: true}
              - {name: 6.12, suites: [trixie], default: true}

            """
        #expect(problem(two) == "kernels.yaml:3:5: 6.1 is already the default: there can be one")
    }

    @Test func `a suite cannot smuggle options into apt's sources`() {
        #expect(problem("series:\n  - {name: 6.12, suites: ['trixie main [trusted=yes]']}\n") != nil)
    }

    @Test func `a missing catalogue is named`() {
        #expect(throws: KernelError.catalogueUnreadable(path: "/nowhere.yaml", reason: "there is no such file")) {
            try KernelCatalogue.load(from: "/nowhere.yaml")
        }
    }
}
