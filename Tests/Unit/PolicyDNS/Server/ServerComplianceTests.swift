import Addressing
import Glibc
import Testing

@testable import PolicyDNS

@Suite("A server on real sockets")
struct ServerComplianceTests {
    @Test("conforms to ISC's compliance test over UDP and TCP, IPv4 and IPv6", arguments: [AddressFamily.ipv4, .ipv6])
    func conforms(_ family: AddressFamily) async throws {
        var configuration = try sampleConfiguration()
        configuration.listeners = [.init(address: Endpoint(.loopback(family), 0))]
        configuration.workers = 1
        let sockets = try ServerSockets.open(configuration)
        let address = try #require(sockets.places.first).address
        let faults = try await Server.run(try Service(configuration), on: sockets) { _ in
            try await ComplianceProbe.run(for: try domain("example.com")) { query, transport in
                let client = try ClientSocket(transport, family)
                try client.connect(to: address)
                #expect(client.write(transport == .tcp ? framed(query) : query) != nil)
                var received: [UInt8] = []
                while client.wait(for: POLLIN, milliseconds: 10_000), case .bytes(let bytes) = client.read() {
                    received += bytes
                    if transport == .udp { return received }
                    if let answer = unframed(received).messages.first { return answer }
                }
                return nil
            }
        }
        #expect(faults == [])
    }
}
