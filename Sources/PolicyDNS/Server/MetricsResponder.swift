import CLinux
import Glibc

/// Answers `GET /metrics` over HTTP/1.1, in the event loop of one worker, one request per connection.
///
/// A client costs at most ``requestLimit`` bytes and ``patience``; there are at most ``connectionLimit`` at a time.
final class MetricsResponder {
    private static let requestLimit = 8192
    private static let patience: UInt64 = 5_000_000_000
    private static let connectionLimit = 16
    /// Nanoseconds for which nobody is accepted when there are no descriptors.
    private static let pause: UInt64 = 1_000_000_000
    private static let listenerIdentifier: UInt32 = 0

    let socket: MetricsSocket
    private let page: () -> String
    private var clients: [UInt32: Client] = [:]
    private var lastIdentifier: UInt32 = 0
    /// When the listener is watched again; nil while it is.
    private var acceptsAgain: UInt64?

    private final class Client {
        let descriptor: Int32
        let deadline: UInt64
        var request: [UInt8] = []
        var response: [UInt8]?
        var sent = 0

        init(descriptor: Int32, deadline: UInt64) {
            self.descriptor = descriptor
            self.deadline = deadline
        }

        deinit { close(descriptor) }
    }

    /// Serves `page` on a TCP listener.
    init(_ socket: MetricsSocket, page: @escaping () -> String) {
        self.socket = socket
        self.page = page
    }

    func start(_ worker: Worker) throws(ServerError) {
        try worker.watch(socket.descriptor, CLINUX_READABLE, as: .metrics(MetricsResponder.listenerIdentifier))
    }

    func stop(_ worker: Worker) { _ = clinux_epoll_remove(worker.epoll, socket.descriptor) }

    func handle(_ identifier: UInt32, _ worker: Worker) {
        if identifier == MetricsResponder.listenerIdentifier { return accept(worker) }
        guard let client = clients[identifier] else { return }
        if client.response == nil { read(client) }
        let finished = client.response != nil && write(client)
        if finished {
            clients[identifier] = nil
        } else if client.response != nil {
            let source = EventSource.metrics(identifier).rawValue
            _ = clinux_epoll_modify(worker.epoll, client.descriptor, CLINUX_WRITABLE, source)
        }
    }

    func expire(_ worker: Worker) {
        if let acceptsAgain {
            if worker.now < acceptsAgain {
                worker.expect(by: acceptsAgain)
            } else {
                self.acceptsAgain = nil
                // Without memory to watch it, metrics are out of reach until a reload; answering is not.
                try? start(worker)
            }
        }
        for (identifier, client) in clients {
            if worker.now >= client.deadline {
                clients[identifier] = nil
            } else {
                worker.expect(by: client.deadline)
            }
        }
    }

    private func accept(_ worker: Worker) {
        var peer = sockaddr_storage()
        let descriptor = clinux_accept_from(socket.descriptor, &peer)
        guard descriptor >= 0 else {
            // The listener stays ready, and would be reported at once, again and again: it is left alone for a while.
            if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(-descriptor) {
                clients.removeAll()
                stop(worker)
                acceptsAgain = worker.now + MetricsResponder.pause
                worker.expect(by: worker.now + MetricsResponder.pause)
            }
            return
        }
        let client = Client(descriptor: descriptor, deadline: worker.now + MetricsResponder.patience)
        if clients.count >= MetricsResponder.connectionLimit, let oldest = clients.keys.min() { clients[oldest] = nil }
        lastIdentifier = lastIdentifier % (.max - 1) + 1
        clients[lastIdentifier] = client
        worker.expect(by: client.deadline)
        let watched: Void? = try? worker.watch(descriptor, CLINUX_READABLE, as: .metrics(lastIdentifier))
        if watched == nil { clients[lastIdentifier] = nil }
    }

    private func read(_ client: Client) {
        var buffer = [UInt8](repeating: 0, count: 2048)
        while client.response == nil {
            let count = recv(client.descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count < 0, errno == EAGAIN || errno == EINTR { return }
            guard count > 0 else {
                // Gone, or ended within the request: nothing to say.
                client.response = []
                return
            }
            client.request += buffer[..<count]
            client.response = HTTPRequest.respond(client.request, limit: MetricsResponder.requestLimit, page: page)
        }
    }

    /// Returns whether all is written, or nobody is there to take it.
    private func write(_ client: Client) -> Bool {
        guard let response = client.response else { return false }
        while client.sent < response.count {
            let sent = response[client.sent...].withUnsafeBytes {
                send(client.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if sent < 0, errno == EINTR { continue }
            if sent < 0 { return errno != EAGAIN }
            client.sent += sent
        }
        return true
    }
}

/// What a request for metrics says, as far as it matters.
enum HTTPRequest {
    /// The response to a request (RFC 9112); nil while the request is incomplete.
    static func respond(_ request: [UInt8], limit: Int, page: () -> String) -> [UInt8]? {
        guard let end = headEnd(request) else {
            return request.count > limit ? response("431 Request Header Fields Too Large", "too large\n") : nil
        }
        guard end <= limit else { return response("431 Request Header Fields Too Large", "too large\n") }
        let line = String(
            decoding: request.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, words[2].hasPrefix("HTTP/1."), words[1].hasPrefix("/") else {
            return response("400 Bad Request", "not an HTTP/1 request\n")
        }
        guard words[1].prefix(while: { $0 != "?" }) == "/metrics" else {
            return response("404 Not Found", "metrics are at /metrics\n", withBody: words[0] != "HEAD")
        }
        switch words[0] {
        case "GET": return response("200 OK", page(), type: metricsType)
        case "HEAD": return response("200 OK", page(), type: metricsType, withBody: false)
        default: return response("405 Method Not Allowed", "GET or HEAD\n", header: "Allow: GET, HEAD\r\n")
        }
    }

    private static let metricsType = "text/plain; version=0.0.4; charset=utf-8"

    /// The length of the head with the empty line that ends it. A bare line feed ends a line too (RFC 9112 §2.2).
    private static func headEnd(_ request: [UInt8]) -> Int? {
        var isLineEmpty = false
        for (index, byte) in request.enumerated() {
            if byte == UInt8(ascii: "\n") {
                if isLineEmpty { return index + 1 }
                isLineEmpty = true
            } else if byte != UInt8(ascii: "\r") {
                isLineEmpty = false
            }
        }
        return nil
    }

    private static func response(
        _ status: String, _ body: String, type: String = "text/plain; charset=utf-8", header: String = "",
        withBody: Bool = true
    ) -> [UInt8] {
        let head =
            "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\(header)"
            + "Connection: close\r\n\r\n"
        return Array((withBody ? head + body : head).utf8)
    }
}
