import Addressing

extension Action {
    /// What the step does, in a line for people.
    public var summary: String {
        switch self {
        case .namespace(let name): "make namespace \(name)"
        case .devicePair(let pair):
            "connect " + pair.ends.map { "\($0.namespace)/\($0.device)" }.joined(separator: " to ")
        case .addAddress(let assignment): "add \(assignment.address) to \(assignment.namespace)/\(assignment.device)"
        case .removeAddress(let assignment):
            "remove \(assignment.address) from \(assignment.namespace)/\(assignment.device)"
        case .localPrefix(let local): "make \(local.prefix) local to \(local.namespace)"
        case .route(let route): "route \(route.to) via \(route.via) in \(route.namespace)"
        case .sysctl(let control): "set \(control.key)=\(control.value) in \(control.namespace)"
        case .socket(let socket):
            "open \(socket.protocol) socket \(socket.name) on \(socket.bind)"
                + (socket.options.isEmpty ? "" : " with \(socket.options.map(\.rawValue).joined(separator: ", "))")
                + (socket.connect.map { ", connected to \($0)" } ?? "")
        case .sockets(let range):
            "open \(range.protocol) sockets \(range.name) on each of \(range.prefix):\(range.port)"
        case .close(let name): "close \(name)"
        case .binds(let sequence): sequence.summary
        case .probe(let probe):
            "\(probe.protocol) probe from \(probe.from)" + (probe.source.map { " (\($0))" } ?? "") + " to \(probe.to)"
        case .sweep(let sweep):
            "\(sweep.protocol) probes from \(sweep.from) to \(sweep.addresses) ports \(sweep.ports)"
                + (sweep.stride == 1 ? "" : ", every \(sweep.stride). endpoint")
        case .connect(let connection):
            "\(connection.protocol) connection \(connection.name) from \(connection.from) to \(connection.to)"
        case .exchange(let name): "exchange a message over connection \(name)"
        case .load(let load): "load program \(load.object) as \(load.name)"
        case .attach(let attachment):
            "attach \(attachment.program) to namespace \(attachment.namespace) as link \(attachment.link)"
        case .detach(let link): "detach link \(link)"
        case .register(let registration): "register socket \(registration.socket) under label \(registration.label)"
        case .unregister(let registration):
            "unregister socket \(registration.socket) from label \(registration.label)"
        case .bind(let binding):
            "bind \(binding.protocol) \(binding.prefix) ports \(binding.ports) to label \(binding.label)"
        case .unbind(let binding):
            "unbind \(binding.protocol) \(binding.prefix) ports \(binding.ports) from label \(binding.label)"
        case .testRun(let run): "test-run \(run.program) for \(run.protocol) \(run.addresses) ports \(run.ports)"
        case .flood(let flood): "send \(flood.datagrams) datagrams (\(flood.name)) from \(flood.from) to \(flood.to)"
        case .drain(let name): "read everything that \(name) received"
        case .drops(let name): "read the drop counter of \(name)"
        case .arrivals(let name): "count the datagrams that \(name) received or the kernel dropped at it"
        case .exec(let command): "run in \(command.namespace): \(command.run)"
        }
    }

    /// The destination whose address an answer must come from; nil for steps that ask no one endpoint.
    public var asked: Endpoint? {
        switch self {
        case .probe(let probe): probe.to
        case .connect(let connection): connection.to
        default: nil
        }
    }
}
