import Addressing
import CLinux
import Glibc
import Subprocess
import SystemPackage
import Testing

@testable import SocketLookup

/// The programs under bpf/, compiled for the test that asks.
enum CompiledPrograms {
    static func load(_ name: String) async throws -> Program {
        let root = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        let directory = name == "dispatch" ? "bpf" : "bpf/probes"
        let object = try await compile("#include \"\(root)/\(directory)/\(name).bpf.c\"\n", named: name)
        defer { unlink(object.string) }
        return try Program(object: object, named: name)
    }

    /// Compiles C into an object that the caller removes.
    static func compile(_ source: String, named name: String) async throws -> FilePath {
        let object = FilePath("/tmp/binding-lab-\(name)-\(UInt64.random(in: 0 ... .max)).bpf.o")
        let result = try await run(
            .name("clang"),
            arguments: [
                "-O2", "-g", "-Wall", "-Werror", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu",
                "-c", "-x", "c", "-", "-o", object.string,
            ], input: .string(source), output: .discarded, error: .string(limit: 1 << 16))
        try #require(result.terminationStatus.isSuccess, "\(result.standardError)")
        return object
    }
}

/// Why tests that need the kernel's sk_lookup cannot run here; nil if they can.
let obstacleToSocketLookup: String? = {
    if TestKernels.areRequired { return nil }
    if geteuid() != 0 { return "not root: run `sudo swift test`" }
    do throws(SocketLookupError) {
        return try KernelSupport.skLookup() ? nil : "this kernel has no sk_lookup: run `make vm-test`"
    } catch {
        return error.description
    }
}()

/// A network namespace with its loopback up, and the sockets that were made in it.
///
/// Closed by `defer { namespace.close() }`, which also keeps it until then.
final class TestNamespace {
    let descriptor: FileDescriptor
    private var sockets: [FileDescriptor] = []

    init() throws {
        let descriptor = clinux_new_network_namespace()
        try #require(descriptor >= 0, "unshare: \(-descriptor)")
        self.descriptor = FileDescriptor(rawValue: descriptor)
        try inside {
            let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            defer { Glibc.close(socket) }
            var request = ifreq()
            withUnsafeMutableBytes(of: &request) { $0.copyBytes(from: Array("lo".utf8)) }
            request.ifr_ifru.ifru_flags = Int16(IFF_UP)
            try #require(ioctl(socket, UInt(SIOCSIFFLAGS), &request) == 0)
        }
    }

    func close() {
        for socket in sockets + [descriptor] { try? socket.close() }
        sockets = []
    }

    /// Closes one socket early. Not by itself: its number would be closed again.
    func close(_ socket: FileDescriptor) throws {
        sockets.removeAll { $0 == socket }
        try socket.close()
    }

    /// Performs synchronous work in the namespace: an await could resume on a thread that is elsewhere.
    func inside<Result>(_ work: () throws -> Result) throws -> Result {
        try TestNamespace.inside(descriptor.rawValue, work)
    }

    /// Performs synchronous work in a namespace that a descriptor stands for.
    static func inside<Result>(_ namespace: Int32, _ work: () throws -> Result) throws -> Result {
        let home = clinux_current_network_namespace()
        try #require(home >= 0)
        defer { Glibc.close(home) }
        try #require(clinux_enter_network_namespace(namespace) == 0)
        // A thread that cannot come back would spoil other tests.
        defer { precondition(clinux_enter_network_namespace(home) == 0) }
        return try work()
    }

    /// A bound socket; a TCP one listens.
    func socket(
        _ protocol: TransportProtocol, _ endpoint: String, v6Only: Bool = true
    ) throws -> (descriptor: FileDescriptor, cookie: UInt64) {
        try inside {
            let endpoint = try Endpoint(text: endpoint)
            let type = `protocol` == .tcp ? SOCK_STREAM : SOCK_DGRAM
            let fd = Glibc.socket(
                endpoint.address.family.domain, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            try #require(fd >= 0)
            let descriptor = FileDescriptor(rawValue: fd)
            sockets.append(descriptor)
            if endpoint.address.family == .ipv6 {
                var only: Int32 = v6Only ? 1 : 0
                setsockopt(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &only, socklen_t(MemoryLayout<Int32>.size))
            }
            var (storage, size) = endpoint.socketAddress
            let bound = withUnsafePointer(to: &storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(fd, $0, size) }
            }
            try #require(bound == 0, "bind \(endpoint): errno \(errno)")
            if `protocol` == .tcp { try #require(listen(fd, 8) == 0) }
            return (descriptor, try SocketFacts(of: descriptor).cookie)
        }
    }
}

extension Endpoint {
    var socketAddress: (sockaddr_storage, socklen_t) {
        var storage = sockaddr_storage()
        let size: Int
        switch address.family {
        case .ipv4:
            var v4 = sockaddr_in()
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &v4.sin_addr) { $0.copyBytes(from: address.networkBytes) }
            size = MemoryLayout<sockaddr_in>.size
            withUnsafeMutableBytes(of: &storage) { storage in withUnsafeBytes(of: v4) { storage.copyMemory(from: $0) } }
        case .ipv6:
            var v6 = sockaddr_in6()
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &v6.sin6_addr) { $0.copyBytes(from: address.networkBytes) }
            size = MemoryLayout<sockaddr_in6>.size
            withUnsafeMutableBytes(of: &storage) { storage in withUnsafeBytes(of: v6) { storage.copyMemory(from: $0) } }
        }
        return (storage, socklen_t(size))
    }
}
