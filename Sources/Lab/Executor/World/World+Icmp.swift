import Addressing
import CLinux
import Glibc

extension World {
    /// Sends an ICMP error, and tells which of the fixture's sockets learn of it, and what.
    func inject(_ error: IcmpError) throws -> [String: String] {
        let namespace = try namespace(error.namespace)
        let sender = try error.end.map { try descriptor(of: error.about, $0) } ?? server(error.about).descriptor
        guard let local = sender.localEndpoint, let remote = error.to ?? sender.peerEndpoint else {
            throw ExecutorError.unsuitable("\(error.about) is not connected: say whom the packet went to")
        }
        let isTCP = try error.end != nil && connection(error.about).transport == .tcp
        let packet = try IcmpPacket(error, from: local, to: remote, sequence: isTCP ? sender.nextSequence() : nil)
        // Every socket is to say that it got the error, whether it is connected or not.
        let sockets = try listeningForErrors()
        defer { for (_, descriptor, wanted) in sockets where !wanted { descriptor.ignoreErrors() } }
        try namespace.enter {
            try packet.send(to: local.address)
            try KernelRefusal.check("echo", clinux_echo(local.address.family == .ipv4 ? AF_INET : AF_INET6))
        }
        var noticed: [String] = []
        var told: Set<String> = []
        for (name, descriptor, _) in sockets {
            guard let errno = descriptor.takeErrors() else { continue }
            noticed.append(name)
            told.insert(errno.name)
        }
        var facts = ["noticed-by": noticed.isEmpty ? "nobody" : noticed.sorted().joined(separator: ", ")]
        facts["error"] = told.isEmpty ? "none" : told.sorted().joined(separator: ", ")
        if isTCP { facts["path-mtu"] = "\(try sender.transmission().pathMTU)" }
        return facts
    }

    /// Every open socket with its name, asking for ICMP errors now, and whether it did before.
    private func listeningForErrors() throws -> [(name: String, descriptor: Descriptor, wanted: Bool)] {
        var sockets = servers.map { ($0.key, $0.value.descriptor) }
        for (name, client) in connections {
            sockets.append(("\(name) (client's end)", client.descriptor))
            if let accepted = loop.accepted(for: client) {
                sockets.append(("\(name) (server's end)", accepted.descriptor))
            }
        }
        return try sockets.map { name, descriptor in
            let wanted = try descriptor.listensForErrors()
            if !wanted { try KernelRefusal.check("setsockopt", clinux_enable_error_queue(descriptor.raw)) }
            return (name, descriptor, wanted)
        }
    }
}

/// An ICMP error with the packet it is about, as a raw socket takes it.
private struct IcmpPacket {
    let family: AddressFamily
    let bytes: [UInt8]

    init(_ error: IcmpError, from local: Endpoint, to remote: Endpoint, sequence: UInt32?) throws {
        family = local.address.family
        guard remote.address.family == family else {
            throw ExecutorError.unsuitable("a packet has addresses of one family, not \(local) and \(remote)")
        }
        let mtu = UInt32(error.mtu ?? 1280)
        let message: [UInt8] =
            switch (error.error, family) {
            case (.portUnreachable, .ipv4): [3, 3, 0, 0, 0, 0, 0, 0]
            case (.portUnreachable, .ipv6): [1, 4, 0, 0, 0, 0, 0, 0]
            case (.tooBig, .ipv4): [3, 4, 0, 0, 0, 0] + UInt16(truncatingIfNeeded: mtu).bytes
            case (.tooBig, .ipv6): [2, 0, 0, 0] + mtu.bytes
            }
        let number = UInt8(sequence == nil ? IPPROTO_UDP : IPPROTO_TCP)
        var transport = local.port.bytes + remote.port.bytes
        // A TCP header whose sequence number is within what was sent; a UDP header with a length and no checksum.
        transport += sequence.map { $0.bytes + [0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0] } ?? [0, 8, 0, 0]
        var header: [UInt8]
        switch family {
        case .ipv4:
            header = [0x45, 0] + UInt16(20 + transport.count).bytes + [0, 0, 0x40, 0, 64, number, 0, 0]
            header += local.address.octets + remote.address.octets
            header.replaceSubrange(10..<12, with: checksum(header).bytes)
        case .ipv6:
            header = [0x60, 0, 0, 0] + UInt16(transport.count).bytes + [number, 64]
            header += local.address.octets + remote.address.octets
        }
        var bytes = message + header + transport
        // The kernel fills in ICMPv6's.
        if family == .ipv4 { bytes.replaceSubrange(2..<4, with: checksum(bytes).bytes) }
        self.bytes = bytes
    }

    /// Sends it in the calling thread's namespace.
    func send(to address: IPAddress) throws(KernelRefusal) {
        let number = Int32(family == .ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)
        let raw = socket(family == .ipv4 ? AF_INET : AF_INET6, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), number)
        guard raw >= 0 else { throw KernelRefusal("socket") }
        try Descriptor(raw).send(bytes, to: Endpoint(address, 0))
    }
}

/// The Internet checksum (RFC 1071).
private func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for index in stride(from: 0, to: bytes.count, by: 2) {
        sum += UInt32(bytes[index]) << 8 | UInt32(index + 1 < bytes.count ? bytes[index + 1] : 0)
    }
    while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
    return ~UInt16(sum)
}

extension FixedWidthInteger {
    /// In network order.
    fileprivate var bytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}

extension IPAddress {
    fileprivate var octets: [UInt8] {
        switch self {
        case .v4(let bits): bits.bytes
        case .v6(let bits): bits.bytes
        }
    }
}

extension Descriptor {
    fileprivate func nextSequence() throws(KernelRefusal) -> UInt32 {
        var sequence: UInt32 = 0
        try KernelRefusal.check("setsockopt", clinux_tcp_sequence(raw, &sequence))
        return sequence
    }

    /// Whether ICMP errors are queued for the socket (IP_RECVERR).
    fileprivate func listensForErrors() throws(KernelRefusal) -> Bool {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(raw, Int32(IPPROTO_IP), IP_RECVERR, &value, &size) == 0 else {
            throw KernelRefusal("getsockopt")
        }
        return value != 0
    }

    /// Takes the pending error and empties the queue of errors.
    fileprivate func takeErrors() -> ErrorNumber? {
        let pending = takeError()
        var queued = false
        var buffer = [UInt8](repeating: 0, count: 256)
        while recv(raw, &buffer, buffer.count, Int32(MSG_ERRQUEUE | MSG_DONTWAIT)) >= 0 { queued = true }
        return pending ?? (queued ? takeError() : nil)
    }

    fileprivate func ignoreErrors() {
        var off: Int32 = 0
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(raw, Int32(IPPROTO_IP), IP_RECVERR, &off, size)
        // Fails on an IPv4 socket, which has no such option.
        setsockopt(raw, Int32(IPPROTO_IPV6), IPV6_RECVERR, &off, size)
    }
}
