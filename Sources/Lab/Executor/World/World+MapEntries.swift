import CLinux
import Glibc
import SocketLookup

extension World {
    /// Changes or reads one entry of a program's map of sockets.
    func change(_ entry: MapEntry) throws -> Observation {
        guard let map = try program(entry.program).map(entry.map) else {
            throw ExecutorError.unknown(kind: "map", name: entry.map)
        }
        var key = entry.key
        switch entry.operation {
        case .update:
            let (descriptor, _keeper) = try value(of: entry)
            defer { withExtendedLifetime(_keeper) {} }
            // A map with values of four bytes reads the first four of these on a little-endian machine.
            var value = UInt64(UInt32(bitPattern: descriptor))
            let flags: UInt64 =
                switch entry.flags {
                case nil: 0  // BPF_ANY
                case .noExist: 1
                case .exist: 2
                case .invalid: 3
                }
            try KernelRefusal.check("bpf(BPF_MAP_UPDATE_ELEM)", bpf_map_update_elem(map, &key, &value, flags))
        case .delete: try KernelRefusal.check("bpf(BPF_MAP_DELETE_ELEM)", bpf_map_delete_elem(map, &key))
        case .lookUp:
            var cookie: UInt64 = 0
            try KernelRefusal.check("bpf(BPF_MAP_LOOKUP_ELEM)", bpf_map_lookup_elem(map, &key, &cookie))
            return Observation(.facts(["socket": try name(ofCookie: cookie)]))
        }
        return Observation(.succeeded)
    }

    /// Lets go of a program and its maps; an attached one stays in the kernel until its links are gone.
    func unload(_ name: String) throws {
        _ = try program(name)
        scripts[name] = nil
        dispatchers[name] = nil
        loaded[name] = nil
    }

    /// The descriptor that an update puts in, and what keeps it open until then.
    private func value(of entry: MapEntry) throws -> (Int32, Descriptor?) {
        if let socket = entry.socket {
            let descriptor = try entry.end.map { try self.descriptor(of: socket, $0) } ?? server(socket).descriptor
            return (descriptor.raw, descriptor)
        }
        let raw: Int32
        switch entry.file {
        case nil: throw ExecutorError.unsuitable("\(entry.summary): an update needs a socket or a file")
        case .none?: return (-1, nil)
        case .closed:
            raw = dup(0)
            guard raw >= 0 else { throw KernelRefusal("dup") }
            Glibc.close(raw)
            return (raw, nil)
        case .pipe:
            var ends: [Int32] = [0, 0]
            guard pipe(&ends) == 0 else { throw KernelRefusal("pipe") }
            Glibc.close(ends[1])
            raw = ends[0]
        case .raw:
            raw = Glibc.socket(AF_INET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), Int32(IPPROTO_ICMP))
            guard raw >= 0 else { throw KernelRefusal("socket") }
        case .mptcp:
            raw = try KernelRefusal.check("socket", clinux_mptcp_socket(AF_INET))
        }
        return (raw, Descriptor(raw))
    }
}
