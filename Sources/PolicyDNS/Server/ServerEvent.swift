import Addressing

/// What happens to a server that its log should tell. Single queries are counted, not told.
public enum ServerEvent: Hashable, Sendable {
    /// A socket is served from now on.
    case listening(TransportProtocol, Endpoint, label: String, given: Bool)
    /// A socket is not served any more.
    case closed(TransportProtocol, Endpoint)
    /// A configuration took effect.
    case reloaded
    /// A configuration was refused; the one before it stays.
    case reloadRefused(because: String)
    /// Connections cannot be accepted, for want of descriptors or memory, say; it is tried again.
    case acceptFailed(Endpoint, errno: Int32)
    /// What is queued is still answered, and nothing else.
    case draining(worker: Int)
    /// A worker ended; `because` is nil unless it failed.
    case workerEnded(Int, because: ServerError?)
}

extension ServerEvent: CustomStringConvertible {
    public var description: String {
        switch self {
        case .listening(let transport, let address, let label, let given):
            "listening on \(transport) \(address), label '\(label)'" + (given ? ", a socket handed over" : "")
        case .closed(let transport, let address): "closed \(transport) \(address)"
        case .reloaded: "reloaded"
        case .reloadRefused(let because): "reload refused, the configuration stays: \(because)"
        case .acceptFailed(let address, let errno):
            "cannot accept connections on \(address) for now: \(ServerError.text(errno))"
        case .draining(let worker): "worker \(worker) is draining"
        case .workerEnded(let worker, nil): "worker \(worker) ended"
        case .workerEnded(let worker, let because?): "worker \(worker) failed: \(because)"
        }
    }
}
