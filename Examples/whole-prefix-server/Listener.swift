import Addressing
import Glibc
import Sockets
import SystemPackage

/// HTTP: says which address and port were asked.
struct Listener {
    let descriptor: FileDescriptor

    init(port: UInt16) throws {
        descriptor = try boundSocket(SOCK_STREAM, port: port)
        guard listen(descriptor.rawValue, SOMAXCONN) == 0 else { throw Failure("listen") }
    }

    /// Takes a connection, and waits a second for its request: a server with more than one client has to do better.
    func answerOne() {
        let connection = accept(descriptor.rawValue, nil, nil)
        guard connection >= 0 else { return }
        defer { close(connection) }
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        // A connection has the address and port that were asked, whatever the listener is bound to, and answers
        // from there.
        guard let asked = Endpoint(of: connection, getsockname), hasRequest(connection) else { return }
        let body = "tcp \(asked)\n"
        let response = "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
        let bytes = Array(response.utf8)
        send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Whether all of a request's header came.
    private func hasRequest(_ connection: Int32) -> Bool {
        var request: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while request.count < 1 << 16 {
            let count = recv(connection, &piece, piece.count, 0)
            guard count > 0 else { return false }
            request += piece[..<count]
            if String(decoding: request, as: UTF8.self).contains("\r\n\r\n") { return true }
        }
        return false
    }
}
