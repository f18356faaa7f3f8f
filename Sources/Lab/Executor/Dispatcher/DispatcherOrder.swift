import Addressing
import Glibc
import SocketLookup
import SystemPackage

/// A change to a pinned dispatcher, with all that whoever makes it has to know: this process, a thread, or another
/// process.
struct DispatcherOrder: Sendable {
    var operation: DispatcherOperation
    var location: StateLocation
    /// Where objects are.
    var programs: FilePath
    /// Of the sockets that the operation names.
    var descriptors: [FileDescriptor] = []
    var isWaiting = true

    /// Makes the change, and says what came of it; what the dispatcher refuses is the fact `refusal`.
    func perform() throws -> [String: String] {
        do throws(SocketLookupError) {
            return try change()
        } catch {
            guard let refusal = error.refusal else { throw error }
            return ["refusal": refusal]
        }
    }

    private func change() throws(SocketLookupError) -> [String: String] {
        switch operation {
        case .load(let object): try DispatcherState.load(path(of: object), at: location)
        case .unload: try DispatcherState.unload(at: location, waiting: isWaiting)
        case .upgrade(let object):
            let isAnother = try open().upgrade(to: path(of: object))
            return ["program": isAnother ? "another" : "the same"]
        case .bind(let bindings): return facts(try open().bind(bindings.map(\.binding)))
        case .unbind(let bindings): return facts(try unbind(bindings))
        case .replace(let bindings): return facts(try open().replace(with: bindings.map(\.binding)))
        case .register(let sockets): try open().register(descriptors, under: sockets.label)
        case .join(let sockets): try open().register(descriptors, under: sockets.label, replacing: false)
        case .unregister(let sockets):
            let cookies = try self.cookies()
            let gone = try open().unregister(from: sockets.label) { socket in
                descriptors.isEmpty ? socket.condition == .closed : socket.cookie.map(cookies.contains) ?? false
            }
            return ["sockets": "\(gone.count)"]
        case .drain(let sockets):
            let cookies = try self.cookies()
            let drained = try open().drain(from: sockets.label) { $0.cookie.map(cookies.contains) ?? false }
            return ["sockets": "\(drained.count)"]
        case .unpin(let name):
            let path = location.directory.appending("state").appending(name)
            guard unlink(path.string) == 0 else {
                throw .call("unlink", errno: errno, doing: "removing \(path)", log: nil)
            }
        // Answered by whoever knows the fixture's names.
        case .tell: break
        }
        return [:]
    }

    private func open() throws(SocketLookupError) -> DispatcherState {
        try DispatcherState(at: location, waiting: isWaiting)
    }

    private func path(of object: String) -> FilePath { programs.appending("\(object).bpf.o") }

    /// Of one label after another, as the state knows one label for all of them.
    private func unbind(_ bindings: [DispatcherBinding]) throws(SocketLookupError) -> BindingDifference {
        let state = try open()
        let label = bindings.first?.label
        // All or none are removed, so they are given together; they have one label, or none that counts.
        let isOne = bindings.allSatisfy { $0.label == label }
        return try state.unbind(bindings.map(\.binding.match), from: isOne ? label : nil)
    }

    private func cookies() throws(SocketLookupError) -> Set<UInt64> {
        var cookies: Set<UInt64> = []
        for descriptor in descriptors { cookies.insert(try SocketFacts(of: descriptor).cookie) }
        return cookies
    }

    private func facts(_ difference: BindingDifference) -> [String: String] {
        [
            "added": "\(difference.added.count)", "removed": "\(difference.removed.count)",
            "changed": "\(difference.changed.count)",
        ]
    }
}

extension SocketLookupError {
    /// What a dispatcher refuses, in words that are the same on every kernel; nil for a call that failed.
    var refusal: String? {
        switch self {
        case .call: nil
        case .tie(_, let match, let label): "tie with \(match), bound to '\(label)'"
        case .notBound: "not bound"
        case .boundElsewhere(_, let label, _): "bound to '\(label)'"
        case .duplicate(let match): "\(match) is there twice"
        case .mappedPrefix: "v4-mapped prefix"
        case .unsuitableLabel: "unsuitable label"
        case .unsuitableSocket(_, let because): "unsuitable socket: \(because.word)"
        case .tooManySockets(_, let limit): "more than \(limit) sockets"
        case .notLoaded: "not loaded"
        case .alreadyLoaded: "loaded already"
        case .busy: "busy"
        case .incompatible: "another layout"
        case .notADispatcher: "not a dispatcher"
        case .noFileSystem: "no BPF file system"
        case .notRegistered, .noSuchSocket: "not registered"
        default: "\(self)"
        }
    }
}

extension SocketUnsuitability {
    fileprivate var word: String {
        switch self {
        case .notADescriptor: "not a descriptor"
        case .notASocket: "not a socket"
        case .family: "family"
        case .protocol(let number): "protocol \(number)"
        case .type: "type"
        case .connected: "connected"
        case .notListening: "not listening"
        case .unbound: "unbound"
        case .otherNamespace: "other namespace"
        case .refused(let number): "refused by the kernel, \(ErrorNumber(rawValue: number))"
        }
    }
}
