import Addressing
import Glibc

/// What went wrong with a program, a link or a dispatcher.
public enum SocketLookupError: Error, Hashable, Sendable {
    /// The kernel or libbpf refused. `log` is what libbpf and the verifier said, if anything.
    case call(String, errno: Int32, doing: String, log: String?)

    /// An object has no program of that name.
    case noSuchProgram(String, object: String, has: [String])
    /// An object has several programs, and none was named.
    case programNotNamed(object: String, has: [String])
    /// A program without the dispatcher's maps, or with maps of another shape.
    case notADispatcher(program: String, because: String)
    /// A program without the maps of a scripted one.
    case notScripted(program: String)
    /// More operations than a scripted program has room for.
    case scriptTooLong(count: Int, limit: Int)
    /// A packet cannot have addresses of two families.
    case familiesDiffer(remote: Endpoint, local: Endpoint)

    /// IPv4 packets have IPv4 addresses, whatever socket receives them.
    case mappedPrefix(Match)
    /// Neither of two bindings is more specific than the other.
    case tie(Match, with: Match, label: String)
    /// No binding has this match.
    case notBound(Match)
    /// A binding leads to another label than it was said to.
    case boundElsewhere(Match, to: String, not: String)
    /// A set names one match twice.
    case duplicate(Match)
    /// All prefixes together, each with what it inherits, have more port ranges than there is room for.
    case tooManyRanges(count: Int, limit: Int)
    /// A set has more bindings than counters could be had for.
    case tooManyBindings(limit: Int)
    /// All labels that a dispatcher can have are bound, or have sockets.
    case tooManyLabels(String, limit: Int)
    /// Not 1–64 bytes.
    case unsuitableLabel(String)

    /// A socket that no binding could lead to.
    case unsuitableSocket(descriptor: Int32, because: SocketUnsuitability)
    /// A label has as many sockets as it can, those that drain included.
    case tooManySockets(label: String, limit: Int)
    /// No socket with this cookie (`SO_COOKIE`) is under the label.
    case noSuchSocket(cookie: UInt64, label: String)

    /// No BPF file system is mounted there.
    case noFileSystem(path: String)
    /// A namespace has no dispatcher.
    case notLoaded(path: String)
    /// A namespace has a dispatcher, and can have one at one place.
    case alreadyLoaded(path: String)
    /// Another process is changing the dispatcher.
    case busy(path: String)
    /// A dispatcher's state has another layout than this library's.
    case incompatible(path: String, because: String)
    /// The socket is not, or no longer, under the label.
    case notRegistered(descriptor: Int32, label: String)
}

extension SocketLookupError: CustomStringConvertible {
    /// What failed, on what, and what to do about it.
    public var description: String {
        switch self {
        case .call(let name, let number, let doing, let log):
            "\(name) failed while \(doing): \(errorText(number))" + (log.map { "\n\($0)" } ?? "")
        case .noSuchProgram(let name, let object, let has):
            "\(object) has no program '\(name)': it has \(list(has))"
        case .programNotNamed(let object, let has):
            "\(object) has \(has.isEmpty ? "no program" : "several programs, \(list(has)): name one")"
        case .notADispatcher(let program, let because):
            "the program '\(program)' is not a dispatcher: \(because); load dispatch.bpf.o"
        case .notScripted(let program): "the program '\(program)' takes no script: load script.bpf.o"
        case .scriptTooLong(let count, let limit): "a script of \(count) operations is too long: it can have \(limit)"
        case .familiesDiffer(let remote, let local):
            "a packet from \(remote) to \(local) has addresses of two families: give both the same"
        case .mappedPrefix(let match):
            "\(match) is a v4-mapped prefix, which no packet bears: bind the IPv4 prefix"
        case .tie(let match, let other, let label):
            "\(match) ties with \(other), bound to '\(label)': they overlap and are equally wide; "
                + "unbind that one, or make one of them narrower"
        case .notBound(let match):
            "\(match) is not bound: name a binding's protocol, prefix and ports exactly"
        case .boundElsewhere(let match, let label, let asked):
            "\(match) is bound to '\(label)', not to '\(asked)'"
        case .duplicate(let match): "\(match) is there twice: leave one out"
        case .tooManyRanges(let count, let limit):
            "the prefixes, each with the port ranges of wider ones, would have \(count) ranges, and can have \(limit): "
                + "use fewer, wider ranges on wide prefixes"
        case .tooManyBindings(let limit): "a dispatcher can have \(limit) bindings"
        case .tooManyLabels(let label, let limit):
            "there is no room for the label '\(label)': a dispatcher can have \(limit)"
        case .unsuitableSocket(let descriptor, let because):
            "the socket \(descriptor) cannot be registered: \(because)"
        case .unsuitableLabel(let label): "'\(label)' cannot be a label: it must have 1 to 64 bytes, none of them zero"
        case .tooManySockets(let label, let limit):
            "there is no room for another socket under '\(label)': it can have \(limit) for each protocol and family; "
                + "use a reuseport group, which counts as one"
        case .noSuchSocket(let cookie, let label): "no socket with the cookie \(cookie) is registered under '\(label)'"
        case .noFileSystem(let path):
            "no BPF file system is mounted at \(path): mount -t bpf bpf /sys/fs/bpf"
        case .notLoaded(let path): "this network namespace has no dispatcher (\(path)): load one"
        case .alreadyLoaded(let path): "this network namespace has a dispatcher (\(path)): unload or upgrade it"
        case .busy(let path): "another process is changing the dispatcher (\(path)): try again"
        case .incompatible(let path, let because):
            "\(path) is of another version of the dispatcher: \(because); unload it with that version, then load this"
        case .notRegistered(let descriptor, let label):
            "the socket \(descriptor) is not registered under '\(label)'"
        }
    }

    private func errorText(_ number: Int32) -> String {
        // The kernel's own ENOTSUPP, which no libc knows and libbpf passes on.
        number == 524 ? "operation not supported (ENOTSUPP)" : "\(String(cString: strerror(number))) (errno \(number))"
    }

    private func list(_ names: [String]) -> String {
        names.isEmpty ? "none" : names.map { "'\($0)'" }.joined(separator: ", ")
    }
}
