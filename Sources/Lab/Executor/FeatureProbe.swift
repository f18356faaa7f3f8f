import Addressing
import CLinux
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
        case .ingressIndex: try hasIngressIndex()
        case .ipv6: try hasIPv6()
        case .devicePair: try await hasDevicePairs()
        }
    }

    private func hasIngressIndex() throws -> Bool {
        let program = try ["r0 = *(u32 *)(r1 + 64)", "r0 = 1", "exit"].map { try Instruction(text: $0) }
        switch verify(
            program.flatMap(\.words), type: BPF_PROG_TYPE_SK_LOOKUP, attachType: BPF_SK_LOOKUP, license: "GPL")
        {
        case .accepted: return true
        case .refused(EACCES, _): return false
        case .refused(let errno, _):
            throw ExecutorError.call(
                "bpf(BPF_PROG_LOAD)", errno: ErrorNumber(rawValue: errno), doing: "probing for ingress_ifindex")
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
