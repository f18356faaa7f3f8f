import Addressing
import CLinux
import Glibc

extension World {
    /// A call on a server's socket, or on one end of a connection.
    func perform(_ call: SocketCall) throws {
        guard let end = call.end else { return try perform(call, on: server(call.socket)) }
        // What has arrived is read first, so that a close() does not reset the connection for it.
        try loop.serveWhatIsReady()
        let descriptor = try descriptor(of: call.socket, end)
        switch call.call {
        case .close: loop.remove(descriptor)
        case .vanish:
            try descriptor.set(Int32(IPPROTO_TCP), TCP_REPAIR)
            loop.remove(descriptor)
        case .shutdownRead, .shutdownWrite, .disconnect: try descriptor.perform(call)
        case .bind, .connect, .listen, .pause, .resume: throw ExecutorError.unsuitable("\(call.summary): no such call")
        }
        try loop.serveWhatIsReady()
    }

    private func perform(_ call: SocketCall, on server: Server) throws {
        switch call.call {
        case .pause:
            server.paused = true
            server.alarm = try WakeUp(of: server.descriptor)
        case .resume: server.paused = false
        case .close: return try close(call.socket)
        case .vanish: throw ExecutorError.unsuitable("\(call.summary): say which end of a connection vanishes")
        case .bind, .connect, .listen, .disconnect, .shutdownRead, .shutdownWrite:
            try server.descriptor.perform(call)
        }
        if server.transport == .tcp { server.listening = try server.descriptor.isListening() }
        loop.remove(server.descriptor)
        try loop.add(server)
    }

    /// The socket at one end of a connection.
    func descriptor(of connection: String, _ end: End) throws -> Descriptor {
        let client = try self.connection(connection)
        switch end {
        case .client: return client.descriptor
        case .server:
            guard let accepted = loop.accepted(for: client) else {
                throw ExecutorError.unsuitable("no server's end of connection \(connection) is open")
            }
            return accepted.descriptor
        }
    }

    /// What both ends of a connection say of themselves.
    func endpoints(of name: String) throws -> [String: String] {
        try loop.serveWhatIsReady()
        let client = try connection(name)
        let text = { (endpoint: Endpoint?) in endpoint.map { "\($0)" } ?? "none" }
        var facts = [
            "client-local": text(client.descriptor.localEndpoint), "client-peer": text(client.descriptor.peerEndpoint),
        ]
        if let accepted = loop.accepted(for: client) {
            facts["listener"] = accepted.listener
            facts["server-local"] = text(accepted.descriptor.localEndpoint)
            facts["server-peer"] = text(accepted.peer)
            facts["data-in-syn"] = try accepted.descriptor.transmission().dataInSyn ? "yes" : "no"
        }
        return facts
    }

    /// Which of the fixture's sockets the kernel finds.
    func look(for query: SocketQuery) throws -> [String: String] {
        let cookie = try namespace(query.namespace).enter {
            try Descriptor.find(query.protocol, local: query.local, remote: query.remote)
        }
        return ["socket": try name(ofCookie: cookie)]
    }

    /// A socket's name by its cookie.
    func name(ofCookie cookie: UInt64) throws -> String {
        for (name, server) in servers where try server.descriptor.cookie() == cookie { return name }
        for (name, client) in connections {
            if try client.descriptor.cookie() == cookie { return "\(name) (client's end)" }
            if let accepted = loop.accepted(for: client), try accepted.descriptor.cookie() == cookie {
                return "\(name) (server's end)"
            }
        }
        return "a socket unknown to the fixture"
    }

    /// Counts a namespace's sockets once there are as few as the step waits for, or at the deadline.
    func count(_ count: SocketCount) async throws -> Int {
        let namespace = try namespace(count.namespace)
        // A grace period of RCU takes some tens of milliseconds; a leaked socket is never freed.
        let deadline = ContinuousClock.now + .seconds(5)
        while true {
            // A connection that its client has reset is closed here when that is noticed.
            try loop.serveWhatIsReady()
            let statistics = try namespace.read("/proc/thread-self/net/sockstat")
            let line = statistics.split(separator: "\n").first { $0.hasPrefix("sockets: used ") }
            guard let used = line?.split(separator: " ").last.flatMap({ Int($0) }) else {
                throw ExecutorError.unsuitable("/proc/net/sockstat does not say how many sockets are used")
            }
            if used <= count.until || ContinuousClock.now > deadline { return used }
            // Nothing announces that a socket is freed, so this asks again.
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}

extension Descriptor {
    /// One of the calls that need no more than the socket.
    fileprivate func perform(_ call: SocketCall) throws {
        func endpoint() throws -> Endpoint {
            guard let endpoint = call.endpoint else {
                throw ExecutorError.unsuitable("\(call.call.rawValue) needs an endpoint")
            }
            return endpoint
        }
        switch call.call {
        case .bind: try bind(to: endpoint())
        case .connect: try connect(to: endpoint())
        case .listen: try listen(backlog: call.backlog)
        case .disconnect: try KernelRefusal.check("connect", clinux_disconnect(raw))
        case .shutdownRead: try shut(SHUT_RD)
        case .shutdownWrite: try shut(SHUT_WR)
        case .close, .vanish, .pause, .resume: break
        }
    }

    private func shut(_ how: Int) throws(KernelRefusal) {
        guard shutdown(raw, Int32(how)) == 0 else { throw KernelRefusal("shutdown") }
    }

    fileprivate func isListening() throws(KernelRefusal) -> Bool {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(raw, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 else { throw KernelRefusal("getsockopt") }
        return value != 0
    }

    /// Takes packets of one device only (SO_BINDTODEVICE).
    func restrict(to device: String) throws(KernelRefusal) {
        guard setsockopt(raw, SOL_SOCKET, SO_BINDTODEVICE, device, socklen_t(device.utf8.count)) == 0 else {
            throw KernelRefusal("setsockopt")
        }
    }

    func join(_ group: IPAddress, on device: String) throws(KernelRefusal) {
        var address = Endpoint(group, 0).storage
        try KernelRefusal.check("setsockopt", clinux_join(raw, &address, device))
    }

    /// Sends `bytes` to an endpoint that the socket is not connected to yet, in the SYN if it may (RFC 7413).
    ///
    /// - Returns: whether they are sent; if not, the connection is in progress without them.
    func sendOpening(_ bytes: [UInt8], to endpoint: Endpoint) throws(KernelRefusal) -> Bool {
        let flags = 0x2000_0000 | Int32(MSG_NOSIGNAL)  // MSG_FASTOPEN, which Glibc's module lacks
        let sent = endpoint.withSocketAddress { sendto(raw, bytes, bytes.count, flags, $0, $1) }
        if sent == bytes.count { return true }
        guard errno == EINPROGRESS else { throw KernelRefusal("sendto") }
        return false
    }

    /// What TCP_INFO says: whether data that came with the SYN was taken, and the path's MTU.
    func transmission() throws(KernelRefusal) -> (dataInSyn: Bool, pathMTU: Int) {
        var options: UInt32 = 0
        var mtu: UInt32 = 0
        try KernelRefusal.check("getsockopt", clinux_tcp_info(raw, &options, &mtu))
        return (options & 0x20 != 0, Int(mtu))  // TCPI_OPT_SYN_DATA
    }

    static func find(
        _ transport: TransportProtocol, local: Endpoint, remote: Endpoint
    ) throws(KernelRefusal) -> UInt64 {
        var cookie: UInt64 = 0
        var (near, far) = (local.storage, remote.storage)
        let number = Int32(transport == .tcp ? IPPROTO_TCP : IPPROTO_UDP)
        try KernelRefusal.check("sock_diag", clinux_find_socket(number, &near, &far, &cookie))
        return cookie
    }
}

extension Endpoint {
    /// The endpoint as a sockaddr_in or sockaddr_in6.
    var storage: sockaddr_storage {
        withSocketAddress { address, size in
            var storage = sockaddr_storage()
            withUnsafeMutableBytes(of: &storage) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(size)))
            }
            return storage
        }
    }
}
