import Addressing

/// A configuration made ready for answering: checked, with its names, pools and policies looked up.
///
/// Immutable, and shared by all workers; a reload makes another one.
public final class Service: Sendable {
    public let configuration: Configuration
    /// The labels of listeners, by index.
    public let labels: [String]
    /// The names of policies, by index.
    public let policies: [String]

    public init(_ configuration: Configuration) {
        self.configuration = configuration
        labels = configuration.listeners.map { $0.label ?? Configuration.Listener.defaultLabel }
        policies = configuration.policies.map(\.name)
    }
}

/// Answers queries, one at a time: what one worker holds.
public struct Responder: ~Copyable {
    public private(set) var service: Service

    public init(_ service: Service) {
        self.service = service
    }

    /// Answers from another configuration from the next query on.
    public mutating func adopt(_ service: Service) { self.service = service }

    /// Writes the answer to `query` into `answer`, and says how long it is.
    public mutating func respond(
        to query: UnsafeRawBufferPointer, _ arrival: Arrival, into answer: UnsafeMutableRawBufferPointer
    ) -> Response {
        .silence(.notAMessage)
    }
}
