import Addressing

/// Makes a listener one of many sites, which it tells apart by what clients say, and by nothing else: the Host of an
/// HTTP request (RFC 9112 §3.2), or the server name of a TLS ClientHello (RFC 6066 §3).
///
/// The reply states the site, `site NAME` in a line: as the body of an HTTP response; or, as no handshake is gone
/// through with, in the clear as TLS application data. A site that is not there is a 421, or the alert
/// unrecognized_name.
public struct SiteService: Hashable, Sendable, Codable {
    public var socket: String
    public var sites: HostNames

    public init(on socket: String, _ sites: HostNames) {
        self.socket = socket
        self.sites = sites
    }
}

/// Looks up each name and visits the site at the address answered.
public struct SiteVisits: Hashable, Sendable, Codable {
    /// By which a `revisit` knows them; the connections stay open then.
    public var name: String?
    public var from: String
    /// Whom to ask for addresses, over UDP.
    public var resolver: Endpoint
    public var sites: HostNames
    public var by: SiteSelector
    public var port: UInt16
    /// Where the addresses answered should be.
    public var within: Prefix

    public init(
        _ name: String? = nil, from: String, resolver: Endpoint, _ sites: HostNames, by: SiteSelector, port: UInt16,
        within: Prefix
    ) {
        self.name = name
        self.from = from
        self.resolver = resolver
        self.sites = sites
        self.by = by
        self.port = port
        self.within = within
    }
}

/// How a client says which site it means.
public enum SiteSelector: String, Hashable, Sendable, Codable, CaseIterable {
    case host
    case serverName = "server-name"
}

/// Visits the sites of earlier visits again, at the addresses that were answered then.
public struct SiteRevisits: Hashable, Sendable, Codable {
    public var visits: String
    public var over: Connections

    public enum Connections: String, Hashable, Sendable, Codable {
        /// The connections that stayed open.
        case kept
        /// Others, which are closed after.
        case fresh
    }

    public init(_ visits: String, over connections: Connections) {
        self.visits = visits
        over = connections
    }
}

extension SiteVisits {
    var summary: String {
        "look up \(sites.count) names below \(sites.below) at \(resolver), and visit each site on port \(port) by its "
            + (by == .host ? "Host header" : "TLS server name")
    }
}

extension SiteRevisits {
    var summary: String {
        "visit the sites of \(visits) again, over \(over == .kept ? "the connections kept" : "new connections to the old addresses")"
    }
}
