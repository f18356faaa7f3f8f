import Addressing
import Glibc
import Testing

@testable import PolicyDNS

@Suite("A worker's datagrams")
struct WorkerDatagramTests {
    @Test("a query over UDP is answered", arguments: [AddressFamily.ipv4, .ipv6])
    func answers(_ family: AddressFamily) throws {
        let harness = try WorkerHarness(Endpoint(.loopback(family), 0))
        let client = try ClientSocket(.udp, family)
        try client.send(testQuery(0xBEEF), to: harness.udp)
        var answer: (bytes: [UInt8], source: Endpoint)?
        #expect(
            try harness.turn {
                answer = client.receiveDatagram()
                return answer != nil
            })
        #expect(answeredID(try #require(answer).bytes) == 0xBEEF)
        #expect(answer?.source == harness.udp)
        #expect(harness.worker.counters.value(.batchedQueries) == 1)
    }

    @Test("a wildcard socket answers from the address that was asked, for 256 addresses")
    func answersFromTheAddressAsked() throws {
        let harness = try WorkerHarness(Endpoint(.wildcard(.ipv4), 0))
        let client = try ClientSocket(.udp, .ipv4, from: Endpoint(.v4(0x7F00_0001), 0))
        let asked = (0..<256).map { Endpoint(.v4(0x7F01_0000 + UInt32($0) * 251), harness.udp.port) }
        for (index, address) in asked.enumerated() { try client.send(testQuery(UInt16(index)), to: address) }
        var sources: [UInt16: Endpoint] = [:]
        #expect(
            try harness.turn {
                while let (bytes, source) = client.receiveDatagram() {
                    if let id = answeredID(bytes) { sources[id] = source }
                }
                return sources.count == 256
            })
        for (index, address) in asked.enumerated() { #expect(sources[UInt16(index)] == address) }
        #expect(harness.worker.counters.value(.udpSendErrors) == 0)
    }

    @Test("a dual-stack socket answers IPv4 and IPv6 queries from the address that was asked")
    func dualStack() throws {
        let descriptor = socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)
        var off: Int32 = 0
        setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &off, 4)
        #expect(Endpoint(.wildcard(.ipv6), 0).withSocketAddress { bind(descriptor, $0, $1) } == 0)
        let given = try ServerSocket(taking: descriptor, label: "given")
        let harness = try WorkerHarness(sockets: [given])
        for asked in [IPAddress.v4(0x7F00_0909), .v4(0x7F00_0001), .v6(1)] {
            let client = try ClientSocket(.udp, asked.family)
            try client.send(testQuery(7), to: Endpoint(asked, given.address.port))
            var source: Endpoint?
            #expect(
                try harness.turn {
                    source = client.receiveDatagram()?.source
                    return source != nil
                })
            #expect(source == Endpoint(asked, given.address.port))
        }
    }

    @Test("more queries than a batch holds are all answered")
    func manyBatches() throws {
        let harness = try WorkerHarness()
        let client = try ClientSocket(.udp, .ipv4)
        client.set(SOL_SOCKET, SO_RCVBUF, 1 << 20)
        for id in 0..<UInt16(150) { try client.send(testQuery(id), to: harness.udp) }
        var ids: Set<UInt16> = []
        #expect(
            try harness.turn {
                while let (bytes, _) = client.receiveDatagram() { if let id = answeredID(bytes) { ids.insert(id) } }
                return ids.count == 150
            })
        #expect(harness.worker.counters.value(.batchedQueries) == 150)
        // 64, 64 and 22.
        #expect(harness.worker.counters.value(.batch(bucket: 6)) == 2)
        #expect(harness.worker.counters.value(.batch(bucket: 5)) == 1)
    }

    @Test("silence is counted and sends nothing, and the queries around it are answered")
    func silence() throws {
        let harness = try WorkerHarness()
        let client = try ClientSocket(.udp, .ipv4)
        var response = testQuery(2)
        response[2] |= 0x80
        for bytes in [testQuery(1), [], [1, 2, 3], response, testQuery(4)] { try client.send(bytes, to: harness.udp) }
        var ids: [UInt16?] = []
        #expect(
            try harness.turn {
                while let (bytes, _) = client.receiveDatagram() { ids.append(answeredID(bytes)) }
                return ids.count == 2
            })
        #expect(ids == [1, 4])
        try harness.settle()
        #expect(client.receiveDatagram() == nil)
        #expect(harness.worker.counters.value(.silence(.notAMessage)) == 2)
        #expect(harness.worker.counters.value(.silence(.isAResponse)) == 1)
        #expect(harness.worker.counters.value(.queries(tcp: false, QueryTypeName(1))) == 2)
        #expect(harness.worker.counters.value(.responses(tcp: false, ResponseCodeName(0))) == 2)
    }

    @Test("a socket that queues ICMP errors keeps answering, and does not spin over them")
    func errorQueue() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_IP), IP_RECVERR, &on, 4)
        #expect(Endpoint(.v4(0x7F00_0001), 0).withSocketAddress { bind(descriptor, $0, $1) } == 0)
        let given = try ServerSocket(taking: descriptor, label: "given")
        let harness = try WorkerHarness(sockets: [given])
        do {
            // Gone before the answer, which meets with "port unreachable".
            let client = try ClientSocket(.udp, .ipv4)
            try client.send(testQuery(1), to: given.address)
        }
        #expect(try harness.turn { harness.worker.counters.value(.batchedQueries) == 1 })
        try harness.settle()
        let client = try ClientSocket(.udp, .ipv4)
        try client.send(testQuery(2), to: given.address)
        var answer: [UInt8]?
        #expect(
            try harness.turn {
                answer = client.receiveDatagram()?.bytes
                return answer != nil
            })
        #expect(answeredID(try #require(answer)) == 2)
    }
}
