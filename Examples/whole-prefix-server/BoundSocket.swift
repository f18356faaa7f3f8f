import Addressing
import Glibc
import Sockets
import SystemPackage

/// Opens a socket for both families that is bound to a port of every address; 0 for any port.
func boundSocket(_ type: __socket_type, port: UInt16) throws -> FileDescriptor {
    let number = socket(AF_INET6, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw Failure("socket") }
    let descriptor = FileDescriptor(rawValue: number)
    do {
        try set(IPV6_V6ONLY, of: Int32(IPPROTO_IPV6), to: 0, on: descriptor)
        guard Endpoint(.v6(0), port).withSocketAddress({ bind(number, $0, $1) }) == 0 else { throw Failure("bind") }
        return descriptor
    } catch {
        try descriptor.close()
        throw error
    }
}

/// Sets an option that is a number.
func set(_ option: Int32, of level: Int32, to value: Int32, on descriptor: FileDescriptor) throws {
    var value = value
    guard setsockopt(descriptor.rawValue, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
        throw Failure("setsockopt")
    }
}
