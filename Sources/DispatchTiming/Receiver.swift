import Addressing
import CFlood
import CLinux
import Glibc
import SocketLookup
import SystemPackage

/// What packets end at: for each kind a socket on the wildcard address, whose filter drops all.
struct Receiver {
    let sockets: [Kind: FileDescriptor]

    init() throws {
        var sockets: [Kind: FileDescriptor] = [:]
        for kind in Kind.all {
            let type = kind.protocol == .tcp ? SOCK_STREAM : SOCK_DGRAM
            let domain = kind.family == .ipv4 ? AF_INET : AF_INET6
            let fd = try done("socket", socket(domain, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
            if kind.family == .ipv6 {
                var one: Int32 = 1
                try done(
                    "IPV6_V6ONLY",
                    setsockopt(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &one, socklen_t(MemoryLayout<Int32>.size)))
                var address = sockaddr_in6()
                address.sin6_family = sa_family_t(AF_INET6)
                address.sin6_port = BindingSet.port.bigEndian
                try Receiver.bind(fd, address)
            } else {
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = BindingSet.port.bigEndian
                try Receiver.bind(fd, address)
            }
            if kind.protocol == .tcp { try done("listen", listen(fd, 128)) }
            try done("SO_ATTACH_FILTER", flood_drop_all(fd))
            sockets[kind] = FileDescriptor(rawValue: fd)
        }
        self.sockets = sockets
    }

    /// How many packets a kind's socket has been given, and has dropped.
    func received(_ kind: Kind) throws -> UInt32 {
        var drops: UInt32 = 0
        try done("SO_MEMINFO", flood_drops(sockets[kind]?.rawValue ?? -1, &drops))
        return drops
    }

    private static func bind<Address>(_ fd: Int32, _ address: Address) throws {
        // The pointer is used only while the call lasts.
        let result = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(fd, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
        try done("bind", result)
    }
}

/// A call that was refused.
struct Refusal: Error, CustomStringConvertible {
    let call: String
    let number: Int32

    var description: String { "\(call): \(String(cString: strerror(number)))" }
}

/// Performs a call that returns -errno, or -1 and sets errno.
@discardableResult
func done(_ call: String, _ result: Int32) throws -> Int32 {
    guard result < 0 else { return result }
    throw Refusal(call: call, number: result == -1 && errno != 0 ? errno : -result)
}
