import Addressing
import CLinux
import Glibc

/// Buffers that all connections of a worker use, one at a time.
final class StreamBuffers {
    /// Bytes of one read, and of answers that are written together: they bound what a connection keeps.
    static let read = 16384
    static let written = 16384
    private static let message = 2 + 65535

    // Owned, of fixed size, and never handed out beyond a call.
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: message + read, alignment: 16)
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: written + message, alignment: 16)

    deinit {
        input.deallocate()
        output.deallocate()
    }
}

extension Worker {
    /// How long a connection must have been without a query before it is closed for a drain, in nanoseconds: a query
    /// that is on its way would be lost.
    private static let quiet: UInt64 = 100_000_000

    // MARK: accepting

    /// Connections that are accepted before others have their turn: a client that opens them without end must not keep
    /// the worker from answering.
    static let acceptsPerTurn = 64
    /// More than wait on any listener (net.core.somaxconn is 4096 unless raised).
    static let longestQueue = 65536

    /// Accepts the connections that wait on a listener, up to a number; epoll tells of the others again.
    func acceptConnections(on socket: ServerSocket, atMost limit: Int) throws(ServerError) {
        guard acceptsAgain == nil else { return }
        for _ in 0..<limit {
            var peer = sockaddr_storage()
            let descriptor = acceptConnection(socket.descriptor, &peer)
            switch -descriptor {
            case ...0: try accept(descriptor, peer, on: socket)
            case EAGAIN: return
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                // The connection stays in the queue, and epoll would report it again at once. A connection of ours that
                // ends makes room; somebody else's may too.
                counters.add(.acceptErrors)
                tell(.acceptFailed(socket.address, errno: -descriptor))
                pauseAccepting()
                return
            case EBADF, ENOTSOCK, EINVAL, EOPNOTSUPP:
                throw .call("accept4", errno: -descriptor, doing: "accepting on \(socket.address)")
            default:
                // EINTR, ECONNABORTED, and network errors that Linux passes on from the new connection (accept(2)).
                continue
            }
        }
    }

    private func accept(
        _ descriptor: Int32, _ peer: sockaddr_storage, on socket: ServerSocket
    ) throws(ServerError) {
        guard let source = Endpoint(peer) else {
            close(descriptor)
            return
        }
        counters.add(.tcpAccepted)
        let connection = Connection(descriptor: descriptor, source: source, label: socket.label, now: now)
        guard connections.count(of: .init(source.address)) < limits.tcpConnectionsPerClient else {
            counters.add(.tcpLimitedPerClient)
            counters.add(.tcpClosed)
            return
        }
        while connections.count >= max(1, limits.tcpConnections), let longestIdle = connections.longestIdle {
            counters.add(.tcpLimitedInAll)
            end(longestIdle)
        }
        connections.insert(connection)
        expect(by: deadline(of: connection))
        do {
            try watch(
                descriptor, CLINUX_READABLE,
                as: .connection(slot: connection.slot, generation: connection.generation))
        } catch {
            end(connection)
            throw error
        }
    }

    // MARK: serving

    /// Reads, answers and writes what can be read, answered and written now.
    func serve(_ connection: Connection) throws(ServerError) {
        guard write(connection, upTo: 0) else { return end(connection) }
        // While the client does not take its answers, nothing is read: its own queue fills, and it stops.
        if connection.unsent.isEmpty {
            var filled = connection.unread.count
            connection.unread.withUnsafeBytes { streams.input.copyMemory(from: $0) }
            // Messages that were kept come before more are read.
            if !connection.hasMessage, !connection.ended {
                let space = UnsafeMutableRawBufferPointer(rebasing: streams.input[filled...].prefix(StreamBuffers.read))
                let count = recv(connection.descriptor, space.baseAddress, space.count, Int32(MSG_DONTWAIT))
                if count < 0, errno != EAGAIN, errno != EINTR { return end(connection) }
                connection.ended = count == 0
                filled += max(0, count)
            }
            guard answer(connection, UnsafeRawBufferPointer(rebasing: streams.input[..<filled])) else {
                return end(connection)
            }
        }
        if isFinished(connection) { return end(connection) }
        // In a drain a query puts off the end that is due soonest; else it only makes deadlines later.
        if drainDeadline != nil { expect(by: deadline(of: connection)) }
        try watchAgain(connection)
    }

    /// Answers the whole messages in `bytes`, and keeps the rest.
    ///
    /// - Returns: false if the connection cannot go on.
    private func answer(_ connection: Connection, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let arrival = Arrival(
            source: connection.source, label: service.index(ofLabel: connection.label), transport: .tcp,
            unixTime: unixNow, monotonicTime: now)
        var offset = 0
        var used = 0
        var sound = true
        while bytes.count - offset >= 2, connection.unsent.isEmpty {
            let length = Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
            // Shorter than a header: this is not DNS, or no longer.
            guard length >= 12 else {
                counters.add(.tcpMalformed)
                sound = false
                break
            }
            guard bytes.count - offset - 2 >= length else { break }
            let response = responder.respond(
                to: UnsafeRawBufferPointer(rebasing: bytes[(offset + 2)..<(offset + 2 + length)]), arrival,
                into: UnsafeMutableRawBufferPointer(rebasing: streams.output[(used + 2)...].prefix(65535)))
            counters.count(response, policyCounters, tcp: true)
            offset += 2 + length
            if response.length > 0 {
                streams.output[used] = UInt8(truncatingIfNeeded: response.length >> 8)
                streams.output[used + 1] = UInt8(truncatingIfNeeded: response.length)
                used += 2 + response.length
            }
            connection.lastQuery = now
            if used >= StreamBuffers.written {
                guard write(connection, upTo: used) else { return false }
                used = 0
            }
        }
        if offset > 0 { connections.touch(connection) }
        connection.unread = offset == bytes.count ? [] : Array(bytes[offset...])
        guard used == 0 || write(connection, upTo: used) else { return false }
        return sound
    }

    /// Writes what waits for the client, and then the first `count` bytes of the output buffer; keeps what it does not
    /// take.
    ///
    /// - Returns: false if the client is gone.
    private func write(_ connection: Connection, upTo count: Int) -> Bool {
        func send(_ bytes: UnsafeRawBufferPointer) -> Int? {
            guard !bytes.isEmpty else { return 0 }
            let sent = Glibc.send(
                connection.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            if sent >= 0 { return sent }
            return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : nil
        }
        if !connection.unsent.isEmpty {
            guard let sent = connection.unsent.withUnsafeBytes(send) else { return false }
            connection.unsent.removeFirst(sent)
            if connection.unsent.isEmpty { connection.unsent = [] }
        }
        guard count > 0 else { return true }
        let bytes = UnsafeRawBufferPointer(rebasing: streams.output[..<count])
        guard connection.unsent.isEmpty else {
            connection.unsent += bytes
            return true
        }
        guard let sent = send(bytes) else { return false }
        if sent < count { connection.unsent = Array(bytes[sent...]) }
        return true
    }

    /// Watches for what a connection waits for: room while answers wait, else queries.
    private func watchAgain(_ connection: Connection) throws(ServerError) {
        var flags = connection.unsent.isEmpty ? CLINUX_READABLE : CLINUX_WRITABLE
        // A whole message waits for its turn, and no packet will tell: a socket with room is always ready.
        if connection.unsent.isEmpty, connection.hasMessage { flags = CLINUX_WRITABLE }
        guard flags != connection.watched else { return }
        let source = EventSource.connection(slot: connection.slot, generation: connection.generation)
        let result = clinux_epoll_modify(epoll, connection.descriptor, flags, source.rawValue)
        guard result == 0 else { throw .call("epoll_ctl", errno: -result, doing: "watching a connection") }
        connection.watched = flags
    }

    // MARK: ending

    private func isFinished(_ connection: Connection) -> Bool {
        guard connection.unsent.isEmpty, !connection.hasMessage else { return false }
        if connection.ended { return true }
        return drainDeadline != nil && connection.unread.isEmpty && now >= connection.lastQuery + Worker.quiet
    }

    /// When a connection is to be looked at again, if nothing happens before.
    private func deadline(of connection: Connection) -> UInt64 {
        let idle = connection.lastQuery.later(byMilliseconds: limits.tcpIdleTimeout)
        let lifetime = connection.accepted.later(byMilliseconds: limits.tcpLifetime)
        guard let drainDeadline else { return min(idle, lifetime) }
        let quiet = connection.lastQuery + Worker.quiet
        return min(idle, lifetime, drainDeadline, quiet > now ? quiet : .max)
    }

    /// Closes the connections whose time is over.
    func expireConnections() {
        for connection in connections.all {
            if now >= connection.accepted.later(byMilliseconds: limits.tcpLifetime) {
                counters.add(.tcpLifetime)
                end(connection)
            } else if now >= connection.lastQuery.later(byMilliseconds: limits.tcpIdleTimeout) {
                counters.add(.tcpIdle)
                end(connection)
            } else if isFinished(connection) || drainDeadline.map({ now >= $0 }) ?? false {
                end(connection)
            } else {
                expect(by: deadline(of: connection))
            }
        }
    }

    private func end(_ connection: Connection) {
        counters.add(.tcpClosed)
        connections.remove(connection)
        // There is a descriptor to accept with now; a worker that is not draining has listeners to resume.
        if acceptsAgain != nil {
            acceptsAgain = now
            expect(by: now)
        }
    }
}

extension UInt64 {
    /// The monotonic time so many milliseconds after this one; the last there is, centuries ahead, if that is later.
    func later(byMilliseconds milliseconds: Int) -> UInt64 {
        let (nanoseconds, isTooMany) = UInt64(Swift.max(0, milliseconds)).multipliedReportingOverflow(by: 1_000_000)
        let (time, isTooLate) = addingReportingOverflow(nanoseconds)
        return isTooMany || isTooLate ? .max : time
    }
}
