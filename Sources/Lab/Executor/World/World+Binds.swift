import Addressing
import CLinux
import Glibc

extension World {
    /// Opens and binds the sockets of a sequence, then its probes, and tells how each of them went.
    func bind(_ sequence: BindSequence) throws -> [String: String] {
        try namespace(sequence.namespace).enter {
            var facts: [String: String] = [:]
            // Those that listen later, and all that must stay open until the last probe.
            var waiting: [(fact: String, descriptor: Descriptor)] = []
            var kept: [Descriptor] = []
            for (index, attempt) in sequence.sockets.enumerated() {
                let fact = sequence.fact(ofSocket: index)
                facts[fact] = try told {
                    let descriptor = try open(attempt, of: sequence)
                    facts["port of \(fact)"] = sequence.givenPort(attempt, descriptor)
                    if attempt.listen == .later, attempt.becomes == .open { waiting.append((fact, descriptor)) }
                    kept += try descriptors(of: descriptor, that: attempt.becomes)
                }
            }
            for (fact, descriptor) in waiting {
                facts["listen \(fact)"] = try told { () throws(KernelRefusal) in try descriptor.listen() }
            }
            for (index, attempt) in sequence.probes.enumerated() {
                let fact = sequence.fact(ofProbe: index)
                facts[fact] = try told {
                    let descriptor = try open(attempt, of: sequence)
                    facts["port of \(fact)"] = sequence.givenPort(attempt, descriptor)
                    if attempt.listen == .later { try descriptor.listen() }
                }
            }
            return withExtendedLifetime(kept) { facts }
        }
    }

    /// `ok`, or the call that the kernel refused, and its errno.
    private func told(_ body: () throws -> Void) throws -> String {
        do {
            try body()
            return "ok"
        } catch let refusal as KernelRefusal {
            guard ![EMFILE, ENFILE].contains(refusal.errno.rawValue) else { throw refusal }
            return "\(refusal.call) \(refusal.errno)"
        }
    }

    private func open(_ attempt: BindAttempt, of sequence: BindSequence) throws -> Descriptor {
        let family = attempt.address.family
        let descriptor =
            if let user = attempt.user {
                try Descriptor.socket(family, sequence.protocol, user: user)
            } else {
                try Descriptor.socket(family, sequence.protocol)
            }
        for option in attempt.options { try descriptor.set(option, family) }
        if let device = attempt.device { try descriptor.bind(toDevice: device) }
        if let ports = attempt.localPorts { try descriptor.choosePort(from: ports) }
        try descriptor.bind(to: Endpoint(attempt.address, attempt.port ?? sequence.port))
        if attempt.listen == .atOnce { try descriptor.listen() }
        if let peer = attempt.connect {
            try descriptor.connect(to: peer)
            // Until it is connected, a TCP socket may be left behind on its port when it is closed.
            try descriptor.wait(for: POLLOUT, until: deadline)
            if let errno = descriptor.takeError() { throw KernelRefusal("connect", errno) }
        }
        return descriptor
    }

    /// What stays open of a socket for the rest of the sequence.
    private func descriptors(of socket: Descriptor, that fate: BindAttempt.Fate) throws -> [Descriptor] {
        switch fate {
        case .open: return [socket]
        case .closed: return []
        case .connection:
            let (client, accepted) = try connected(to: socket)
            return [client, accepted]
        case .timeWait:
            let (client, accepted) = try connected(to: socket)
            // Not close(), which could take the last reference at another time than here.
            try accepted.shutdownSending()
            try client.wait(for: POLLIN, until: deadline)
            try client.shutdownSending()
            // The client's last packet has been acknowledged: its peer is in TIME_WAIT.
            while try client.connectionState() != connectionClosed {
                guard ContinuousClock.now < deadline else {
                    throw KernelRefusal("close", ErrorNumber(rawValue: ETIMEDOUT))
                }
                // Nobody announces it, so this asks again.
                usleep(1000)
            }
            return []
        }
    }

    /// A connection to a listener, both of its ends.
    private func connected(to listener: Descriptor) throws -> (client: Descriptor, accepted: Descriptor) {
        guard let endpoint = listener.boundEndpoint else {
            throw ExecutorError.unsuitable("a socket that is not bound cannot be connected to")
        }
        let client = try Descriptor.socket(endpoint.address.family, .tcp)
        try client.connect(to: endpoint.reachable)
        try listener.wait(for: POLLIN, until: deadline)
        let raw = clinux_accept(listener.raw)
        guard raw >= 0 else {
            throw KernelRefusal("accept4", ErrorNumber(returned: raw))
        }
        return (client, Descriptor(raw))
    }
}

extension BindSequence {
    /// The port that the kernel gave a socket which left the choice to it.
    fileprivate func givenPort(_ attempt: BindAttempt, _ descriptor: Descriptor) -> String? {
        attempt.port ?? port == 0 ? descriptor.localPort.map { "\($0)" } : nil
    }
}

extension Endpoint {
    /// A wildcard's own loopback: an IPv6 socket that is bound to the IPv4 wildcard is asked over IPv4.
    fileprivate var reachable: Endpoint {
        let mappedWildcard: UInt128 = 0xFFFF_0000_0000
        return switch address {
        case .v4(0), .v6(0): Endpoint(.loopback(address.family), port)
        case .v6(mappedWildcard): Endpoint(.v6(mappedWildcard | 0x7F00_0001), port)
        default: self
        }
    }
}

/// TCP_CLOSE of the kernel's net/tcp_states.h.
private let connectionClosed: UInt8 = 7

extension Descriptor {
    /// socket(2) as another user.
    fileprivate static func socket(
        _ family: AddressFamily, _ transport: TransportProtocol, user: UInt32
    ) throws(KernelRefusal) -> Descriptor {
        let type = transport.socketType | Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        return Descriptor(try KernelRefusal.check("socket", clinux_socket_as(user, family.domain, type)))
    }

    fileprivate func bind(toDevice device: String) throws(KernelRefusal) {
        let name = Array(device.utf8)
        guard setsockopt(raw, SOL_SOCKET, SO_BINDTODEVICE, name, socklen_t(name.count)) == 0 else {
            throw KernelRefusal("setsockopt")
        }
    }

    /// IP_LOCAL_PORT_RANGE (Linux 6.3), which IPv6 sockets have at the IPv4 level, too. The number is the kernel's ABI.
    fileprivate func choosePort(from ports: PortRange) throws(KernelRefusal) {
        let value = UInt32(ports.last) << 16 | UInt32(ports.first)
        try set(Int32(IPPROTO_IP), 51, to: Int32(bitPattern: value))
    }

    fileprivate func shutdownSending() throws(KernelRefusal) {
        guard shutdown(raw, Int32(SHUT_WR)) == 0 else { throw KernelRefusal("shutdown") }
    }

    fileprivate func wait(for events: Int32, until deadline: ContinuousClock.Instant) throws {
        while ContinuousClock.now < deadline {
            var entry = pollfd(fd: raw, events: Int16(events), revents: 0)
            if poll(&entry, 1, 100) > 0 { return }
        }
        throw KernelRefusal("poll", ErrorNumber(rawValue: ETIMEDOUT))
    }

    /// The first byte of TCP_INFO.
    fileprivate func connectionState() throws(KernelRefusal) -> UInt8 {
        var state: UInt8 = 0
        var size = socklen_t(1)
        guard getsockopt(raw, Int32(IPPROTO_TCP), TCP_INFO, &state, &size) == 0 else {
            throw KernelRefusal("getsockopt")
        }
        return state
    }

    /// What the socket is bound to, in the form of its own family; nil for none.
    fileprivate var boundEndpoint: Endpoint? {
        var value = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let result = withUnsafeMutablePointer(to: &value) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(raw, $0, &size) }
        }
        guard result == 0 else { return nil }
        guard Int32(value.sin6_family) == AF_INET6 else {
            var storage = sockaddr_storage()
            withUnsafeMutableBytes(of: &storage) { bytes in
                withUnsafeBytes(of: value) { bytes.copyMemory(from: $0) }
            }
            return Endpoint(storage)
        }
        let bits = withUnsafeBytes(of: value.sin6_addr) { UInt128(bigEndian: $0.loadUnaligned(as: UInt128.self)) }
        return Endpoint(.v6(bits), UInt16(bigEndian: value.sin6_port))
    }
}
