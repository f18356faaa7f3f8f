import Addressing
import Glibc
import Sockets
import SystemPackage

/// A datagram, who sent it, and where it went.
struct Datagram {
    var bytes: [UInt8]
    var sender: Endpoint
    var asked: Endpoint

    /// Takes the next from a socket that tells where datagrams went (`IP_RECVORIGDSTADDR`, `IPV6_RECVORIGDSTADDR`);
    /// nil if there is none.
    init?(from descriptor: FileDescriptor) {
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        var sender = sockaddr_storage()
        var control = ControlMessage()
        let count = bytes.withUnsafeMutableBytes { bytes in
            withUnsafeMutableBytes(of: &sender) { sender in
                withUnsafeMutableBytes(of: &control) { control in
                    var piece = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                    return withUnsafeMutablePointer(to: &piece) { piece in
                        var message = msghdr()
                        message.msg_name = sender.baseAddress
                        message.msg_namelen = socklen_t(sender.count)
                        message.msg_iov = piece
                        message.msg_iovlen = 1
                        message.msg_control = control.baseAddress
                        message.msg_controllen = control.count
                        // All that the message points to is there until the closures return.
                        return recvmsg(descriptor.rawValue, &message, Int32(MSG_DONTWAIT))
                    }
                }
            }
        }
        // Nothing else was asked for, so the only control message is this one, and its payload a socket address.
        guard count >= 0, let sender = Endpoint(sender), let asked = Endpoint(control.address) else { return nil }
        self.bytes = Array(bytes[..<count])
        self.sender = sender
        self.asked = asked
    }
}

/// Sends from an address of the host's, which need not be the one that the socket is bound to (`IP_PKTINFO`,
/// `IPV6_PKTINFO`), and from the socket's port.
func send(_ bytes: [UInt8], to receiver: Endpoint, from address: IPAddress, on descriptor: FileDescriptor) {
    var control: [UInt8]
    switch address.family {
    case .ipv4:
        // struct in_pktinfo: no interface, the source, and a destination that only incoming packets have.
        control = controlMessage(
            level: Int32(IPPROTO_IP), type: IP_PKTINFO,
            [UInt8](repeating: 0, count: 4) + address.networkBytes + [UInt8](repeating: 0, count: 4))
    case .ipv6:
        // struct in6_pktinfo: the source, and no interface.
        control = controlMessage(
            level: Int32(IPPROTO_IPV6), type: IPV6_PKTINFO, address.networkBytes + [UInt8](repeating: 0, count: 4))
    }
    var bytes = bytes
    receiver.withSocketAddress { name, size in
        bytes.withUnsafeMutableBytes { bytes in
            control.withUnsafeMutableBytes { control in
                var piece = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                withUnsafeMutablePointer(to: &piece) { piece in
                    var message = msghdr()
                    // sendmsg does not write to it.
                    message.msg_name = UnsafeMutableRawPointer(mutating: name)
                    message.msg_namelen = size
                    message.msg_iov = piece
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    // All that the message points to is there until the closures return.
                    _ = sendmsg(descriptor.rawValue, &message, 0)
                }
            }
        }
    }
}

/// A control message with room for a socket address, as the kernel writes it: a header, and the payload after it.
private struct ControlMessage {
    var header = cmsghdr()
    var address = sockaddr_storage()
}

/// A control message, as bytes.
private func controlMessage(level: Int32, type: Int32, _ payload: [UInt8]) -> [UInt8] {
    var header = cmsghdr()
    header.cmsg_len = MemoryLayout<cmsghdr>.size + payload.count
    header.cmsg_level = level
    header.cmsg_type = type
    // A whole number of words (CMSG_SPACE).
    let padding = [UInt8](repeating: 0, count: -payload.count & (MemoryLayout<Int>.size - 1))
    return withUnsafeBytes(of: header) { Array($0) } + payload + padding
}

extension IPAddress {
    /// Four or sixteen bytes, in network order.
    fileprivate var networkBytes: [UInt8] { Array(mappedBytes.suffix(family.width / 8)) }
}
