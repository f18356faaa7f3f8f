import Addressing
import Glibc
import SocketLookup
import SystemPackage

// What a pinned dispatcher tells of itself, in the names of the fixture.

extension World {
    func tell(
        _ subject: DispatcherSubject, at location: StateLocation, waiting: Bool
    ) throws -> [String: String] {
        switch subject {
        case .status: return try status(at: location)
        case .bindings:
            let state = try DispatcherState(at: location, for: .looking, waiting: waiting)
            let lines = try state.bindings().map { DispatcherBinding($0).description }
            return ["bindings": lines.isEmpty ? "none" : lines.joined(separator: "; ")]
        case .sockets:
            let state = try DispatcherState(at: location, for: .looking, waiting: waiting)
            return try sockets(state.sockets())
        case .metrics:
            let state = try DispatcherState(at: location, for: .looking, waiting: waiting)
            return facts(try state.metrics())
        case .pins: return try pins(at: location)
        }
    }

    private func status(at location: StateLocation) throws -> [String: String] {
        let status = try DispatcherState.status(at: location)
        var facts = [
            "loaded": status.loaded == nil ? "no" : "yes",
            "leftovers": status.leftovers.isEmpty
                ? "none" : status.leftovers.map(\.rawValue).sorted().joined(separator: ", "),
        ]
        guard let loaded = status.loaded else { return facts }
        facts["bindings"] = "\(loaded.bindings)"
        facts["labels"] = "\(loaded.labels)"
        facts["sockets"] = "\(loaded.sockets)"
        if let program = loaded.program {
            // The kernel's hash of the instructions differs between kernels; the order of their appearance does not.
            if !programTags.contains(program.tag) { programTags.append(program.tag) }
            facts["program"] = "\((programTags.firstIndex(of: program.tag) ?? 0) + 1)"
        } else {
            facts["program"] = "not told"
        }
        return facts
    }

    /// One for each label, protocol and family: `web tcp ipv4`: who has how many shares.
    private func sockets(_ registered: [RegisteredSocket]) throws -> [String: String] {
        var facts = ["count": "\(registered.count)"]
        var lines: [String: [String]] = [:]
        for socket in registered {
            let key = "\(socket.label) \(socket.protocol.rawValue) \(socket.family.rawValue)"
            let holder = try socket.cookie.map { try name(ofCookie: $0) } ?? "(closed)"
            let text = "\(holder) \(socket.condition.rawValue) \(socket.shares)"
            lines[key, default: []].append(text)
        }
        for (key, texts) in lines { facts[key] = texts.sorted().joined(separator: ", ") }
        return facts
    }

    private func facts(_ metrics: DispatcherMetrics) -> [String: String] {
        var facts = [
            "lookups": "\(metrics.lookups)", "all": text(metrics.all), "all hits": "\(metrics.all.hits)",
            "all misses": "\(metrics.all.misses)", "all errors": "\(metrics.all.errors)",
        ]
        for counted in metrics.bindings { facts["\(counted.binding.match)"] = text(counted.counters) }
        return facts
    }

    private func text(_ counters: BindingCounters) -> String {
        "\(counters.hits) hits, \(counters.misses) misses, \(counters.errors) errors"
    }

    /// Of the whole location: who may do what is said by its directories and its pins.
    private func pins(at location: StateLocation) throws -> [String: String] {
        guard access(location.directory.string, F_OK) == 0 else { return ["directories": "none", "pins": "none"] }
        let state = location.directory.appending("state")
        let directories = try location.directory.entries()
        let pins = try access(state.string, F_OK) == 0 ? state.entries() : []
        return [
            "directories": directories.joined(separator: ", "), "pins": pins.joined(separator: ", "),
            "modes of directories": try
                ([location.base, location.directory]
                + directories.map { location.directory.appending($0) }).modes(),
            "modes of pins": try pins.map { state.appending($0) }.modes(),
        ]
    }
}

extension [FilePath] {
    /// The modes that any of them has, in octal.
    fileprivate func modes() throws -> String {
        var modes: Set<String> = []
        for path in self {
            var status = stat()
            guard stat(path.string, &status) == 0 else { throw KernelRefusal("stat") }
            modes.insert(String(status.st_mode & 0o7777, radix: 8))
        }
        return modes.sorted().joined(separator: ", ")
    }
}

extension FilePath {
    /// The names in a directory, sorted.
    fileprivate func entries() throws -> [String] {
        guard let directory = opendir(string) else { throw KernelRefusal("opendir") }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            // The kernel ends d_name with a zero byte within the entry.
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
