import Addressing
import Glibc

extension Endpoint {
    /// Calls `body` with the endpoint as a sockaddr_in or sockaddr_in6, which is there until it returns.
    ///
    /// - Parameters:
    ///   - device: The number of the interface that a link-local address is meant on; 0 for none.
    ///   - body: What to do with it; it must not keep the pointer.
    public func withSocketAddress<Result>(
        device: UInt32 = 0, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
    ) rethrows -> Result {
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
            value.sin6_scope_id = device
            withUnsafeMutableBytes(of: &value.sin6_addr) { $0.storeBytes(of: bits.bigEndian, as: UInt128.self) }
            return try withUnsafePointer(to: &value) {
                try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    try body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
    }

    /// What the kernel filled in; nil for a family other than IP's.
    ///
    /// A v4-mapped address is the IPv4 address it stands for.
    public init?(_ storage: sockaddr_storage) {
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

    /// What getsockname or getpeername says of a socket; nil where it fails, or for a family other than IP's.
    public init?(
        of descriptor: Int32,
        _ call: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(descriptor, $0, &size) }
        }
        guard result == 0 else { return nil }
        self.init(storage)
    }
}
