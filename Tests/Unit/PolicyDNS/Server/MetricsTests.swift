import Addressing
import Glibc
import Testing

@testable import PolicyDNS

@Suite("Metrics")
struct MetricsTests {
    @Test("types and codes are named by mnemonic, and whatever else there is by one name")
    func names() {
        #expect([1, 28, 255, 257].map { QueryTypeName.names[QueryTypeName($0).index] } == ["A", "AAAA", "ANY", "CAA"])
        #expect(
            [0, 66, 1000, 65535].map { QueryTypeName.names[QueryTypeName($0).index] } == [
                "other", "other", "other", "other",
            ])
        #expect(QueryTypeName.names[QueryTypeName(nil).index] == "none")
        #expect(
            [0, 3, 5, 16, 23, 11, 4095].map { ResponseCodeName.names[ResponseCodeName($0).index] }
                == ["NOERROR", "NXDOMAIN", "REFUSED", "BADVERS", "BADCOOKIE", "other", "other"])
    }

    @Test("no two counters share a place")
    func places() {
        var all: [Counter] = [
            .truncated, .udpSendErrors, .udpReceiveErrors, .tcpAccepted, .tcpClosed, .tcpLimitedInAll,
            .tcpLimitedPerClient, .tcpIdle, .tcpLifetime, .tcpMalformed, .acceptErrors, .batchedQueries,
        ]
        all += Response.Silence.allCases.map(Counter.silence)
        all += Counter.batchBounds.indices.map(Counter.batch(bucket:))
        for tcp in [false, true] {
            all += QueryTypeName.names.indices.map { .queries(tcp: tcp, QueryTypeName(index: $0)) }
            all += ResponseCodeName.names.indices.map { .responses(tcp: tcp, ResponseCodeName(index: $0)) }
        }
        #expect(Set(all).count == all.count)
        #expect(all.map(\.index).max() == Counter.count - 1)
        #expect(all.count == Counter.count)
    }

    @Test(
        "a batch is counted in the first bucket that it fits",
        arguments: [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (33, 6), (64, 6)])
    func buckets(_ size: Int, _ bucket: Int) {
        #expect(Counter.batch(size: size) == Counter.batch(bucket: bucket))
    }

    @Test("the page sums workers, keeps what former configurations counted, and escapes names")
    func page() {
        let counters = [Counters(), Counters()]
        for worker in counters {
            worker.add(.queries(tcp: false, QueryTypeName(28)), 5)
            worker.adopt(policies: ["old", "both"]).add(1)
            let current = worker.adopt(policies: ["both", "a\"b\\c\nd"])
            current.add(0)
            current.add(1)
            // No such policy.
            current.add(7)
        }
        counters[0].add(.tcpAccepted, 3)
        counters[0].add(.tcpClosed, 1)
        counters[1].add(.batch(size: 1), 2)
        counters[1].add(.batch(size: 64), 1)
        counters[1].add(.batchedQueries, 66)
        let lines = MetricsPage.text(counters).split(separator: "\n")
        for line in [
            "# HELP policydns_queries_total Queries received, by transport and query type.",
            "# TYPE policydns_queries_total counter",
            "policydns_queries_total{transport=\"udp\",type=\"AAAA\"} 10",
            "policydns_policy_answers_total{policy=\"both\"} 4",
            "policydns_policy_answers_total{policy=\"old\"} 0",
            "policydns_policy_answers_total{policy=\"a\\\"b\\\\c\\nd\"} 2",
            "policydns_tcp_connections 2",
            "policydns_udp_batch_size_bucket{le=\"1\"} 2",
            "policydns_udp_batch_size_bucket{le=\"32\"} 2",
            "policydns_udp_batch_size_bucket{le=\"64\"} 3",
            "policydns_udp_batch_size_bucket{le=\"+Inf\"} 3",
            "policydns_udp_batch_size_sum 66",
            "policydns_udp_batch_size_count 3",
        ] { #expect(lines.contains { $0 == line }, "\(line)") }
        // Every sample is of the family that was announced last, and no series is told twice.
        let series = lines.filter { !$0.hasPrefix("#") }.map { $0.prefix { $0 != " " } }
        #expect(Set(series).count == series.count)
    }

    // MARK: HTTP

    private func status(_ request: String) -> String? {
        HTTPRequest.respond(Array(request.utf8), limit: 100) { "page\n" }.map {
            String(decoding: $0.prefix { $0 != 13 }, as: UTF8.self)
        }
    }

    @Test("requests get the status that they deserve")
    func statuses() {
        #expect(status("GET /metrics HTTP/1.1\r\n\r\n") == "HTTP/1.1 200 OK")
        #expect(status("GET /metrics?x=1 HTTP/1.0\n\n") == "HTTP/1.1 200 OK")
        #expect(status("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n") == "HTTP/1.1 200 OK")
        #expect(status("GET / HTTP/1.1\r\n\r\n") == "HTTP/1.1 404 Not Found")
        #expect(status("POST /metrics HTTP/1.1\r\n\r\n") == "HTTP/1.1 405 Method Not Allowed")
        #expect(status("nonsense\r\n\r\n") == "HTTP/1.1 400 Bad Request")
        #expect(status("GET /metrics HTTP/2\r\n\r\n") == "HTTP/1.1 400 Bad Request")
        #expect(status("\r\n\r\n") == "HTTP/1.1 400 Bad Request")
        #expect(status("GET /metrics HTTP/1.1\r\nHost: x\r\n") == nil)
        #expect(status("") == nil)
        #expect(status(String(repeating: "x", count: 101)) == "HTTP/1.1 431 Request Header Fields Too Large")
        #expect(
            status("GET /metrics HTTP/1.1\r\nA: " + String(repeating: "x", count: 100) + "\r\n\r\n")
                == "HTTP/1.1 431 Request Header Fields Too Large")
    }

    @Test("a page is served whole, in pieces as it is asked for, and to HEAD without its body")
    func served() throws {
        let harness = try WorkerHarness()
        let socket = try MetricsSocket.open(Endpoint(.v4(0x7F00_0001), 0))
        let text = String(repeating: "metric 1\n", count: 100_000)
        harness.worker.metrics = MetricsResponder(socket) { text }
        try harness.worker.metrics?.start(harness.worker)

        func fetch(_ request: String) throws -> String {
            let client = try ClientSocket(.tcp, .ipv4)
            try client.connect(to: socket.address)
            for part in [request.prefix(5), request.dropFirst(5)] {
                #expect(client.write(Array(part.utf8)) == part.utf8.count)
                try harness.settle()
            }
            var received: [UInt8] = []
            var ended = false
            #expect(
                try harness.turn {
                    while case .bytes(let bytes) = client.read() { received += bytes }
                    ended = client.read() == .end
                    return ended
                })
            return String(decoding: received, as: UTF8.self)
        }
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 900000\r\n"
            + "Connection: close\r\n\r\n"
        #expect(try fetch("HEAD /metrics HTTP/1.1\r\n\r\n") == head)
        #expect(try fetch("GET /metrics HTTP/1.1\r\n\r\n") == head + text)
    }

    @Test("a client of metrics that says nothing is given up after five seconds")
    func patience() throws {
        let harness = try WorkerHarness()
        let socket = try MetricsSocket.open(Endpoint(.v4(0x7F00_0001), 0))
        harness.worker.metrics = MetricsResponder(socket) { "" }
        try harness.worker.metrics?.start(harness.worker)
        let client = try ClientSocket(.tcp, .ipv4)
        try client.connect(to: socket.address)
        try harness.settle()
        harness.clock.advance(milliseconds: 4999)
        _ = try harness.worker.turn(waiting: 0)
        #expect(client.read() == .nothing)
        harness.clock.advance(milliseconds: 1)
        _ = try harness.worker.turn(waiting: 0)
        #expect(client.read() == .end)
    }
}
