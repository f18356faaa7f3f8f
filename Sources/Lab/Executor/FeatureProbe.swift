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
        case .listenerMigration: try hasListenerMigration()
        case .ingressIndex: try hasIngressIndex()
        case .ipv6: try hasIPv6()
        case .devicePair: try await hasDevicePairs()
        case .ownTCPTable: try hasControl("net.ipv4.tcp_child_ehash_entries")
        case .ownUDPTable: try hasControl("net.ipv4.udp_child_hash_entries")
        case .synCookies: try hasControl("net.ipv4.tcp_syncookies")
        case .socketDiag: try await hasSocketDiag()
        case .mptcp: hasMPTCP()
        case .unprivilegedBPFDisabled: try refusesUnprivileged()
        case .typeInformation: access("/sys/kernel/btf/vmlinux", F_OK) == 0
        case .unbound: RunningDaemon.searchPath.split(separator: ":").contains { access("\($0)/unbound", X_OK) == 0 }
        }
    }

    private func refusesUnprivileged() throws -> Bool {
        let namespace = try Namespace(name: "probe")
        let key = "kernel.unprivileged_bpf_disabled"
        // Where it does not exist, nothing forbids anything.
        guard try namespace.has(key) else { return false }
        return try namespace.read("/proc/sys/kernel/unprivileged_bpf_disabled").first != "0"
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

    /// Whether a program may be asked where a connection goes.
    private func hasListenerMigration() throws -> Bool {
        let object = programs.appending("reuseport_migrate.bpf.o")
        do {
            _ = try Program(object: object)
            return true
        } catch SocketLookupError.call(_, let errno, _, _) where [EINVAL, EACCES].contains(errno) {
            // What the verifier says of a field of the context that the kernel does not know.
            return false
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

    private func hasControl(_ key: String) throws -> Bool {
        try Namespace(name: "probe").has(key)
    }

    /// Looks for a socket that there is, of each protocol.
    private func hasSocketDiag() async throws -> Bool {
        let world = try World(programs: programs)
        try await world.makeNamespace("probe")
        for transport in TransportProtocol.allCases {
            let local = Endpoint(.loopback(.ipv4), 1)
            try world.open(SocketDescription(transport.rawValue, in: "probe", transport, bind: local))
            do {
                let remote = Endpoint(.loopback(.ipv4), 2)
                _ = try world.look(for: SocketQuery(in: "probe", transport, local: local, remote: remote))
            } catch let refusal as KernelRefusal where refusal.call == "socket" || refusal.errno.rawValue == ENOENT {
                return false
            }
        }
        return true
    }

    private func hasMPTCP() -> Bool {
        let raw = clinux_mptcp_socket(AF_INET)
        guard raw >= 0 else { return false }
        Glibc.close(raw)
        return true
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
