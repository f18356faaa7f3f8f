/// Why a step could not be performed as it is written: the fixture's fault or the lab's, never the kernel's.
public enum ExecutorError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A step names something that no earlier step made, or made and closed.
    case unknown(kind: String, name: String)
    case exists(kind: String, name: String)
    /// The action makes no sense for what it names.
    case unsuitable(String)
    case commandFailed(command: String, status: String, output: String)
    case call(String, errno: ErrorNumber, doing: String)
    case deadline(String)

    public var description: String {
        switch self {
        case .unknown(let kind, let name): "no \(kind) is named '\(name)' here: an earlier step must make it"
        case .exists(let kind, let name): "a \(kind) named '\(name)' exists already: use another name"
        case .unsuitable(let reason): reason
        case .commandFailed(let command, let status, let output): "\(command): \(status)\n\(output)"
        case .call(let call, let errno, let doing): "\(call)() failed with \(errno) while \(doing)"
        case .deadline(let what): "deadline passed: \(what)"
        }
    }
}

extension ErrorNumber {
    /// What a shim returned instead of a result: -errno.
    init(returned: some BinaryInteger) { self.init(rawValue: -Int32(truncatingIfNeeded: returned)) }
}

/// A system call that is the subject of a step failed: what the kernel answered, to be judged.
struct KernelRefusal: Error {
    var call: String
    var errno: ErrorNumber

    /// Takes the calling thread's errno.
    init(_ call: String) {
        self.call = call
        errno = .current
    }

    /// Takes what a shim returned: 0 or more, or -errno.
    @discardableResult
    static func check<Value: BinaryInteger>(_ call: String, _ returned: Value) throws(KernelRefusal) -> Value {
        guard returned >= 0 else { throw KernelRefusal(call, ErrorNumber(returned: returned)) }
        return returned
    }

    init(_ call: String, _ errno: ErrorNumber) {
        self.call = call
        self.errno = errno
    }
}
