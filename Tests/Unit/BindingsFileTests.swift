import Addressing
import SocketLookup
import Testing
import VirtualMachine

@testable import LabCommand

@Suite("A file of bindings")
struct BindingsFileTests {
    @Test("the example in the repository is good, and lists stand for their combinations")
    func example() throws {
        let bindings = try BindingsFile.read("\(PackageRoot.find())/Examples/bindings.yaml")
        #expect(
            bindings.map(\.description) == [
                "tcp 192.0.2.0/24 53 → authoritative",
                "udp 192.0.2.0/24 53 → authoritative",
                "tcp 203.0.113.1/32 0-65535 → resolver",
                "udp 203.0.113.1/32 0-65535 → resolver",
                "tcp 192.0.0.0/16 80 → web, else pass",
                "tcp 192.0.0.0/16 443 → web, else pass",
                "tcp 192.0.0.0/16 8000-8010 → web, else pass",
                "tcp 2001:db8::/32 80 → web, else pass",
                "tcp 2001:db8::/32 443 → web, else pass",
                "tcp 2001:db8::/32 8000-8010 → web, else pass",
            ])
    }
}
