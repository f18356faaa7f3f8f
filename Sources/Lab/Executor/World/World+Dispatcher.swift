import Addressing
import CLinux
import Glibc
import SocketLookup
import SystemPackage

extension World {
    /// Performs an operation on the dispatcher that is pinned for a namespace.
    func perform(_ step: DispatcherStep) throws -> [String: String] {
        let (opened, keepers) = try descriptors(of: step.operation)
        defer { withExtendedLifetime(keepers) {} }
        let location = try location(of: step.namespace)
        let order = DispatcherOrder(
            operation: step.operation, location: location, programs: programs, descriptors: opened,
            isWaiting: step.beside == nil)
        if step.by == .process {
            return try DispatcherProcess.perform(
                order, by: executable, base: location.base.string, namespace: namespace(step.namespace).path,
                killedAfter: step.killedAfter, deadline: deadline)
        }
        guard step.killedAfter == nil else {
            throw ExecutorError.unsuitable("only another process can be killed: say 'by: process'")
        }
        return try acting(as: step.by) {
            do {
                guard let company = step.beside else { return try answer(order) }
                let other = try DispatcherState(at: location, for: company == .changing ? .changing : .looking)
                // Held until the operation has ended.
                let facts = try answer(order)
                withExtendedLifetime(other) {}
                return facts
            } catch let error as SocketLookupError {
                guard let refusal = error.refusal else { throw error }
                return ["refusal": refusal]
            }
        }
    }

    private func answer(_ order: DispatcherOrder) throws -> [String: String] {
        guard case .tell(let subject) = order.operation else { return try order.perform() }
        return try tell(subject, at: order.location, waiting: order.isWaiting)
    }

    /// Changes a dispatcher in a thread of its own, and probes meanwhile.
    func perform(_ changes: DispatcherChanges) throws -> [String: String] {
        var orders: [DispatcherOrder] = []
        for operation in changes.changes {
            let (opened, _) = try descriptors(of: operation)
            orders.append(
                DispatcherOrder(
                    operation: operation, location: try location(of: changes.namespace), programs: programs,
                    descriptors: opened))
        }
        guard !changes.probes.isEmpty, !orders.isEmpty else {
            throw ExecutorError.unsuitable("\(Action.dispatcherChanges(changes).summary): nothing to do")
        }
        let thread = try DispatcherThread(orders, rounds: changes.rounds)
        var answers = [Set<String>](repeating: [], count: changes.probes.count)
        var (last, seen, turns, sinceChange, hasRung): (String?, Int, Int, Int, Bool) = (nil, 0, 0, 0, false)
        var made = 0
        while true {
            try Task.checkCancellation()
            for (index, probe) in changes.probes.enumerated() {
                let answer = try self.answer(to: probe)
                answers[index].insert(answer)
                if let last, answer != last { seen += 1 }
                last = answer
            }
            turns += 1
            let now = try thread.made()
            if now.count > made { (made, sinceChange, hasRung) = (now.count, 0, false) } else { sinceChange += 1 }
            if let refusal = now.refusal { return ["refusal": refusal] }
            // Two whole turns have seen the state, so the next change may come.
            guard sinceChange >= 2, !hasRung else { continue }
            if now.isOver { break }
            if made == orders.count * changes.rounds { continue }
            try thread.ring()
            hasRung = true
        }
        let list = { (names: Set<String>) in names.sorted().joined(separator: ", ") }
        var facts = [
            "changes": "\(made)", "changes of answers": "\(seen)",
            "answers": list(answers.reduce(into: []) { $0.formUnion($1) }),
            "probes": turns >= 2 * (made + 1) ? "enough" : "too few",
        ]
        for (index, names) in answers.enumerated() { facts["probe \(index + 1)"] = list(names) }
        return facts
    }

    /// Who alone got a probe and answered it from the address asked; or what happened instead.
    func answer(to probe: Probe) throws -> String {
        switch try ask(probe) {
        case .answered(let name, let source, let received)
        where received == [name] && source.address == probe.to.address:
            return name
        case .refused(let received) where received.isEmpty: return "refused"
        case let other: return other.description
        }
    }

    /// Where a namespace's dispatcher is pinned: in a file system of the fixture's own, which goes with it.
    func location(of name: String) throws -> StateLocation {
        let mount = try bpfFileSystemDescriptor()
        return try StateLocation(
            // By this process's number, so that others find it too.
            base: FilePath("/proc/\(getpid())/fd/\(mount)/binding-lab"),
            namespace: FileDescriptor(rawValue: try namespace(name).rawDescriptor))
    }

    private func descriptors(of operation: DispatcherOperation) throws -> ([FileDescriptor], [Descriptor]) {
        let sockets: DispatcherSockets
        switch operation {
        case .register(let named), .join(let named), .unregister(let named), .drain(let named): sockets = named
        default: return ([], [])
        }
        var keepers = try sockets.sockets.map { try servers[$0]?.descriptor ?? connection($0).descriptor }
        var descriptors = keepers.map(\.file)
        switch sockets.file {
        case nil: break
        case .none?: descriptors.append(FileDescriptor(rawValue: -1))
        case .some(let file):
            let opened = try Descriptor(file.open())
            keepers.append(opened)
            descriptors.append(opened.file)
        }
        return (descriptors, keepers)
    }

    /// Performs `body` as somebody else whom the pins' modes are for.
    private func acting<Success>(
        as performer: DispatcherStep.Performer?, _ body: () throws -> Success
    ) throws -> Success {
        guard let performer, performer != .process else { return try body() }
        let own = getegid()
        let stranger: UInt32 = 65534
        let acting = clinux_act_as(stranger, performer == .group ? own : stranger)
        guard acting == 0 else {
            throw ExecutorError.call("setgroups", errno: ErrorNumber(returned: acting), doing: "acting as another user")
        }
        defer {
            let restored = clinux_act_as_oneself()
            precondition(restored == 0, "a thread could not be itself again: \(ErrorNumber(returned: restored))")
        }
        return try limited(to: [.bpf], body)
    }
}

extension DispatcherSockets.File {
    fileprivate func open() throws -> Int32 {
        let closing = Int32(SOCK_CLOEXEC.rawValue)
        switch self {
        case .none: return -1
        case .pipe:
            var ends: [Int32] = [0, 0]
            try KernelRefusal.check("pipe2", clinux_pipe(&ends))
            close(ends[1])
            return ends[0]
        case .unix: return try socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | closing, 0)
        case .rawTCP: return try socket(AF_INET, Int32(SOCK_RAW.rawValue) | closing, Int32(IPPROTO_TCP))
        case .rawICMP: return try socket(AF_INET, Int32(SOCK_RAW.rawValue) | closing, Int32(IPPROTO_ICMP))
        case .mptcp: return try KernelRefusal.check("socket", clinux_mptcp_socket(AF_INET))
        }
    }

    private func socket(_ domain: Int32, _ type: Int32, _ number: Int32) throws(KernelRefusal) -> Int32 {
        let raw = Glibc.socket(domain, type, number)
        guard raw >= 0 else { throw KernelRefusal("socket") }
        return raw
    }
}
