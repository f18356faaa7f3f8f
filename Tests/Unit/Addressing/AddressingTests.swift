import Testing

@testable import Addressing

@Suite("Addresses and prefixes")
struct AddressingTests {
    @Test(
        "addresses are read and written in their canonical form",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("::", "::"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("0.0.0.0", "0.0.0.0"),
        ])
    func canonical(text: String, canonical: String) throws {
        #expect(try #require(IPAddress(text)).description == canonical)
    }

    @Test("what is no address is refused", arguments: ["", "192.0.2", "192.0.2.256", "fe80::1%eth0", "2001:db8:::1"])
    func notAddresses(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("a prefix with host bits is refused, and its canonical form named")
    func hostBits() {
        #expect(throws: AddressingError.hostBitsSet(text: "192.0.2.1/24", canonical: "192.0.2.0/24")) {
            try Prefix(text: "192.0.2.1/24")
        }
        #expect(throws: AddressingError.hostBitsSet(text: "2001:db8::1/127", canonical: "2001:db8::/127")) {
            try Prefix(text: "2001:db8::1/127")
        }
    }

    @Test("prefix lengths run from 0 to the width of the family")
    func lengths() throws {
        #expect(try Prefix(text: "0.0.0.0/0").contains(#require(IPAddress("255.255.255.255"))))
        #expect(try Prefix(text: "::/0").last == IPAddress.v6(.max))
        #expect(try Prefix(text: "192.0.2.1/32").last == IPAddress("192.0.2.1"))
        #expect(try Prefix(text: "::1/128").address(at: 1) == nil)
        #expect(throws: AddressingError.lengthOutOfRange(length: 33, width: 32)) { try Prefix(text: "0.0.0.0/33") }
        #expect(throws: AddressingError.lengthOutOfRange(length: 129, width: 128)) { try Prefix(text: "::/129") }
    }

    @Test("a prefix contains its first and last address and neither neighbour")
    func containment() throws {
        let prefix = try Prefix(text: "192.0.2.128/25")
        #expect(prefix.contains(try #require(IPAddress("192.0.2.128"))))
        #expect(prefix.contains(try #require(IPAddress("192.0.2.255"))))
        #expect(!prefix.contains(try #require(IPAddress("192.0.2.127"))))
        #expect(!prefix.contains(try #require(IPAddress("192.0.3.0"))))
        #expect(!prefix.contains(try #require(IPAddress("::ffff:192.0.2.200"))))
    }

    @Test(
        "endpoints and port ranges survive being written and read", arguments: ["192.0.2.1:53", "[2001:db8::1]:65535"])
    func endpoints(text: String) throws {
        #expect(try Endpoint(text: text).description == text)
    }

    @Test(
        "malformed endpoints and ranges are refused", arguments: ["192.0.2.1", "2001:db8::1:53", "[::1]:65536", ":53"])
    func badEndpoints(text: String) {
        #expect(throws: AddressingError.self) { try Endpoint(text: text) }
    }

    @Test("port 0 is a port like others, and all ports are 0 to 65535")
    func ports() throws {
        #expect(PortRange.all.count == 65536)
        #expect(try PortRange(text: "0").contains(0))
        #expect(try PortRange(text: "8000-8010").count == 11)
        #expect(throws: AddressingError.self) { try PortRange(text: "10-9") }
        #expect(throws: AddressingError.self) { try PortRange(text: "65536") }
    }
}
