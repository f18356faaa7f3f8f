import Addressing
import Glibc
import SocketLookup
import SystemPackage

/// Finds out, by trying, what the running kernel has.
struct FeatureProbe {
    let programs: FilePath

    func has(_ feature: Feature) async throws -> Bool {
        switch feature {
        case .skLookup: try KernelSupport.skLookup()
        case .testRun: try KernelSupport.testRun()
        case .listenerMigration: try Namespace(name: "probe").has("net.ipv4.tcp_migrate_req")
        case .ipv6: try hasIPv6()
        case .devicePair: try await hasDevicePairs()
        }
    }

    private func hasIPv6() throws -> Bool {
        do {
            _ = try Descriptor.socket(.ipv6, .udp)
            return true
        } catch  where error.errno.rawValue == EAFNOSUPPORT {
            return false
        }
    }

    private func hasDevicePairs() async throws -> Bool {
        let world = try World(programs: programs)
        try await world.makeNamespace("probe")
        do {
            try await world.makeNamespace("peer")
            try await world.make(
                DevicePair(
                    .init(namespace: "probe", device: "left", addresses: []),
                    .init(namespace: "peer", device: "right", addresses: [])))
            return true
        } catch ExecutorError.commandFailed(_, _, let output) where output.contains("Unknown device type") {
            return false
        }
    }
}
