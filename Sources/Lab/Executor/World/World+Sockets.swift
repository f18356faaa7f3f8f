import Addressing
import Glibc

extension World {
    func open(_ description: SocketDescription) throws {
        try unused(servers[description.name] != nil, "socket", description.name)
        try add(description.name, namespace(description.namespace).enter { try Server.open(description) })
    }

    /// Opens a socket on each address of a prefix, and tells what that took.
    func open(_ range: SocketRange) throws -> Observation {
        let before = KernelMemory.now()
        let start = ContinuousClock.now
        var opened: [(String, Server)] = []
        try namespace(range.namespace).enter {
            var offset: UInt128 = 0
            while let address = range.prefix.address(at: range.copies == nil ? offset : 0),
                offset < range.copies ?? .max
            {
                let name = range.copies == nil ? memberName(range.name, address) : "\(range.name)[\(offset + 1)]"
                try unused(servers[name] != nil, "socket", name)
                let description = SocketDescription(
                    name, in: range.namespace, range.protocol, bind: Endpoint(address, range.port),
                    options: range.options, receiveBuffer: range.receiveBuffer)
                opened.append((name, try Server.open(description)))
                offset += 1
            }
        }
        let elapsed = ContinuousClock.now - start
        for (name, server) in opened { try add(name, server) }
        let after = KernelMemory.now()
        guard range.measured else { return Observation(.succeeded) }
        return Observation(
            .succeeded,
            measurements: [
                Measurement("sockets", Double(opened.count), ""),
                Measurement("time to open", elapsed / .milliseconds(1), "ms"),
                Measurement("kernel memory", Double(after.slab - before.slab), "kB"),
            ])
    }

    private func add(_ name: String, _ server: Server) throws {
        servers[name] = server
        try loop.add(server)
    }

    /// Closes a socket, a range of sockets, or a connection.
    func close(_ name: String) throws {
        let members = servers.keys.filter { $0 == name || $0.hasPrefix("\(name)[") }
        guard !members.isEmpty || connections[name] != nil else {
            throw ExecutorError.unknown(kind: "socket or connection", name: name)
        }
        for member in members {
            if let server = servers.removeValue(forKey: member) { loop.remove(server.descriptor) }
        }
        if let connection = connections.removeValue(forKey: name) { loop.remove(connection.descriptor) }
    }

    /// `web[192.0.2.7]`: one of the sockets of a range.
    func memberName(_ range: String, _ address: IPAddress) -> String { "\(range)[\(address)]" }
}

/// What the kernel's slab allocator holds, from /proc/meminfo.
struct KernelMemory {
    /// In kB.
    var slab: Int

    /// 0 where /proc/meminfo cannot be read: the figure is reported, not judged.
    static func now() -> KernelMemory {
        guard let file = fopen("/proc/meminfo", "re") else { return KernelMemory(slab: 0) }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 256)
        while fgets(&buffer, Int32(buffer.count), file) != nil {
            let line = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if line.hasPrefix("Slab:"), let value = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) {
                return KernelMemory(slab: value)
            }
        }
        return KernelMemory(slab: 0)
    }
}
