import Addressing
import Glibc
import Sockets
import SystemPackage

/// UDP: sends each datagram back, from the address and port that were asked.
///
/// A connection remembers what its client asked for. A UDP socket does not: an answer that is merely sent leaves from an
/// address that the kernel chooses and from the port that the socket is bound to, and no client takes that for an answer
/// to its question. So the kernel has to be asked where each datagram went (`IP_RECVORIGDSTADDR`,
/// `IPV6_RECVORIGDSTADDR`: address and port; `IP_PKTINFO`, `IPV6_RECVPKTINFO`: the address alone, enough for a binding of
/// one port), and told where its answer comes from.
struct EchoSocket {
    let descriptor: FileDescriptor
    private let own: Endpoint

    init(port: UInt16) throws {
        descriptor = try boundSocket(SOCK_DGRAM, port: port)
        try set(tellDestinationIPv4, of: Int32(IPPROTO_IP), to: 1, on: descriptor)
        try set(tellDestinationIPv6, of: Int32(IPPROTO_IPV6), to: 1, on: descriptor)
        // Else IPv6 takes no source address that is local by a route only. IPv4 does as it is.
        try set(freeBindIPv6, of: Int32(IPPROTO_IPV6), to: 1, on: descriptor)
        guard let own = Endpoint(of: descriptor.rawValue, getsockname) else { throw Failure("getsockname") }
        self.own = own
    }

    /// Takes a datagram, and answers it if the kernel lets it: whoever asked will ask again.
    func answerOne() {
        guard let datagram = Datagram(from: descriptor) else { return }
        // Where every port echoes, an answer may come to such a port, with a forged sender or from this host.
        guard !datagram.bytes.starts(with: "udp ".utf8) else { return }
        let answer = Array("udp \(datagram.asked) ".utf8) + datagram.bytes
        if datagram.asked.port == own.port {
            send(answer, to: datagram.sender, from: datagram.asked.address, on: descriptor)
        } else {
            answerFromAnotherPort(answer, to: datagram.sender, from: datagram.asked)
        }
    }

    /// Answers from another port than this socket's, which nothing that is said with a datagram can change (but for a
    /// raw socket, whose owner writes the UDP header himself): from another socket, bound to what was asked.
    ///
    /// It gets no packets, although it is bound where they go: the binding that led the question here is asked first,
    /// and leads the next one here as well. For that it must not be connected, for connected sockets are found before
    /// any binding is. A port that somebody else has bound is refused (EADDRINUSE), and so is one below 1024 to who has
    /// not CAP_NET_BIND_SERVICE; then there is no answer.
    ///
    /// Four system calls for an answer: a server whose clients ask few addresses and ports would keep these sockets.
    private func answerFromAnotherPort(_ bytes: [UInt8], to sender: Endpoint, from asked: Endpoint) {
        let family = asked.address.family == .ipv4 ? AF_INET : AF_INET6
        let number = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { return }
        defer { close(number) }
        let (level, option) =
            family == AF_INET ? (Int32(IPPROTO_IP), IP_FREEBIND) : (Int32(IPPROTO_IPV6), freeBindIPv6)
        guard (try? set(option, of: level, to: 1, on: FileDescriptor(rawValue: number))) != nil,
            asked.withSocketAddress({ bind(number, $0, $1) }) == 0
        else { return }
        _ = sender.withSocketAddress { sendto(number, bytes, bytes.count, 0, $0, $1) }
    }
}

// Of <linux/in6.h> and <linux/in.h>, which Swift's Glibc module does not have.
/// IPV6_FREEBIND.
private let freeBindIPv6: Int32 = 78
/// IPV6_RECVORIGDSTADDR.
private let tellDestinationIPv6: Int32 = 74
/// IP_RECVORIGDSTADDR.
private let tellDestinationIPv4: Int32 = 20
