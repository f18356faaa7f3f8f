/// What is done to, or asked of, the dispatcher that is pinned for a namespace.
public enum DispatcherOperation: Hashable, Sendable {
    /// Of an object: `dispatch`.
    case load(String)
    case unload
    /// To the program of another object.
    case upgrade(String)
    case bind([DispatcherBinding])
    /// From the labels that they name.
    case unbind([DispatcherBinding])
    case replace([DispatcherBinding])
    /// In the place of the label's sockets of their protocols and families.
    case register(DispatcherSockets)
    /// Beside the label's sockets.
    case join(DispatcherSockets)
    /// None named: those that were closed.
    case unregister(DispatcherSockets)
    case drain(DispatcherSockets)
    case tell(DispatcherSubject)
    /// Removes one of the names in its directory.
    case unpin(String)
}

/// Sockets under a label.
public struct DispatcherSockets: Hashable, Sendable, Codable {
    public var label: String
    /// Servers' sockets, or connections, of which the client's end is meant.
    public var sockets: [String]
    /// A descriptor that is none of the fixture's sockets.
    public var file: File?

    public enum File: String, Hashable, Sendable, Codable, CaseIterable {
        /// -1.
        case none
        case pipe
        /// Of AF_UNIX, a stream.
        case unix
        /// Of TCP's number, and of ICMP's.
        case rawTCP = "raw-tcp"
        case rawICMP = "raw-icmp"
        case mptcp
    }

    public init(_ label: String, _ sockets: [String] = [], file: File? = nil) {
        self.label = label
        self.sockets = sockets
        self.file = file
    }
}

public enum DispatcherSubject: String, Hashable, Sendable, Codable, CaseIterable {
    case status, bindings, sockets, metrics
    /// The names in its directory, and their modes.
    case pins
}

/// One operation on the dispatcher that is pinned for a namespace, in a BPF file system of the fixture's own.
public struct DispatcherStep: Hashable, Sendable {
    public var namespace: String
    public var operation: DispatcherOperation
    /// Nil is the process that performs the steps.
    public var by: Performer?
    /// The step of the change after which a process that performs it kills itself.
    public var killedAfter: String?
    /// Somebody else has it locked meanwhile, and is not waited for.
    public var beside: Company?

    public enum Performer: String, Hashable, Sendable, Codable, CaseIterable {
        /// Another process, which ends then.
        case process
        /// A member of the group of the pins, with CAP_BPF alone.
        case group
        /// Somebody else, with CAP_BPF alone.
        case others
    }

    public enum Company: String, Hashable, Sendable, Codable, CaseIterable {
        case changing, looking
    }

    public init(
        _ operation: DispatcherOperation, in namespace: String, by performer: Performer? = nil,
        killedAfter: String? = nil, beside company: Company? = nil
    ) {
        self.namespace = namespace
        self.operation = operation
        by = performer
        self.killedAfter = killedAfter
        beside = company
    }
}

extension DispatcherOperation {
    var summary: String {
        func list(_ bindings: [DispatcherBinding]) -> String {
            let shown = bindings.prefix(3).map(\.description).joined(separator: "; ")
            return bindings.count > 3 ? "\(shown); … (\(bindings.count) in all)" : shown
        }
        func list(_ sockets: DispatcherSockets) -> String {
            (sockets.sockets + (sockets.file.map { ["(\($0.rawValue))"] } ?? [])).joined(separator: ", ")
        }
        return switch self {
        case .load(let object): "load \(object)"
        case .unload: "unload"
        case .upgrade(let object): "upgrade to \(object)"
        case .bind(let bindings): "bind \(list(bindings))"
        case .unbind(let bindings): "unbind \(list(bindings))"
        case .replace(let bindings): "replace all bindings by \(bindings.isEmpty ? "none" : list(bindings))"
        case .register(let sockets): "register \(list(sockets)) under '\(sockets.label)'"
        case .join(let sockets): "register \(list(sockets)) beside the others under '\(sockets.label)'"
        case .unregister(let sockets): "unregister \(list(sockets)) from '\(sockets.label)'"
        case .drain(let sockets): "drain \(list(sockets)) under '\(sockets.label)'"
        case .tell(let subject): "tell its \(subject.rawValue)"
        case .unpin(let name): "remove its pin '\(name)'"
        }
    }

    /// What it names, to be checked before the fixture begins.
    var sockets: [String] {
        switch self {
        case .register(let sockets), .join(let sockets), .unregister(let sockets), .drain(let sockets): sockets.sockets
        default: []
        }
    }
}

extension DispatcherStep {
    var summary: String {
        "dispatcher of \(namespace): \(operation.summary)"
            + (by.map { $0 == .process ? " (another process)" : " (by \($0.rawValue))" } ?? "")
            + (killedAfter.map { ", killed after \($0)" } ?? "")
            + (beside.map { ", while somebody is \($0.rawValue)" } ?? "")
    }
}
