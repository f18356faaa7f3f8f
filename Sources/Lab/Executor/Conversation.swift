import Addressing
import CLinux
import Glibc

/// A TCP connection over which something is asked, and answered.
///
/// Not a ``Client``: what is said over it is not the lab's own language.
final class Conversation {
    enum State {
        case connecting
        case waiting
        case answered
        case failed(KernelRefusal)
    }

    let destination: Endpoint
    /// Nil once it is closed.
    private(set) var descriptor: Descriptor?
    private(set) var state = State.connecting
    private(set) var reply: [UInt8] = []
    private var request: [UInt8]
    /// Whether a reply has come as a whole.
    private let isWhole: ([UInt8]) -> Bool

    /// Begins to connect, in the calling thread's namespace.
    init(
        to destination: Endpoint, request: [UInt8], until isWhole: @escaping ([UInt8]) -> Bool
    ) throws(KernelRefusal) {
        self.destination = destination
        self.request = request
        self.isWhole = isWhole
        let descriptor = try Descriptor.socket(destination.address.family, .tcp)
        try descriptor.connect(to: destination)
        self.descriptor = descriptor
    }

    /// Closes the connection with RST, so that thousands leave nothing behind. The reply stays.
    func close() {
        descriptor?.resetOnClose()
        descriptor = nil
    }

    var isDecided: Bool {
        switch state {
        case .connecting, .waiting: false
        case .answered, .failed: true
        }
    }

    /// Asks once more over the same connection.
    func ask(_ request: [UInt8]) {
        self.request = request
        reply = []
        attempt { () throws(KernelRefusal) in try send() }
    }

    private func send() throws(KernelRefusal) {
        state = .waiting
        // Short enough for the empty send queue of a connection that waits for each reply.
        try descriptor?.send(request)
    }

    /// Takes what an event on the descriptor brought; true if the connection has just been made.
    func handle(_ flags: UInt32) -> Bool {
        if let errno = descriptor?.takeError() {
            if !isDecided { state = .failed(KernelRefusal(isConnecting ? "connect" : "recv", errno)) }
            return false
        }
        if isConnecting {
            guard flags & CLINUX_WRITABLE != 0 else { return false }
            attempt { () throws(KernelRefusal) in try send() }
            return true
        }
        attempt { () throws(KernelRefusal) in try receive() }
        return false
    }

    private func receive() throws(KernelRefusal) {
        while let bytes = try descriptor?.receive(4096) {
            if bytes.isEmpty {
                if !isDecided { throw KernelRefusal("recv", ErrorNumber(rawValue: ECONNABORTED)) }
                return
            }
            reply += bytes
            if isWhole(reply) { state = .answered }
        }
    }

    private var isConnecting: Bool { if case .connecting = state { true } else { false } }

    private func attempt(_ body: () throws(KernelRefusal) -> Void) {
        do { try body() } catch { state = .failed(error) }
    }
}

extension World {
    private static let conversationsAtOnce = 32

    /// Has conversations, several at a time, until each is decided or none gets on within the deadline.
    ///
    /// - Parameters:
    ///   - keeping: whether they stay open once they are decided.
    ///   - begin: opens the conversation of an index, or has it ask once more.
    func converse(
        _ count: Int, keeping: Bool, _ begin: (Int) throws -> Conversation
    ) throws -> [Conversation] {
        var all: [Conversation] = []
        var open: [Conversation] = []
        while all.count < count || !open.isEmpty {
            try Task.checkCancellation()
            while all.count < count, open.count < World.conversationsAtOnce {
                let conversation = try begin(all.count)
                all.append(conversation)
                if !conversation.isDecided { open.append(conversation) }
            }
            let waiting = open
            let goesOn = try loop.serve(until: deadline) { waiting.contains(where: \.isDecided) || waiting.isEmpty }
            for conversation in open where conversation.isDecided && !keeping { end(conversation) }
            open.removeAll(where: \.isDecided)
            guard goesOn else { break }
        }
        return all
    }

    /// Begins a conversation in a namespace, and lets the loop tell it of its events.
    func talk(
        from name: String, to destination: Endpoint, _ request: [UInt8], until isWhole: @escaping ([UInt8]) -> Bool
    ) throws -> Conversation {
        let conversation = try namespace(name).enter {
            try Conversation(to: destination, request: request, until: isWhole)
        }
        guard let raw = conversation.descriptor?.raw else { return conversation }
        try loop.add(raw, CLINUX_READABLE | CLINUX_WRITABLE) { [loop, weak conversation] flags in
            guard let conversation else { return }
            let connected = conversation.handle(flags)
            if case .failed = conversation.state {
                loop.remove(raw)
            } else if connected {
                try loop.change(raw, CLINUX_READABLE)
            }
        }
        return conversation
    }

    private func end(_ conversation: Conversation) {
        if let descriptor = conversation.descriptor { loop.remove(descriptor) }
        conversation.close()
    }
}
