import Addressing
import CLinux
import Glibc
import SocketLookup

/// A socket that is closed with its owner.
final class Descriptor {
    let raw: Int32

    init(_ raw: Int32) { self.raw = raw }
    deinit { close(raw) }

    /// socket(2), non-blocking.
    static func socket(
        _ family: AddressFamily, _ transport: TransportProtocol, lite: Bool = false
    ) throws(KernelRefusal) -> Descriptor {
        let raw = Glibc.socket(
            family.domain, transport.socketType | nonBlocking, lite ? Int32(IPPROTO_UDPLITE) : 0)
        guard raw >= 0 else { throw KernelRefusal("socket") }
        return Descriptor(raw)
    }

    private static let nonBlocking = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)

    func set(_ level: Int32, _ option: Int32, to value: Int32 = 1) throws(KernelRefusal) {
        var value = value
        guard setsockopt(raw, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw KernelRefusal("setsockopt")
        }
    }

    func bind(to endpoint: Endpoint) throws(KernelRefusal) {
        guard endpoint.withSocketAddress({ Glibc.bind(raw, $0, $1) }) == 0 else { throw KernelRefusal("bind") }
    }

    func listen(backlog: Int? = nil) throws(KernelRefusal) {
        guard Glibc.listen(raw, Int32(backlog ?? 4096)) == 0 else { throw KernelRefusal("listen") }
    }

    /// connect(2); a TCP connection may still be in progress when this returns.
    func connect(to endpoint: Endpoint) throws(KernelRefusal) {
        let result = endpoint.withSocketAddress { Glibc.connect(raw, $0, $1) }
        guard result == 0 || errno == EINPROGRESS else { throw KernelRefusal("connect") }
    }

    func send(_ bytes: [UInt8], to endpoint: Endpoint) throws(KernelRefusal) {
        let sent = endpoint.withSocketAddress { Glibc.sendto(raw, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, $1) }
        guard sent >= 0 else { throw KernelRefusal("sendto") }
    }

    func send(_ bytes: [UInt8]) throws(KernelRefusal) {
        guard Glibc.send(raw, bytes, bytes.count, Int32(MSG_NOSIGNAL)) >= 0 else { throw KernelRefusal("send") }
    }

    /// Up to `capacity` bytes; empty at the end of a stream, nil when there is nothing to read now.
    func receive(_ capacity: Int = 2048) throws(KernelRefusal) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: capacity)
        let count = recv(raw, &buffer, capacity, 0)
        if count >= 0 { return Array(buffer[..<count]) }
        if errno == EAGAIN || errno == EINTR { return nil }
        throw KernelRefusal("recv")
    }

    /// One datagram with its source and the address it was sent to; nil when there is none now.
    func receiveDatagram() throws(KernelRefusal) -> (
        bytes: [UInt8], source: sockaddr_storage, destination: sockaddr_storage
    )? {
        var buffer = [UInt8](repeating: 0, count: 2048)
        var source = sockaddr_storage()
        var destination = sockaddr_storage()
        let count = clinux_receive_datagram(raw, &buffer, buffer.count, 0, &source, &destination)
        if count >= 0 { return (Array(buffer[..<count]), source, destination) }
        let errno = ErrorNumber(returned: count)
        if errno.rawValue == EAGAIN || errno.rawValue == EINTR { return nil }
        throw KernelRefusal("recvmsg", errno)
    }

    /// The pending error of the socket, which this clears (SO_ERROR); nil for none.
    func takeError() -> ErrorNumber? {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(raw, SOL_SOCKET, SO_ERROR, &value, &size) == 0, value != 0 else { return nil }
        return ErrorNumber(rawValue: value)
    }

    /// What the kernel calls the socket in a test-run (SO_COOKIE).
    func cookie() throws(KernelRefusal) -> UInt64 {
        var value: UInt64 = 0
        var size = socklen_t(MemoryLayout<UInt64>.size)
        guard getsockopt(raw, SOL_SOCKET, SO_COOKIE, &value, &size) == 0 else { throw KernelRefusal("getsockopt") }
        return value
    }

    /// How many packets the kernel dropped for want of room in the receive queue (SK_MEMINFO_DROPS of SO_MEMINFO).
    func drops() throws(KernelRefusal) -> Int {
        var values = [UInt32](repeating: 0, count: 9)
        var size = socklen_t(9 * MemoryLayout<UInt32>.size)
        guard getsockopt(raw, SOL_SOCKET, SO_MEMINFO, &values, &size) == 0 else { throw KernelRefusal("getsockopt") }
        return Int(values[8])
    }

    /// Closes with RST, so that a sweep of 65,535 connections leaves none in TIME_WAIT.
    func resetOnClose() {
        var value = linger(l_onoff: 1, l_linger: 0)
        _ = setsockopt(raw, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    /// What kind of socket it is: SO_DOMAIN, SO_TYPE and SO_PROTOCOL.
    func identity() throws(KernelRefusal) -> (domain: UInt32, type: UInt32, protocol: UInt32) {
        var values: [UInt32] = []
        for option in [SO_DOMAIN, SO_TYPE, SO_PROTOCOL] {
            var value: UInt32 = 0
            var size = socklen_t(MemoryLayout<UInt32>.size)
            guard getsockopt(raw, SOL_SOCKET, option, &value, &size) == 0 else { throw KernelRefusal("getsockopt") }
            values.append(value)
        }
        return (values[0], values[1], values[2])
    }

    /// The port that the socket is bound to; nil for none.
    var localPort: UInt16? { localEndpoint?.port }

    var localEndpoint: Endpoint? { endpoint(getsockname) }

    /// Whom the socket is connected to; nil for nobody.
    var peerEndpoint: Endpoint? { endpoint(getpeername) }

    private func endpoint(
        _ call: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> Endpoint? {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(raw, $0, &size) }
        }
        return result == 0 ? Endpoint(storage) : nil
    }
}
