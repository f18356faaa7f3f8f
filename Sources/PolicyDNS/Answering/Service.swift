import Addressing

/// A configuration made ready for answering: checked, with its names, pools and policies looked up.
///
/// Immutable, and shared by all workers; a reload makes another one.
// Unchecked: the tables are raw memory, written in init only and freed in deinit.
public final class Service: @unchecked Sendable {
    public let configuration: Configuration
    /// The labels of listeners and those that are stated besides, by index; the default one alone if there are none.
    public let labels: [String]
    /// The names of policies, by index.
    public let policies: [String]
    /// What cookies are made with: pass it on to the service that a reload makes, or clients' cookies become invalid.
    public let secret: ServerSecret

    let tables: ServiceTables

    /// Checks a configuration, and makes it ready.
    ///
    /// - Throws: the first thing that is wrong with it.
    public init(
        _ configuration: Configuration, secret: ServerSecret = .random()
    ) throws(ConfigurationError) {
        var labels: [String] = []
        for label in configuration.listeners.map({ $0.label ?? Configuration.Listener.defaultLabel })
            + configuration.labels where !labels.contains(label)
        {
            labels.append(label)
        }
        self.labels = labels.isEmpty ? [Configuration.Listener.defaultLabel] : labels
        var accounts: [String] = []
        for zone in configuration.zones {
            let account = zone.account ?? Configuration.Zone.defaultAccount
            if !accounts.contains(account) { accounts.append(account) }
        }
        try configuration.validate(labels: self.labels, accounts: accounts)
        self.configuration = configuration
        self.secret = secret
        policies = configuration.policies.map(\.name)
        tables = ServiceTables(configuration, labels: self.labels, accounts: accounts, secret: secret)
    }

    deinit { tables.deallocate() }
}

/// All that answering reads, without a reference count in it.
struct ServiceTables {
    let zones: ZoneTable
    let policies: PolicyTable
    /// The texts of `version.bind` and of `id.server`; empty for none.
    let version: Table<UInt8>
    let server: Table<UInt8>
    let secret: ServerSecret
    let udpPayload: Int
    /// In units of 100 ms (RFC 7828 §3.1).
    let keepalive: UInt16
    let responsesPerSecond: Int
    let slip: Int

    /// Takes a configuration that was found valid.
    init(_ configuration: Configuration, labels: [String], accounts: [String], secret: ServerSecret) {
        self.secret = secret
        zones = ZoneTable(configuration, accounts: accounts)
        policies = PolicyTable(
            configuration, labels: labels, accounts: accounts,
            // Found, since the configuration is valid.
            pools: configuration.policies.map { policy in
                configuration.pools.firstIndex { $0.name == policy.pool } ?? 0
            })
        version = Table(Array((configuration.identity.version ?? "").utf8))
        server = Table(Array((configuration.identity.server ?? "").utf8))
        udpPayload = configuration.limits.udpPayload
        keepalive = UInt16(clamping: configuration.limits.tcpIdleTimeout / 100)
        responsesPerSecond = configuration.limits.responsesPerSecond
        slip = configuration.limits.slip
    }

    func deallocate() {
        zones.deallocate()
        policies.deallocate()
        version.deallocate()
        server.deallocate()
    }
}
