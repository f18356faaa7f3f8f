/// The counters of a server as Prometheus reads them (text exposition format 0.0.4).
enum MetricsPage {
    static func text(_ counters: [Counters]) -> String {
        func sum(_ counter: Counter) -> UInt64 { counters.reduce(0) { $0 + $1.value(counter) } }
        var page = MetricsText()

        page.counter("policydns_queries_total", "Queries received, by transport and query type.")
        for (tcp, transport) in [(false, "udp"), (true, "tcp")] {
            for (index, name) in QueryTypeName.names.enumerated() {
                let value = sum(.queries(tcp: tcp, QueryTypeName(index: index)))
                if value > 0 { page.sample([("transport", transport), ("type", name)], value) }
            }
        }
        page.counter("policydns_responses_total", "Answers made, by transport and response code.")
        for (tcp, transport) in [(false, "udp"), (true, "tcp")] {
            for (index, name) in ResponseCodeName.names.enumerated() {
                let value = sum(.responses(tcp: tcp, ResponseCodeName(index: index)))
                if value > 0 { page.sample([("transport", transport), ("rcode", name)], value) }
            }
        }
        page.counter("policydns_policy_answers_total", "Answers by the policy that gave them.")
        let answers = counters.reduce(into: [String: UInt64]()) { $0.merge($1.policyAnswers, uniquingKeysWith: +) }
        for (policy, value) in answers.sorted(by: { $0.key < $1.key }) { page.sample([("policy", policy)], value) }
        page.counter("policydns_silences_total", "Queries that got no answer, by reason.")
        for reason in Response.Silence.allCases { page.sample([("reason", reason.rawValue)], sum(.silence(reason))) }
        page.counter("policydns_truncated_total", "Answers that were truncated.")
        page.sample([], sum(.truncated))
        page.counter("policydns_udp_send_errors_total", "Answers over UDP that the kernel did not take.")
        page.sample([], sum(.udpSendErrors))
        page.counter("policydns_udp_receive_errors_total", "Errors met with in place of a datagram.")
        page.sample([], sum(.udpReceiveErrors))

        page.histogram("policydns_udp_batch_size", "Queries received by one system call.")
        var cumulated: UInt64 = 0
        for (bucket, bound) in Counter.batchBounds.enumerated() {
            cumulated += sum(.batch(bucket: bucket))
            page.sample([("le", "\(bound)")], cumulated, suffix: "_bucket")
        }
        page.sample([("le", "+Inf")], cumulated, suffix: "_bucket")
        page.sample([], sum(.batchedQueries), suffix: "_sum")
        page.sample([], cumulated, suffix: "_count")

        // Closed is read before accepted, so that the difference is never negative.
        let closed = sum(.tcpClosed)
        let accepted = sum(.tcpAccepted)
        page.gauge("policydns_tcp_connections", "TCP connections that are open.")
        page.sample([], accepted - min(closed, accepted))
        page.counter("policydns_tcp_accepted_total", "TCP connections accepted.")
        page.sample([], accepted)
        page.counter("policydns_tcp_ended_total", "TCP connections that the server ended, by reason.")
        for (reason, counter) in [
            ("idle", Counter.tcpIdle), ("lifetime", .tcpLifetime), ("malformed", .tcpMalformed),
            ("limit", .tcpLimitedInAll), ("client-limit", .tcpLimitedPerClient),
        ] { page.sample([("reason", reason)], sum(counter)) }
        page.counter("policydns_accept_errors_total", "Times that connections could not be accepted.")
        page.sample([], sum(.acceptErrors))
        return page.text
    }
}

/// Writes metrics one family after the other.
package struct MetricsText {
    package private(set) var text = ""
    private var name = ""

    package init() {}

    package mutating func counter(_ name: String, _ help: String) { family(name, help, "counter") }
    package mutating func gauge(_ name: String, _ help: String) { family(name, help, "gauge") }
    mutating func histogram(_ name: String, _ help: String) { family(name, help, "histogram") }

    private mutating func family(_ name: String, _ help: String, _ type: String) {
        self.name = name
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    /// A sample of the family that was begun last.
    package mutating func sample(_ labels: [(name: String, value: String)], _ value: UInt64, suffix: String = "") {
        let pairs = labels.map { "\($0.name)=\"\(MetricsText.escaped($0.value))\"" }.joined(separator: ",")
        text += name + suffix + (pairs.isEmpty ? "" : "{\(pairs)}") + " \(value)\n"
    }

    static func escaped(_ value: String) -> String {
        var escaped = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }
}
