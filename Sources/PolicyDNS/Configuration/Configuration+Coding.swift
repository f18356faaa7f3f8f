import Addressing

// The YAML form. What has a default may be left out; a list of one may be written without brackets.

extension Configuration: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case listeners, labels, zones, pools, policies, identity, limits, metrics, workers, user
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            zones: try container.decode([Zone].self, forKey: .zones),
            pools: try container.decode([Pool].self, forKey: .pools),
            policies: try container.decode([Policy].self, forKey: .policies))
        listeners = try container.decodeIfPresent([Listener].self, forKey: .listeners) ?? []
        labels = try container.decodeOneOrMany(String.self, forKey: .labels)
        identity = try container.decodeIfPresent(Identity.self, forKey: .identity) ?? Identity()
        limits = try container.decodeIfPresent(Limits.self, forKey: .limits) ?? Limits()
        metrics = try container.decodeIfPresent(Endpoint.self, forKey: .metrics)
        workers = try container.decodeIfPresent(Int.self, forKey: .workers)
        user = try container.decodeIfPresent(String.self, forKey: .user)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        if !listeners.isEmpty { try container.encode(listeners, forKey: .listeners) }
        if !labels.isEmpty { try container.encode(labels, forKey: .labels) }
        try container.encode(zones, forKey: .zones)
        try container.encode(pools, forKey: .pools)
        try container.encode(policies, forKey: .policies)
        if identity != Identity() { try container.encode(identity, forKey: .identity) }
        if limits != Limits() { try container.encode(limits, forKey: .limits) }
        try container.encodeIfPresent(metrics, forKey: .metrics)
        try container.encodeIfPresent(workers, forKey: .workers)
        try container.encodeIfPresent(user, forKey: .user)
    }
}

extension Configuration.Listener: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case address, label }

    /// Reads `192.0.2.1:53`, or a mapping.
    public init(from decoder: any Decoder) throws {
        if let address = try? decoder.singleValueContainer().decode(String.self) {
            self.init(
                address: try parsed(address, decoder) { (text) throws(AddressingError) in try Endpoint(text: text) })
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            address: try container.decode(Endpoint.self, forKey: .address),
            label: try container.decodeIfPresent(String.self, forKey: .label))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(address, forKey: .address)
        try container.encodeIfPresent(label, forKey: .label)
    }
}

extension Configuration.Zone: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case name, account, nameservers, contact, serial
        case negativeTTL = "negative-ttl"
        case apexTTL = "apex-ttl"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try container.decode(DomainName.self, forKey: .name),
            account: try container.decodeIfPresent(String.self, forKey: .account),
            nameservers: try container.decode([Configuration.Nameserver].self, forKey: .nameservers))
        contact = try container.decodeIfPresent(DomainName.self, forKey: .contact)
        serial = try container.decodeIfPresent(UInt32.self, forKey: .serial) ?? serial
        negativeTTL = try container.decodeIfPresent(UInt32.self, forKey: .negativeTTL) ?? negativeTTL
        apexTTL = try container.decodeIfPresent(UInt32.self, forKey: .apexTTL) ?? apexTTL
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encodeIfPresent(account, forKey: .account)
        try container.encode(nameservers, forKey: .nameservers)
        try container.encodeIfPresent(contact, forKey: .contact)
        try container.encode(serial, forKey: .serial)
        try container.encode(negativeTTL, forKey: .negativeTTL)
        try container.encode(apexTTL, forKey: .apexTTL)
    }
}

extension Configuration.Nameserver: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case name, addresses }

    /// Reads `ns1.example.net`, or a mapping.
    public init(from decoder: any Decoder) throws {
        if let name = try? decoder.singleValueContainer().decode(String.self) {
            self.init(name: try parsed(name, decoder) { (text) throws(DomainNameError) in try DomainName(text: text) })
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try container.decode(DomainName.self, forKey: .name),
            addresses: try container.decodeOneOrMany(IPAddress.self, forKey: .addresses))
    }

    public func encode(to encoder: any Encoder) throws {
        if addresses.isEmpty { return try name.encode(to: encoder) }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(addresses, forKey: .addresses)
    }
}

extension Configuration.Pool: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case name, prefixes, exclude
        case excludeEdges = "exclude-edges"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let name = try container.decode(String.self, forKey: .name)
        let members = try container.decodeOneOrMany(AddressPool.Member.self, forKey: .prefixes)
        let exclusions = try container.decodeOneOrMany(Prefix.self, forKey: .exclude)
        let edges = try container.decodeIfPresent(Bool.self, forKey: .excludeEdges) ?? false
        do {
            self.init(
                name: name, addresses: try AddressPool(members, excluding: exclusions, excludingEdges: edges))
        } catch {
            let key: CodingKeys
            switch error {
            case .exclusionOutside, .nothingLeft: key = .exclude
            case .empty, .overlap, .weightOfSome, .weightOutOfRange, .mapped: key = .prefixes
            }
            throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: error.description)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(addresses.members, forKey: .prefixes)
        if !addresses.exclusions.isEmpty { try container.encode(addresses.exclusions, forKey: .exclude) }
        if addresses.excludesEdges { try container.encode(true, forKey: .excludeEdges) }
    }
}

extension AddressPool.Member: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case prefix, weight }

    /// Reads `192.0.2.0/24`, or a mapping.
    public init(from decoder: any Decoder) throws {
        if let prefix = try? decoder.singleValueContainer().decode(String.self) {
            self.init(try parsed(prefix, decoder) { (text) throws(AddressingError) in try Prefix(text: text) })
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try container.decode(Prefix.self, forKey: .prefix),
            weight: try container.decodeIfPresent(UInt32.self, forKey: .weight))
    }

    public func encode(to encoder: any Encoder) throws {
        guard let weight else { return try prefix.encode(to: encoder) }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(prefix, forKey: .prefix)
        try container.encode(weight, forKey: .weight)
    }
}

extension Configuration.Policy: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case name, match, pool, ttl, strategy }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try container.decode(String.self, forKey: .name),
            match: try container.decodeIfPresent(Configuration.Match.self, forKey: .match) ?? Configuration.Match(),
            pool: try container.decode(String.self, forKey: .pool))
        ttl = try container.decodeIfPresent(UInt32.self, forKey: .ttl) ?? ttl
        strategy = try container.decodeIfPresent(Configuration.Strategy.self, forKey: .strategy) ?? strategy
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        if match != Configuration.Match() { try container.encode(match, forKey: .match) }
        try container.encode(pool, forKey: .pool)
        try container.encode(ttl, forKey: .ttl)
        try container.encode(strategy, forKey: .strategy)
    }
}

extension Configuration.Match: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case label, account, client, type, suffix }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        labels = try container.decodeOneOrMany(String.self, forKey: .label)
        accounts = try container.decodeOneOrMany(String.self, forKey: .account)
        clients = try container.decodeOneOrMany(Prefix.self, forKey: .client)
        types = try container.decodeOneOrMany(Configuration.QueryType.self, forKey: .type)
        suffixes = try container.decodeOneOrMany(DomainName.self, forKey: .suffix)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        if !labels.isEmpty { try container.encode(labels, forKey: .label) }
        if !accounts.isEmpty { try container.encode(accounts, forKey: .account) }
        if !clients.isEmpty { try container.encode(clients, forKey: .client) }
        if !types.isEmpty { try container.encode(types, forKey: .type) }
        if !suffixes.isEmpty { try container.encode(suffixes, forKey: .suffix) }
    }
}

extension Configuration.QueryType: Codable {
    public init(from decoder: any Decoder) throws { self = try named(decoder, "a query type that has addresses") }
}

extension Configuration.Strategy: Codable {
    public init(from decoder: any Decoder) throws { self = try named(decoder, "a strategy") }
}

extension Configuration.Identity: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case version, server }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        version = try container.decodeIfPresent(String.self, forKey: .version)
        server = try container.decodeIfPresent(String.self, forKey: .server)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(version, forKey: .version)
        try container.encodeIfPresent(server, forKey: .server)
    }
}

extension Configuration.Limits: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case udpPayload = "udp-payload"
        case tcpConnections = "tcp-connections"
        case tcpConnectionsPerClient = "tcp-connections-per-client"
        case tcpIdleTimeout = "tcp-idle-timeout"
        case tcpLifetime = "tcp-lifetime"
        case responsesPerSecond = "responses-per-second"
        case slip
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func value(_ key: CodingKeys, or standard: Int) throws -> Int {
            try container.decodeIfPresent(Int.self, forKey: key) ?? standard
        }
        udpPayload = try value(.udpPayload, or: udpPayload)
        tcpConnections = try value(.tcpConnections, or: tcpConnections)
        tcpConnectionsPerClient = try value(.tcpConnectionsPerClient, or: tcpConnectionsPerClient)
        tcpIdleTimeout = try value(.tcpIdleTimeout, or: tcpIdleTimeout)
        tcpLifetime = try value(.tcpLifetime, or: tcpLifetime)
        responsesPerSecond = try value(.responsesPerSecond, or: responsesPerSecond)
        slip = try value(.slip, or: slip)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(udpPayload, forKey: .udpPayload)
        try container.encode(tcpConnections, forKey: .tcpConnections)
        try container.encode(tcpConnectionsPerClient, forKey: .tcpConnectionsPerClient)
        try container.encode(tcpIdleTimeout, forKey: .tcpIdleTimeout)
        try container.encode(tcpLifetime, forKey: .tcpLifetime)
        try container.encode(responsesPerSecond, forKey: .responsesPerSecond)
        try container.encode(slip, forKey: .slip)
    }
}

extension DomainName: Codable {
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        self = try parsed(text, decoder) { (text) throws(DomainNameError) in try DomainName(text: text) }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension KeyedDecodingContainer {
    /// A list, or one value that stands for a list of one; empty where the key is missing.
    fileprivate func decodeOneOrMany<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> [Value] {
        guard contains(key) else { return [] }
        if (try? nestedUnkeyedContainer(forKey: key)) != nil { return try decode([Value].self, forKey: key) }
        return [try decode(Value.self, forKey: key)]
    }
}

/// The value that `text` is; what is wrong with it is told of its place.
private func parsed<Value, Failure: Error & CustomStringConvertible>(
    _ text: String, _ decoder: any Decoder, _ parse: (String) throws(Failure) -> Value
) throws -> Value {
    do {
        return try parse(text)
    } catch {
        throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: error.description))
    }
}

/// One of the words that a type has.
private func named<Value: RawRepresentable<String> & CaseIterable>(_ decoder: any Decoder, _ what: String) throws
    -> Value
{
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let value = Value(rawValue: text) else {
        let words = Value.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        throw DecodingError.dataCorrupted(
            .init(codingPath: decoder.codingPath, debugDescription: "'\(text)' is not \(what): write one of \(words)"))
    }
    return value
}
