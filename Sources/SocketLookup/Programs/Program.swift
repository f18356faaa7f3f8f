import Addressing
import CLinux
import Glibc
import SystemPackage

/// A loaded BPF program of type sk_lookup, and the maps of its object.
///
/// It stays loaded while this object or a link to it lives.
public final class Program {
    /// The program's name in its object.
    public let name: String
    /// Closed with the object, on deinit.
    let descriptor: Int32
    private let object: OpaquePointer

    /// Loads the object at a path.
    ///
    /// - Parameters:
    ///   - path: What a compiler with the target `bpf` made.
    ///   - named: The program's name in the object; nil for its only one.
    /// - Throws: ``SocketLookupError/call(_:errno:doing:log:)`` with the verifier's log if the kernel refuses.
    public init(object path: FilePath, named: String? = nil) throws(SocketLookupError) {
        var loaded: OpaquePointer?
        let result = clinux_bpf_load(path.string, &loaded)
        guard result == 0, let loaded else {
            throw .call("bpf_object__load", errno: -result, doing: "loading \(path)", log: libraryLog())
        }
        do throws(SocketLookupError) {
            (name, descriptor) = try Program.find(named, in: loaded, path: path.string)
            object = loaded
        } catch {
            bpf_object__close(loaded)
            throw error
        }
    }

    /// Loads the object at a path, with maps that are there already in place of its own.
    ///
    /// - Throws: ``SocketLookupError/incompatible(path:because:)`` if it lacks one of them, or has it laid out
    ///   otherwise.
    init(object path: FilePath, sharing maps: [String: Int32]) throws(SocketLookupError) {
        let sorted = maps.sorted { $0.key < $1.key }
        // The C strings live until they are freed below.
        let names = sorted.map { strdup($0.key).map { UnsafePointer($0) } }
        defer { for name in names { free(UnsafeMutableRawPointer(mutating: name)) } }
        var loaded: OpaquePointer?
        var misfit: Int32 = -1
        let result = clinux_bpf_load_with(path.string, names, sorted.map(\.value), Int32(maps.count), &misfit, &loaded)
        if misfit >= 0 {
            throw .incompatible(
                path: path.string, because: "it has no map '\(sorted[Int(misfit)].key)' that is laid out as this one's")
        }
        guard result == 0, let loaded else {
            throw .call("bpf_object__load", errno: -result, doing: "loading \(path)", log: libraryLog())
        }
        do throws(SocketLookupError) {
            (name, descriptor) = try Program.find(nil, in: loaded, path: path.string)
            object = loaded
        } catch {
            bpf_object__close(loaded)
            throw error
        }
    }

    deinit { bpf_object__close(object) }

    /// Runs the program for a packet that is not sent.
    ///
    /// The errno is the kernel's: 524 (ENOTSUPP) if it cannot test-run these programs, EOPNOTSUPP if the
    /// program selects a socket of a reuseport group.
    public func testRun(_ context: LookupContext) throws(SocketLookupError) -> LookupResult {
        try SocketLookup.testRun(descriptor, context)
    }

    /// A map of the program's object; nil if it has none of that name. It belongs to the program.
    package func map(_ name: String) -> Int32? {
        let found = bpf_object__find_map_fd_by_name(object, name)
        return found < 0 ? nil : found
    }

    private static func find(
        _ name: String?, in object: OpaquePointer, path: String
    ) throws(SocketLookupError) -> (String, Int32) {
        var names: [String] = []
        var programs: [String: Int32] = [:]
        var next = bpf_object__next_program(object, nil)
        while let program = next {
            let found = String(cString: bpf_program__name(program))
            names.append(found)
            programs[found] = bpf_program__fd(program)
            next = bpf_object__next_program(object, program)
        }
        guard let wanted = name ?? (names.count == 1 ? names.first : nil) else {
            throw .programNotNamed(object: path, has: names)
        }
        guard let descriptor = programs[wanted] else { throw .noSuchProgram(wanted, object: path, has: names) }
        return (wanted, descriptor)
    }
}

/// Runs a program for a packet that is not sent.
func testRun(_ program: Int32, _ context: LookupContext) throws(SocketLookupError) -> LookupResult {
    guard context.remote.address.family == context.local.address.family else {
        throw .familiesDiffer(remote: context.remote, local: context.local)
    }
    var lookup = clinux_lookup()
    lookup.family = UInt32(context.local.address.family.domain)
    lookup.protocol = UInt32(context.protocol.number)
    withUnsafeMutableBytes(of: &lookup.remote) { $0.copyBytes(from: context.remote.address.networkBytes) }
    withUnsafeMutableBytes(of: &lookup.local) { $0.copyBytes(from: context.local.address.networkBytes) }
    lookup.remote_port = context.remote.port
    lookup.local_port = context.local.port
    lookup.ingress_ifindex = context.ingressIndex
    var returned: UInt32 = 0
    var cookie: UInt64 = 0
    try checked("bpf(BPF_PROG_TEST_RUN)", "running a program for \(context.local)") {
        clinux_bpf_test_run(program, &lookup, &returned, &cookie)
    }
    return LookupResult(returned: Int32(bitPattern: returned), cookie: cookie)
}

/// The packet that a lookup is for.
public struct LookupContext: Hashable, Sendable {
    /// What the packet is of.
    public var `protocol`: TransportProtocol
    /// Where the packet comes from.
    public var remote: Endpoint
    /// Where the packet is going.
    public var local: Endpoint
    /// The interface it came in by. Kernels refuse any but 0 in a test run (EINVAL).
    public var ingressIndex: UInt32

    /// A packet from one endpoint to another, of one family both.
    public init(_ protocol: TransportProtocol, remote: Endpoint, local: Endpoint, ingressIndex: UInt32 = 0) {
        self.protocol = `protocol`
        self.remote = remote
        self.local = local
        self.ingressIndex = ingressIndex
    }
}

/// What a program decided.
public struct LookupResult: Hashable, Sendable {
    /// 0 drops, 1 passes.
    public var returned: Int32
    /// `SO_COOKIE` of the socket that was selected; 0 if none was.
    public var cookie: UInt64

    /// A decision: what was returned, and the cookie of the socket that was selected.
    public init(returned: Int32, cookie: UInt64) {
        self.returned = returned
        self.cookie = cookie
    }
}

/// Performs a call that returns -errno on failure.
@discardableResult
func checked(
    _ name: String, _ doing: @autoclosure () -> String, _ call: () -> Int32
) throws(SocketLookupError) -> Int32 {
    let result = call()
    guard result >= 0 else { throw .call(name, errno: -result, doing: doing(), log: nil) }
    return result
}

/// What libbpf said on this thread; nil if nothing.
func libraryLog() -> String? {
    let text = String(cString: clinux_bpf_log())
    return text.isEmpty ? nil : text
}

extension AddressFamily {
    /// AF_INET or AF_INET6.
    package var domain: Int32 { self == .ipv4 ? AF_INET : AF_INET6 }
}

extension TransportProtocol {
    /// IPPROTO_TCP or IPPROTO_UDP.
    var number: Int32 { Int32(self == .tcp ? IPPROTO_TCP : IPPROTO_UDP) }
}

extension IPAddress {
    /// Four or sixteen bytes in network order.
    var networkBytes: ArraySlice<UInt8> { mappedBytes.suffix(family.width / 8) }
}
