import Addressing
import Glibc

extension World {
    func ask(_ probe: Probe) throws -> Event {
        loop.forgetArrivals()
        let client: Client
        do {
            client = try open(
                probe.protocol, from: probe.from, to: probe.to, source: probe.source,
                options: ClientOptions(lite: probe.lite ?? false))
        } catch let refusal as KernelRefusal {
            return self.event(ofFailure: refusal.call, refusal.errno)
        }
        defer { close(client) }
        guard let fence = probe.fence else { return try wait(for: client) }
        let guardian = try open(probe.protocol, from: probe.from, to: fence, source: nil)
        defer { close(guardian) }
        let done = try loop.serve(until: deadline) { guardian.isDecided || client.isDecided }
        guard done else { return .timedOut(received: loop.received(butFor: guardian)) }
        guard !client.isDecided else { return event(of: client, fence: guardian) }
        // Without the fence's answer nothing is known of the probe.
        guard case .answered = guardian.state else { return .timedOut(received: loop.received(butFor: guardian)) }
        return .silent(received: loop.received(butFor: guardian))
    }

    func connect(_ connection: Connection) throws -> Event {
        try unused(connections[connection.name] != nil, "connection", connection.name)
        loop.forgetArrivals()
        do {
            let client = try open(
                connection.protocol, from: connection.from, to: connection.to, source: connection.source,
                options: ClientOptions(
                    connected: connection.connected ?? false, fastOpen: connection.fastOpen ?? false,
                    asks: connection.question ?? true))
            connections[connection.name] = client
            return try wait(for: client)
        } catch let refusal as KernelRefusal {
            return self.event(ofFailure: refusal.call, refusal.errno)
        }
    }

    func exchange(_ name: String) throws -> Event {
        let client = try connection(name)
        loop.forgetArrivals()
        client.nonce = loop.nonce()
        do {
            try client.ask()
        } catch {
            return event(ofFailure: error.call, error.errno)
        }
        return try wait(for: client)
    }

    func ask(_ sweep: Sweep) throws -> [AnswerSpan] {
        try spans(over: sweep.addresses, sweep.ports, stride: sweep.stride) { endpoint in
            let probe = Probe(from: sweep.from, sweep.protocol, to: endpoint)
            switch try ask(probe) {
            case .answered(let name, let source, let received)
            where received == [name] && source.address == endpoint.address:
                return name == memberName(String(name.prefix { $0 != "[" }), endpoint.address)
                    ? "\(name.prefix { $0 != "[" })[=]" : name
            case .refused(let received) where received.isEmpty: return "refused"
            case .failed(_, let errno): return errno.name
            case .timedOut(let received) where received.isEmpty: return World.noAnswer
            case let other: return other.description
            }
        }
    }

    private static let noAnswer = "no answer"

    /// Asks every endpoint up to the first that does not answer in time, and joins neighbours with the same answer.
    ///
    /// One that is silent for the whole deadline deviates from any expectation; to wait for thousands would say no more.
    func spans(
        over addresses: Prefix, _ ports: PortRange, stride: Int, _ answer: (Endpoint) throws -> String
    ) throws -> [AnswerSpan] {
        guard stride > 0, addresses.family.width - addresses.length <= 24 else {
            throw ExecutorError.unsuitable("a sweep has a stride of at least 1 and at most 2^24 addresses")
        }
        let total = (1 << (addresses.family.width - addresses.length)) * ports.count
        var spans: [AnswerSpan] = []
        var index = 0
        var reported = ContinuousClock.now
        while index < total {
            try Task.checkCancellation()
            if ContinuousClock.now - reported > .seconds(5) {
                reportWork()
                reported = .now
            }
            guard let address = addresses.address(at: UInt128(index / ports.count)) else { break }
            let endpoint = Endpoint(address, ports.first + UInt16(index % ports.count))
            let text = try answer(endpoint)
            if let last = spans.indices.last, spans[last].answer == text {
                spans[last].last = endpoint
            } else {
                spans.append(AnswerSpan(endpoint, through: endpoint, text))
            }
            if text == World.noAnswer { break }
            index = index == total - 1 ? total : min(index + stride, total - 1)
        }
        return spans
    }

    private func open(
        _ transport: TransportProtocol, from name: String, to endpoint: Endpoint, source: Endpoint?,
        options: ClientOptions = ClientOptions()
    ) throws -> Client {
        let nonce = loop.nonce()
        let client = try namespace(name).enter {
            try Client(transport, to: endpoint, source: source, nonce: nonce, options: options)
        }
        try loop.add(client)
        return client
    }

    private func close(_ client: Client) {
        loop.remove(client.descriptor)
        if client.transport == .tcp { client.descriptor.resetOnClose() }
    }

    private func wait(for client: Client) throws -> Event {
        guard try loop.serve(until: deadline, { client.isDecided }) else { return .timedOut(received: loop.received()) }
        return event(of: client)
    }

    private func event(of client: Client, fence: Client? = nil) -> Event {
        let received = loop.received(butFor: fence)
        return switch client.state {
        case .answered(let name, let source): .answered(by: name, from: source, received: received)
        case .failed(_, .connectionRefused): .refused(received: received)
        case .failed(let call, let errno): .failed(call: call, errno: errno)
        case .connected: .succeeded
        case .connecting, .waiting: .timedOut(received: received)
        }
    }

    private func event(ofFailure call: String, _ errno: ErrorNumber) -> Event {
        errno == .connectionRefused ? .refused(received: loop.received()) : .failed(call: call, errno: errno)
    }
}

extension Client {
    fileprivate var isDecided: Bool {
        switch state {
        case .connecting, .waiting: false
        case .connected, .answered, .failed: true
        }
    }
}
