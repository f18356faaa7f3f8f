import Addressing
import Glibc

extension World {
    /// Sends the datagrams of a flood; nothing is read meanwhile.
    func send(_ flood: Flood) throws -> Observation {
        let client = try namespace(flood.from).enter { try Descriptor.socket(flood.to.address.family, .udp) }
        // Without it the kernel refuses to send to a broadcast address (EACCES).
        try client.set(SOL_SOCKET, SO_BROADCAST)
        let bytes = Message.flood(name: flood.name).bytes(size: flood.bytes)
        for _ in 0..<flood.datagrams {
            try Task.checkCancellation()
            try client.send(bytes, to: flood.to)
        }
        return Observation(.succeeded)
    }

    /// Reads what a UDP socket has in its queue, and says how many datagrams of each flood it has received since
    /// the last drain.
    func drain(_ name: String) throws -> [String: Int] {
        let server = try server(name)
        guard server.transport == .udp else { throw ExecutorError.unsuitable("\(name) is not a UDP socket") }
        loop.read(server)
        defer { server.flooded = [:] }
        return server.flooded
    }

    /// Every datagram that came to a UDP socket since it was opened: read, or dropped for want of room.
    func arrivals(_ name: String) throws -> Int {
        let server = try server(name)
        guard server.transport == .udp else { throw ExecutorError.unsuitable("\(name) is not a UDP socket") }
        loop.read(server)
        return server.datagrams + (try server.descriptor.drops())
    }
}
