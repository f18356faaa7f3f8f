import Addressing
import CLinux
import Glibc
import SystemPackage
import Testing

@testable import SocketLookup

/// A namespace and a BPF file system of a test's own, for a dispatcher pinned there. Closed by `close()`.
final class PinnedDispatcher {
    let namespace: TestNamespace
    let location: StateLocation
    let object: FilePath
    private let fileSystem: Int32

    /// - Parameter loading: Whether the dispatcher is there from the start.
    init(loading: Bool = true) async throws {
        object = try await PinnedDispatcher.compile()
        namespace = try TestNamespace()
        fileSystem = clinux_bpf_file_system()
        try #require(fileSystem >= 0)
        // By the process's number, so that a child finds it too.
        location = try StateLocation(
            base: FilePath("/proc/\(getpid())/fd/\(fileSystem)/binding-lab"), namespace: namespace.descriptor)
        if loading { try DispatcherState.load(object, at: location) }
    }

    func close() {
        // Nothing else holds the link, so this detaches it too.
        Glibc.close(fileSystem)
        namespace.close()
        unlink(object.string)
    }

    /// The dispatcher's source compiled, with `changes` made to it.
    static func compile(_ changes: [(String, String)] = []) async throws -> FilePath {
        let root = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
            .removingLastComponent()
        let file = try FileDescriptor.open(root.appending("bpf/dispatch.bpf.c"), .readOnly)
        defer { try? file.close() }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0) }
        var source = String(decoding: bytes[..<count], as: UTF8.self)
        for (old, new) in changes {
            try #require(source.contains(old), "the source has no '\(old)'")
            source = source.split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
        }
        return try await CompiledPrograms.compile(source, named: "dispatch")
    }

    func open() throws -> DispatcherState { try DispatcherState(at: location) }

    /// What the program that is pinned decides about a packet.
    func decision(
        _ protocol: TransportProtocol, _ local: String, from port: UInt16 = 1024
    ) throws -> LookupResult {
        let program = try Pins.open(location.state.appending("program"))
        defer { Glibc.close(program) }
        let local = try Endpoint(text: local)
        return try testRun(
            program,
            LookupContext(
                `protocol`, remote: Endpoint(IPAddress(family: local.address.family, bits: 1), port), local: local))
    }

    /// The names below the location, sorted; nil if there is none.
    var names: [String: [String]]? {
        guard let directories = try? Pins.names(in: location.directory) else { return nil }
        return Dictionary(
            uniqueKeysWithValues: directories.map {
                ($0, ((try? Pins.names(in: location.directory.appending($0))) ?? []).sorted())
            })
    }

    /// What a state without counters of more than a thousand bindings has.
    func pins(generation: UInt32) -> [String] {
        (DispatchMaps.Name.allCases.map(\.rawValue) + ["info", "link", "names", "program", "records-\(generation)"])
            .sorted()
    }
}

func binding(
    _ protocol: TransportProtocol, _ prefix: String, _ ports: String, to label: String,
    otherwise: Fallback = .drop
) throws -> Binding {
    Binding(
        Match(`protocol`, try Prefix(text: prefix), try PortRange(text: ports)), to: label, otherwise: otherwise)
}

func binding(
    _ prefix: String, _ ports: String, to label: String, otherwise: Fallback = .drop
) throws -> Binding {
    try binding(.tcp, prefix, ports, to: label, otherwise: otherwise)
}
