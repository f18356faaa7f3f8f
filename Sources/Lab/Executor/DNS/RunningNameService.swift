import CLinux
import Glibc
import PolicyDNS

/// A worker of the server, which answers while a step waits.
final class RunningNameService {
    let worker: Worker
    private let sockets: [ServerSocket]

    init(_ configuration: Configuration, on sockets: [ServerSocket]) throws {
        self.sockets = sockets
        worker = try Worker(try Service(configuration), sockets: sockets)
    }

    func reload(_ configuration: Configuration) throws {
        try worker.adopt(try Service(configuration), sockets: sockets)
    }
}

extension World {
    func serve(_ description: NameService) throws {
        try unused(nameServices[description.name] != nil, "name service", description.name)
        let sockets = try description.sockets.map { served in
            let server = try server(served.socket)
            loop.remove(server.descriptor)
            return try ServerSocket(
                sharing: server.descriptor.raw, label: served.label ?? Configuration.Listener.defaultLabel)
        }
        let service = try RunningNameService(description.configuration, on: sockets)
        if description.answersFrom == .picked {
            for served in description.sockets { try server(served.socket).descriptor.forgetDestinations() }
        }
        nameServices[description.name] = service
        try loop.add(service.worker.pollDescriptor, CLINUX_READABLE) { _ in _ = try service.worker.turn(waiting: 0) }
    }

    func reload(_ reload: NameServiceReload) throws {
        guard let service = nameServices[reload.service] else {
            throw ExecutorError.unknown(kind: "name service", name: reload.service)
        }
        try service.reload(reload.configuration)
    }
}

extension Descriptor {
    /// Has a UDP socket not told the destination of datagrams, whatever was asked for before.
    fileprivate func forgetDestinations() throws(KernelRefusal) {
        // On a TCP socket, both are set without effect.
        if localEndpoint?.address.family == .ipv6 {
            try set(Int32(IPPROTO_IPV6), IPV6_RECVPKTINFO, to: 0)
        } else {
            try set(Int32(IPPROTO_IP), IP_PKTINFO, to: 0)
        }
    }
}
