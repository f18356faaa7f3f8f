import Addressing
import PolicyDNS

/// Serves a policy configuration on sockets of the fixture, which are the lab's own no more.
///
/// It is the very worker that `lab dns serve` runs, with a generator that the system seeds. It answers while a step
/// waits, on the thread that performs the steps.
public struct NameService: Hashable, Sendable, Codable {
    public var name: String
    public var sockets: [ServedSocket]
    public var configuration: Configuration
    /// Where answers over UDP come from; nil is `asked`.
    public var answersFrom: AnswerSource?

    /// An open UDP socket or listener, and the label by which policies know it; nil is `default`.
    public struct ServedSocket: Hashable, Sendable, Codable {
        public var socket: String
        public var label: String?

        public init(_ socket: String, label: String? = nil) {
            self.socket = socket
            self.label = label
        }
    }

    public enum AnswerSource: String, Hashable, Sendable, Codable {
        /// The address that was asked.
        case asked
        /// Whichever address the kernel picks for the socket, as for a server that never heard of IP_PKTINFO.
        case picked
    }

    public init(
        _ name: String, on sockets: [ServedSocket], _ configuration: Configuration, answersFrom: AnswerSource? = nil
    ) {
        self.name = name
        self.sockets = sockets
        self.configuration = configuration
        self.answersFrom = answersFrom
    }

    private enum CodingKeys: String, CodingKey { case name, sockets, configuration, answersFrom = "answers-from" }
}

/// Another configuration for a service, from the next query on.
public struct NameServiceReload: Hashable, Sendable, Codable {
    public var service: String
    public var configuration: Configuration

    public init(_ service: String, _ configuration: Configuration) {
        self.service = service
        self.configuration = configuration
    }
}

/// One question to a name server.
public struct NameQuery: Hashable, Sendable, Codable {
    public var from: String
    public var `protocol`: TransportProtocol
    public var to: Endpoint
    public var name: String
    public var type: QuestionType
    /// The size of a UDP answer that the client says it takes (RFC 6891 §6.2.3); nil sends no EDNS, which is 512.
    public var payload: Int?
    /// Whether recursion is desired.
    public var recursion: Bool?
    /// Whether a truncated answer over UDP is asked for again over TCP, at the same endpoint (RFC 7766 §5).
    public var retry: Bool?
    /// Where the addresses answered should be.
    public var within: [Prefix]

    public init(
        from: String, _ protocol: TransportProtocol, to: Endpoint, _ name: String, _ type: QuestionType,
        payload: Int? = nil, recursion: Bool? = nil, retry: Bool? = nil, within: [Prefix] = []
    ) {
        self.from = from
        self.protocol = `protocol`
        self.to = to
        self.name = name
        self.type = type
        self.payload = payload
        self.recursion = recursion
        self.retry = retry
        self.within = within
    }
}

/// The types that questions are about.
public enum QuestionType: String, Hashable, Sendable, Codable, CaseIterable {
    case a = "A"
    case aaaa = "AAAA"
    case ns = "NS"
    case soa = "SOA"
}

/// Many questions for the addresses of many names, in turn, and what the answers have in common.
public struct NameSurvey: Hashable, Sendable, Codable {
    /// By which a `compare` knows it; nil for a survey that is compared with none.
    public var name: String?
    public var from: String
    public var `protocol`: TransportProtocol
    /// Asked in turn, in an order that is not theirs; of a prefix with more addresses than queries, so many of them.
    public var to: Prefix
    public var port: UInt16
    public var hosts: HostNames
    public var type: QuestionType
    public var queries: Int
    /// Whether recursion is desired.
    public var recursion: Bool?
    /// Where the addresses answered should be.
    public var within: Prefix

    public init(
        _ name: String? = nil, from: String, _ protocol: TransportProtocol = .udp, to: Prefix, port: UInt16 = 53,
        _ hosts: HostNames, _ type: QuestionType, queries: Int, recursion: Bool? = nil, within: Prefix
    ) {
        self.recursion = recursion
        self.name = name
        self.from = from
        self.protocol = `protocol`
        self.to = to
        self.port = port
        self.hosts = hosts
        self.type = type
        self.queries = queries
        self.within = within
    }
}

/// The names `h1`, `h2` and so on below one.
public struct HostNames: Hashable, Sendable, Codable {
    public var count: Int
    public var below: String

    public init(_ count: Int, below: String) {
        self.count = count
        self.below = below
    }

    /// The `index`-th, from 0.
    public func name(_ index: Int) -> String { "h\(index + 1).\(below)" }
}

extension NameService {
    var summary: String {
        "serve \(name) on \(sockets.map(\.socket).joined(separator: ", "))"
            + (answersFrom == .picked ? ", answering from whichever address the kernel picks" : "")
    }
}

extension NameQuery {
    var summary: String { "ask \(to) for \(name) \(type.rawValue) over \(`protocol`)" }
}

extension NameSurvey {
    var summary: String {
        "ask \(to) port \(port) \(queries) times over \(`protocol`) for \(type.rawValue) of \(hosts.count) names below \(hosts.below)"
    }
}
