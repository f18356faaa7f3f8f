import Addressing

/// What a policy DNS server serves, and how: the value that its YAML file, or a fixture, states.
///
/// The five steps of the paper's §3.2 read from it: a query that a zone covers is matched against
/// ``policies`` in order; the first that matches names a pool, and the answer is one of the pool's
/// addresses. No name is bound to an address anywhere.
public struct Configuration: Hashable, Sendable {
    /// Where to listen; may be empty when sockets are handed over.
    public var listeners: [Listener] = []
    /// Labels that policies may match besides those of ``listeners``: of sockets that are handed over.
    public var labels: [String] = []
    /// Zones served. Every name at or below one exists; `.` serves any name.
    public var zones: [Zone]
    public var pools: [Pool]
    /// Tried in order; a query that matches none has no addresses (NODATA).
    public var policies: [Policy]
    public var identity = Identity()
    public var limits = Limits()
    /// Where metrics are served over HTTP, as `127.0.0.1:9153`; nil for nowhere.
    public var metrics: Endpoint?
    /// The number of threads that answer, each with sockets and a generator of its own; nil for one per processor.
    public var workers: Int?
    /// Whom to become once the sockets are bound; nil to stay who one is.
    public var user: String?

    public init(zones: [Zone], pools: [Pool], policies: [Policy]) {
        self.zones = zones
        self.pools = pools
        self.policies = policies
    }
}

extension Configuration {
    /// An address and port served over UDP and TCP.
    public struct Listener: Hashable, Sendable {
        public var address: Endpoint
        /// The label that policies match: a point of presence, say. Nil for ``defaultLabel``.
        public var label: String?

        public static let defaultLabel = "default"

        public init(address: Endpoint, label: String? = nil) {
            self.address = address
            self.label = label
        }
    }

    /// A zone: its apex records, and the account that policies match.
    public struct Zone: Hashable, Sendable {
        /// The apex, as `example.com`, or `.`.
        public var name: DomainName
        /// The type of account that the zone belongs to, such as `free`; nil for ``defaultAccount``.
        public var account: String?
        /// At least one. Those below the apex need addresses: they are looked up here, and no policy applies to them.
        public var nameservers: [Nameserver]
        /// The mailbox of the SOA record; nil for `hostmaster` below the apex.
        public var contact: DomainName?
        /// The SOA record's serial number.
        public var serial: UInt32 = 1
        /// How long an absence may be cached, in seconds: MINIMUM of the SOA record, and its TTL in negative answers (RFC 2308 §5).
        public var negativeTTL: UInt32 = 300
        /// The TTL of the apex's SOA and NS records, in seconds.
        public var apexTTL: UInt32 = 86400

        public static let defaultAccount = "default"

        public init(name: DomainName, account: String? = nil, nameservers: [Nameserver]) {
            self.name = name
            self.account = account
            self.nameservers = nameservers
        }
    }

    /// A name server of a zone.
    public struct Nameserver: Hashable, Sendable {
        public var name: DomainName
        /// Fixed addresses, answered for the name and as additional data.
        public var addresses: [IPAddress] = []

        public init(name: DomainName, addresses: [IPAddress] = []) {
            self.name = name
            self.addresses = addresses
        }
    }

    /// A named pool, which any number of policies may share.
    public struct Pool: Hashable, Sendable {
        public var name: String
        public var addresses: AddressPool

        public init(name: String, addresses: AddressPool) {
            self.name = name
            self.addresses = addresses
        }
    }

    /// A predicate on a query's attributes, and what answers a query for which it holds.
    public struct Policy: Hashable, Sendable {
        public var name: String
        public var match = Match()
        /// The name of the pool.
        public var pool: String
        /// Seconds, 0–2147483647 (RFC 2181 §8).
        public var ttl: UInt32 = 300
        public var strategy = Strategy.random

        public init(name: String, match: Match = Match(), pool: String) {
            self.name = name
            self.match = match
            self.pool = pool
        }
    }

    /// Attributes of a query. An attribute that is not stated matches all; of one that is, any value may match.
    public struct Match: Hashable, Sendable {
        /// Labels of listeners.
        public var labels: [String] = []
        /// Types of the account of the zone that the QNAME is in.
        public var accounts: [String] = []
        /// Prefixes of the client: of its subnet if the query states one (RFC 7871), else of the source address.
        public var clients: [Prefix] = []
        /// Query types; only A and AAAA can have addresses.
        public var types: [QueryType] = []
        /// Names at or above the QNAME.
        public var suffixes: [DomainName] = []

        public init() {}
    }

    /// The query types that a policy can tell apart.
    public enum QueryType: String, Hashable, Sendable, CaseIterable {
        case a = "A"
        case aaaa = "AAAA"
    }

    /// How an address is chosen from a pool.
    public enum Strategy: String, Hashable, Sendable, CaseIterable {
        /// A fresh uniform choice for each query: the paper's.
        case random
        /// Always the same address for a name (case aside): the binding that the paper removes, for comparison.
        case `static`
        /// One address after the other, each worker from a start of its own: for comparison.
        case roundRobin = "round-robin"
    }

    /// What the server says of itself in class CHAOS; nil answers REFUSED.
    public struct Identity: Hashable, Sendable {
        /// `version.bind` and `version.server`.
        public var version: String?
        /// `id.server`, `hostname.bind`, and the NSID option (RFC 5001).
        public var server: String?

        public init() {}
    }

    /// Bounds on what a client may cost.
    public struct Limits: Hashable, Sendable {
        /// The largest UDP answer, in bytes, whatever a client advertises: 512–4096. 1232 passes every IPv6 path (RFC 9715).
        public var udpPayload = 1232
        /// TCP connections of one worker at a time; a further one ends the longest idle.
        public var tcpConnections = 1024
        /// TCP connections of one client address (IPv6: /64) and worker at a time.
        public var tcpConnectionsPerClient = 64
        /// Milliseconds without a query before a TCP connection is closed (RFC 7766 §6.2.3).
        public var tcpIdleTimeout = 10_000
        /// Milliseconds that a TCP connection may last in all.
        public var tcpLifetime = 120_000
        /// Answers to one client network (IPv4: /24, IPv6: /56) and second and worker over UDP
        /// without a valid cookie; 0 for no limit.
        public var responsesPerSecond = 0
        /// One of so many answers over the limit is sent truncated instead of being dropped; 0 for none.
        public var slip = 2

        public init() {}
    }
}
