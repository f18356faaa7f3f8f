import Addressing
import SocketLookup
import SystemPackage

/// Finds out, by trying, what the running kernel has.
struct FeatureProbe {
    let programs: FilePath

    func has(_ feature: Feature) async throws -> Bool {
        switch feature {
        case .skLookup: try KernelSupport.skLookup()
        case .testRun: try KernelSupport.testRun()
        case .ipv6:
            (try? Descriptor.socket(.ipv6, .udp)) != nil
        case .veth: try await hasLinks()
        }
    }

    private func hasLinks() async throws -> Bool {
        let world = try World(programs: programs)
        try await world.makeNamespace("probe")
        do {
            try await world.makeLink(
                VirtualLink(
                    .init(namespace: "probe", device: "left", addresses: []),
                    .init(namespace: "probe", device: "right", addresses: [])))
            return true
        } catch ExecutorError.commandFailed {
            return false
        }
    }
}
