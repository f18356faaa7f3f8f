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
        case .setOption(let change): "set \(change.option.rawValue) of \(change.socket)"
        case .probe(let probe):
            "\(probe.protocol) probe from \(probe.from)" + (probe.source.map { " (\($0))" } ?? "") + " to \(probe.to)"
        case .sweep(let sweep):
            "\(sweep.protocol) probes from \(sweep.from) to \(sweep.addresses) ports \(sweep.ports)"
                + (sweep.stride == 1 ? "" : ", every \(sweep.stride). endpoint")
        case .connect(let connection):
            "\(connection.protocol) connection \(connection.name) from \(connection.from) to \(connection.to)"
        case .exchange(let name): "exchange a message over connection \(name)"
        case .spread(let spread):
            "begin \(spread.protocol) flows from \(spread.from) to \(spread.to), each twice"
        case .removeNamespace(let name): "let namespace \(name) go"
        case .load(let load):
            "load program \(load.object) as \(load.name)" + describe(load.script) + only(load.capabilities)
        case .script(let change): "let \(change.program) do\(describe(change.operations))"
        case .recorded(let name): "read what \(name) saw and did"
        case .ran(let names): "count how often \(names.joined(separator: ", ")) ran, and in which order"
        case .attach(let attachment):
            "attach \(attachment.program) to namespace \(attachment.namespace) as link \(attachment.link)"
                + (attachment.copies.map { ", \($0) times" } ?? "")
                + (attachment.flags.map { " with flags \($0)" } ?? "") + only(attachment.capabilities)
        case .attachWithoutLink(let attachment):
            "attach \(attachment.program) to namespace \(attachment.namespace) without a link"
        case .detachWithoutLink(let attachment):
            "detach \(attachment.program) from namespace \(attachment.namespace) without a link"
        case .updateLink(let update):
            "update link \(update.link) to \(update.program)"
                + (update.replacing.map { ", replacing \($0)" } ?? "") + only(update.capabilities)
        case .linkInformation(let link): "ask the kernel about link \(link)"
        case .query(let query):
            "query the programs of namespace \(query.namespace)" + (query.room.map { ", room for \($0)" } ?? "")
                + (query.flags.map { ", flags \($0)" } ?? "")
        case .pinLink(let pin): "pin link \(pin.link) at \(pin.at)"
        case .openLink(let pin): "open the link pinned at \(pin.at) as \(pin.link)"
        case .unpin(let name): "unpin \(name)"
        case .letGoOfLink(let link): "close the descriptor of link \(link)"
        case .detach(let link): "detach link \(link)"
        case .register(let registration): "register socket \(registration.socket) under label \(registration.label)"
        case .unregister(let registration):
            "unregister socket \(registration.socket) from label \(registration.label)"
        case .bind(let binding):
            "bind \(binding.protocol) \(binding.prefix) ports \(binding.ports) to label \(binding.label)"
        case .unbind(let binding):
            "unbind \(binding.protocol) \(binding.prefix) ports \(binding.ports) from label \(binding.label)"
        case .testRun(let run): "test-run \(run.program) for \(run.protocol) \(run.addresses) ports \(run.ports)"
        case .attachReuseport(let attachment):
            "attach \(attachment.program) to the reuseport group of \(attachment.socket)"
        case .attachReuseportFilter(let filter):
            "attach a filter that picks member \(filter.member) to the reuseport group of \(filter.socket)"
        case .backlog(let name): "ask what \(name) has to accept, and whether it was told"
        case .detachReuseport(let name): "detach the program of the reuseport group of \(name)"
        case .testRunContext(let run):
            "test-run \(run.program)"
                + (run.context == nil ? " without a context" : " with a context of \(run.size) bytes")
        case .context(let reading):
            "read what \(reading.program) saw in lookup \(reading.lookup)"
        case .verify(let verification):
            "offer to the verifier: \(verification.programs.keys.sorted().joined(separator: ", "))"
        case .contextAccesses(let accesses):
            "offer to the verifier: each \(accesses.kind.rawValue) of the context at \(accesses.from)…\(accesses.through)"
        case .flood(let flood): "send \(flood.datagrams) datagrams (\(flood.name)) from \(flood.from) to \(flood.to)"
        case .drain(let name): "read everything that \(name) received"
        case .drops(let name): "read the drop counter of \(name)"
        case .arrivals(let name): "count the datagrams that \(name) received or the kernel dropped at it"
        case .exec(let command): "run in \(command.namespace): \(command.run)"
        case .childNamespace(let child): "make namespace \(child.name) from within \(child.parent)"
        case .icmpError(let error): error.summary
        case .call(let call): call.summary
        case .socketDiag(let query):
            "ask for the \(query.protocol) socket from \(query.remote) to \(query.local) in \(query.namespace)"
        case .countSockets(let count): "count the sockets of \(count.namespace)"
        case .choosePorts(let choice): choice.summary
        case .endpoints(let name): "ask both ends of connection \(name) for their names"
        case .mapEntry(let entry): entry.summary
        case .unload(let name): "unload \(name) and its maps"
        case .dispatcher(let step): step.summary
        case .dispatcherChanges(let changes): changes.summary
        case .dispatcherModel(let model): model.summary
        case .nameService(let service): service.summary
        case .nameServiceReload(let reload): "give \(reload.service) another configuration"
        case .nameQuery(let query): query.summary
        case .nameSurvey(let survey): survey.summary
        case .compareSurveys(let names): "compare the answers of the surveys \(names.joined(separator: ", "))"
        case .sites(let service):
            "make \(service.socket) \(service.sites.count) sites below \(service.sites.below)"
        case .visit(let visits): visits.summary
        case .revisit(let revisits): revisits.summary
        case .daemon(let daemon): daemon.summary
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

private func describe(_ script: [ScriptOperation]?) -> String {
    script.map { ": " + $0.map(\.description).joined(separator: "; ") } ?? ""
}

private func only(_ capabilities: [Capability]?) -> String {
    guard let capabilities else { return "" }
    return capabilities.isEmpty
        ? " without any capability"
        : " with only the capabilities \(capabilities.map(\.rawValue).joined(separator: ", "))"
}
