import Addressing
import CLinux
import Glibc
import SocketLookup

extension TransportProtocol {
    var socketType: Int32 {
        switch self {
        case .tcp: Int32(SOCK_STREAM.rawValue)
        case .udp: Int32(SOCK_DGRAM.rawValue)
        }
    }
}

extension Endpoint {
    /// Calls `body` with the endpoint as a sockaddr_in or sockaddr_in6.
    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result) rethrows -> Result {
        switch address {
        case .v4(let bits):
            var value = sockaddr_in()
            value.sin_family = sa_family_t(AF_INET)
            value.sin_port = port.bigEndian
            value.sin_addr.s_addr = bits.bigEndian
            return try withUnsafePointer(to: &value) {
                try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    try body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        case .v6(let bits):
            var value = sockaddr_in6()
            value.sin6_family = sa_family_t(AF_INET6)
            value.sin6_port = port.bigEndian
            // A link-local address needs a device. Fixtures have such addresses on loopback, whose index is 1.
            if bits >> 118 == 0x3FA { value.sin6_scope_id = 1 }
            withUnsafeMutableBytes(of: &value.sin6_addr) { $0.storeBytes(of: bits.bigEndian, as: UInt128.self) }
            return try withUnsafePointer(to: &value) {
                try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    try body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
    }

    /// The endpoint that the kernel filled in; nil for another family. IPv4 within IPv6 is shown as IPv4.
    init?(_ storage: sockaddr_storage) {
        switch Int32(storage.ss_family) {
        case AF_INET:
            let value = withUnsafeBytes(of: storage) { $0.loadUnaligned(as: sockaddr_in.self) }
            self.init(.v4(UInt32(bigEndian: value.sin_addr.s_addr)), UInt16(bigEndian: value.sin_port))
        case AF_INET6:
            let value = withUnsafeBytes(of: storage) { $0.loadUnaligned(as: sockaddr_in6.self) }
            let bits = withUnsafeBytes(of: value.sin6_addr) { UInt128(bigEndian: $0.loadUnaligned(as: UInt128.self)) }
            let address: IPAddress = bits >> 32 == 0xFFFF ? .v4(UInt32(truncatingIfNeeded: bits)) : .v6(bits)
            self.init(address, UInt16(bigEndian: value.sin6_port))
        default: return nil
        }
    }
}
