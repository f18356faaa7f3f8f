import Addressing
import CLinux
import Glibc

/// A server's socket: a listener, or a UDP socket that answers each probe with its own name.
final class Server {
    let name: String
    let transport: TransportProtocol
    let descriptor: Descriptor
    /// Whether there are connections to accept.
    var listening: Bool
    /// Whether its queue is left alone.
    var paused = false
    /// What it is instead of the lab's own.
    var sites: SiteDirectory?
    /// Tells of what came since it was last paused.
    var alarm: WakeUp?
    /// How many datagrams of each flood it has read since the last drain.
    var flooded: [String: Int] = [:]
    /// How many datagrams it has read since it was opened.
    var datagrams = 0

    private init(name: String, transport: TransportProtocol, descriptor: Descriptor, listening: Bool) {
        self.name = name
        self.transport = transport
        self.descriptor = descriptor
        self.listening = listening
    }

    /// Opens the socket in the calling thread's namespace.
    ///
    /// - Throws: ``KernelRefusal`` with the call that failed: socket, setsockopt, bind, listen or connect.
    static func open(_ description: SocketDescription) throws(KernelRefusal) -> Server {
        let family = description.bind.address.family
        let transport = description.protocol
        let descriptor = try Descriptor.socket(family, transport, lite: description.lite ?? false)
        for option in description.options { try descriptor.set(option, family) }
        if let size = description.receiveBuffer { try descriptor.set(SOL_SOCKET, SO_RCVBUF, to: Int32(size)) }
        if let device = description.device { try descriptor.restrict(to: device) }
        if description.bound ?? true { try descriptor.bind(to: description.bind) }
        if transport == .udp { try descriptor.prepareToAnswer(family) }
        if let group = description.join { try descriptor.join(group, on: description.device ?? "lo") }
        if let queue = description.fastOpen { try descriptor.set(Int32(IPPROTO_TCP), TCP_FASTOPEN, to: Int32(queue)) }
        let listening = transport == .tcp && description.listen
        if listening { try descriptor.listen(backlog: description.backlog) }
        if let peer = description.connect { try descriptor.connect(to: peer) }
        return Server(name: description.name, transport: transport, descriptor: descriptor, listening: listening)
    }
}

extension Descriptor {
    func set(_ option: SocketOption, _ family: AddressFamily) throws(KernelRefusal) {
        switch (option, family) {
        case (.reuseAddress, _): try set(SOL_SOCKET, SO_REUSEADDR)
        case (.reusePort, _): try set(SOL_SOCKET, SO_REUSEPORT)
        case (.v6Only, _): try set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, to: 1)
        case (.dualStack, _): try set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, to: 0)
        case (.freeBind, .ipv4): try set(Int32(IPPROTO_IP), IP_FREEBIND)
        case (.freeBind, .ipv6): try set(Int32(IPPROTO_IPV6), IPV6_FREEBIND)
        case (.transparent, .ipv4): try set(Int32(IPPROTO_IP), IP_TRANSPARENT)
        case (.thisProcessor, _): try set(SOL_SOCKET, Descriptor.incomingCPU, to: clinux_processor())
        case (.otherProcessor, _): try set(SOL_SOCKET, Descriptor.incomingCPU, to: clinux_processor() + 1)
        case (.deferAccept, _): try set(Int32(IPPROTO_TCP), TCP_DEFER_ACCEPT, to: 60)
        case (.transparent, .ipv6): try set(Int32(IPPROTO_IPV6), IPV6_TRANSPARENT)
        }
    }

    // SO_INCOMING_CPU, which not every libc's headers have.
    private static let incomingCPU: Int32 = 49

    /// Lets a UDP socket see the address it was asked on, and answer from it.
    ///
    /// IPv6 refuses a source address that is local only by a route (AnyIP) unless the socket may bind
    /// anywhere, so that is allowed here, after bind() has been judged.
    fileprivate func prepareToAnswer(_ family: AddressFamily) throws(KernelRefusal) {
        try KernelRefusal.check("setsockopt", clinux_enable_destination(raw))
        if family == .ipv6 { try set(Int32(IPPROTO_IPV6), IPV6_FREEBIND) }
    }
}

/// The server's end of a TCP connection. It outlives its listener.
final class AcceptedConnection {
    let listener: String
    let descriptor: Descriptor
    /// The client, by which a connection's other end is found.
    private(set) lazy var peer = descriptor.peerEndpoint

    /// The sites that are served over it, if it is for those,
    let sites: SiteDirectory?
    /// and what was received and not yet answered.
    var unread: [UInt8] = []

    init(listener: String, descriptor: Descriptor, sites: SiteDirectory?) {
        self.listener = listener
        self.descriptor = descriptor
        self.sites = sites
    }
}

/// What a connection may want beyond a plain one.
struct ClientOptions {
    var connected = false
    var fastOpen = false
    var asks = true
    var lite = false
}

/// The asking end of a probe or of a connection that stays open.
final class Client {
    enum State: Equatable {
        case connecting
        /// Connected, and nothing was asked.
        case connected
        case waiting
        case answered(by: String, from: Endpoint)
        case failed(call: String, errno: ErrorNumber)
    }

    let transport: TransportProtocol
    let destination: Endpoint
    let descriptor: Descriptor
    var state: State
    var nonce: UInt64
    var unread: [UInt8] = []
    private let asks: Bool

    /// Opens the client in the calling thread's namespace and sends its first packet.
    init(
        _ transport: TransportProtocol, to destination: Endpoint, source: Endpoint?, nonce: UInt64,
        options: ClientOptions = ClientOptions()
    ) throws(KernelRefusal) {
        self.transport = transport
        self.destination = destination
        self.nonce = nonce
        asks = options.asks
        var begun = State.connecting
        descriptor = try Client.open(transport, to: destination, source: source, lite: options.lite) {
            (descriptor) throws(KernelRefusal) in
            switch transport {
            case .tcp where options.fastOpen:
                // Unless the kernel has to ask for a cookie first, the question is on its way with the SYN.
                let sent = try descriptor.sendOpening(Message.probe(nonce).bytes(), to: destination)
                begun = sent ? .waiting : .connecting
            case .tcp: try descriptor.connect(to: destination)
            case .udp: if options.connected { try descriptor.connect(to: destination) }
            }
        }
        state = begun
        if transport == .udp { try begin() }
    }

    /// What follows once there is a connection.
    private func begin() throws(KernelRefusal) {
        if asks { try ask() } else { state = .connected }
    }

    /// A TCP socket that has begun to connect, or a bound UDP socket, which `connect` may connect.
    private static func open(
        _ transport: TransportProtocol, to destination: Endpoint, source: Endpoint?, lite: Bool,
        connect: (Descriptor) throws(KernelRefusal) -> Void
    ) throws(KernelRefusal) -> Descriptor {
        let family = destination.address.family
        // A client to which the kernel gave the very port that it asks, of an address of its own, would ask itself.
        // It is kept until another is open, so that the port is not given again.
        var avoided: [Descriptor] = []
        while true {
            let descriptor = try Descriptor.socket(family, transport, lite: lite)
            if let source {
                try descriptor.set(SOL_SOCKET, SO_REUSEADDR)
                try descriptor.bind(to: source)
            }
            switch transport {
            case .tcp: try connect(descriptor)
            case .udp:
                // Usually not connected: a steered socket may answer from its own port, and that answer must be seen.
                // Without a connection, an ICMP error is delivered only to a socket that asks for it.
                try KernelRefusal.check("setsockopt", clinux_enable_error_queue(descriptor.raw))
                if source == nil { try descriptor.bind(to: Endpoint(.wildcard(family), 0)) }
                try connect(descriptor)
            }
            if source != nil || descriptor.localPort != destination.port { return descriptor }
            avoided.append(descriptor)
        }
    }

    /// Sends the question.
    func ask() throws(KernelRefusal) {
        state = .waiting
        let bytes = Message.probe(nonce).bytes()
        switch transport {
        case .tcp: try descriptor.send(bytes)
        case .udp: try descriptor.send(bytes, to: destination)
        }
    }

    /// Takes what an event on the descriptor brought.
    func handle(writable: Bool) {
        do {
            if let errno = descriptor.takeError() {
                state = .failed(call: state == .connecting ? "connect" : "recv", errno: errno)
            } else if state == .connecting {
                if writable { try begin() }
            } else {
                try read()
            }
        } catch {
            state = .failed(call: error.call, errno: error.errno)
        }
    }

    private func read() throws(KernelRefusal) {
        switch transport {
        case .tcp:
            while let bytes = try descriptor.receive() {
                // The server never closes first, so an end without an answer is a connection cut short.
                if bytes.isEmpty { throw KernelRefusal("recv", ErrorNumber(rawValue: ECONNABORTED)) }
                unread += bytes
                accept(unread, from: destination)
            }
        case .udp:
            while let (bytes, source, _) = try descriptor.receiveDatagram() {
                if let source = Endpoint(source) { accept(bytes, from: source) }
            }
        }
    }

    private func accept(_ bytes: [UInt8], from source: Endpoint) {
        if case .answer(nonce, let name) = Message(bytes) {
            state = .answered(by: name, from: source)
            unread = []
        }
    }
}
