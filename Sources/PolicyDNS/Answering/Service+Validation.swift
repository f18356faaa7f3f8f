extension Configuration {
    /// Refuses what cannot be served, or was surely not meant.
    func validate(labels: [String], accounts: [String]) throws(ConfigurationError) {
        for (index, listener) in listeners.enumerated()
        where listeners[..<index].contains(where: { $0.address == listener.address && listener.address.port != 0 }) {
            throw ConfigurationError(
                ["listeners", "\(index)"], .duplicate(kind: "listener", name: listener.address.description))
        }
        try validateZones()
        for (index, pool) in pools.enumerated() where pools[..<index].contains(where: { $0.name == pool.name }) {
            throw ConfigurationError(["pools", "\(index)", "name"], .duplicate(kind: "pool", name: pool.name))
        }
        for index in policies.indices { try validatePolicy(index, labels: labels, accounts: accounts) }
        try validateIdentity()
        try validateLimits()
        if let workers { try Configuration.check(workers, in: 1...1024, ["workers"]) }
    }

    private static let ttl = 0...Int(Int32.max)

    private static func check(_ value: Int, in allowed: ClosedRange<Int>, _ path: [String]) throws(ConfigurationError) {
        guard allowed.contains(value) else {
            throw ConfigurationError(path, .outOfRange(value: value, allowed: allowed))
        }
    }

    /// The zone with the longest apex at or above `name`.
    func zone(of name: DomainName) -> Int? {
        zones.indices.filter { name.isAtOrBelow(zones[$0].name) }.max {
            zones[$0].name.wire.count < zones[$1].name.wire.count
        }
    }

    private func validateZones() throws(ConfigurationError) {
        if zones.isEmpty { throw ConfigurationError(["zones"], .none(kind: "zone")) }
        for (index, zone) in zones.enumerated() {
            let path = ["zones", "\(index)"]
            if zones[..<index].contains(where: { $0.name == zone.name }) {
                throw ConfigurationError(path + ["name"], .duplicate(kind: "zone", name: zone.name.description))
            }
            try Configuration.check(Int(zone.negativeTTL), in: Configuration.ttl, path + ["negative-ttl"])
            try Configuration.check(Int(zone.apexTTL), in: Configuration.ttl, path + ["apex-ttl"])
            if zone.nameservers.isEmpty {
                throw ConfigurationError(path + ["nameservers"], .none(kind: "name server"))
            }
            for (place, nameserver) in zone.nameservers.enumerated() {
                let path = path + ["nameservers", "\(place)"]
                if zone.nameservers[..<place].contains(where: { $0.name == nameserver.name }) {
                    throw ConfigurationError(
                        path + ["name"], .duplicate(kind: "name server", name: nameserver.name.description))
                }
                try validateNameserver(nameserver, path)
            }
        }
    }

    private func validateNameserver(_ nameserver: Nameserver, _ path: [String]) throws(ConfigurationError) {
        guard let holder = zone(of: nameserver.name) else {
            if nameserver.addresses.isEmpty { return }
            throw ConfigurationError(path + ["addresses"], .addressesOutsideZones(name: nameserver.name))
        }
        // One zone may state the addresses of a name server, and others only its name.
        let stated = zones.flatMap(\.nameservers).filter { $0.name == nameserver.name && !$0.addresses.isEmpty }
        guard let first = stated.first else {
            throw ConfigurationError(
                path, .nameserverWithoutAddress(name: nameserver.name, zone: zones[holder].name))
        }
        if !nameserver.addresses.isEmpty, Set(nameserver.addresses) != Set(first.addresses) {
            throw ConfigurationError(path + ["addresses"], .addressesDiffer(name: nameserver.name))
        }
        for (index, address) in nameserver.addresses.enumerated()
        where nameserver.addresses[..<index].contains(address) {
            throw ConfigurationError(
                path + ["addresses", "\(index)"], .duplicate(kind: "address", name: address.description))
        }
    }

    private func validatePolicy(
        _ index: Int, labels: [String], accounts: [String]
    ) throws(ConfigurationError) {
        let policy = policies[index]
        let path = ["policies", "\(index)"]
        if policies[..<index].contains(where: { $0.name == policy.name }) {
            throw ConfigurationError(path + ["name"], .duplicate(kind: "policy", name: policy.name))
        }
        func checkDefined(
            _ kind: String, _ name: String, among candidates: [String], _ path: [String]
        ) throws(ConfigurationError) {
            if candidates.contains(name) { return }
            throw ConfigurationError(
                path, .undefined(kind: kind, name: name, candidates: Set(candidates).sorted()))
        }
        try checkDefined("pool", policy.pool, among: pools.map(\.name), path + ["pool"])
        for (place, label) in policy.match.labels.enumerated() {
            try checkDefined("label", label, among: labels, path + ["match", "label", "\(place)"])
        }
        for (place, account) in policy.match.accounts.enumerated() {
            try checkDefined(
                "zone with the account", account, among: accounts, path + ["match", "account", "\(place)"])
        }
        for (place, suffix) in policy.match.suffixes.enumerated()
        where !zones.contains(where: { suffix.isAtOrBelow($0.name) || $0.name.isAtOrBelow(suffix) }) {
            throw ConfigurationError(path + ["match", "suffix", "\(place)"], .suffixOutsideZones(name: suffix))
        }
        try Configuration.check(Int(policy.ttl), in: Configuration.ttl, path + ["ttl"])
    }

    private func validateIdentity() throws(ConfigurationError) {
        // A TXT record's string, and what an NSID option is hoped to be.
        let allowed = 1...255
        for (key, text) in [("version", identity.version), ("server", identity.server)] {
            if let text, !allowed.contains(text.utf8.count) {
                throw ConfigurationError(["identity", key], .length(text.utf8.count, allowed: allowed))
            }
        }
    }

    private func validateLimits() throws(ConfigurationError) {
        let checks: [(key: String, value: Int, allowed: ClosedRange<Int>)] = [
            ("udp-payload", limits.udpPayload, 512...4096),
            ("tcp-connections", limits.tcpConnections, 1...Int.max),
            ("tcp-connections-per-client", limits.tcpConnectionsPerClient, 1...Int.max),
            ("tcp-idle-timeout", limits.tcpIdleTimeout, 1...Int.max),
            ("tcp-lifetime", limits.tcpLifetime, 1...Int.max),
            ("responses-per-second", limits.responsesPerSecond, 0...1_000_000),
            ("slip", limits.slip, 0...Int(UInt16.max)),
        ]
        for check in checks { try Configuration.check(check.value, in: check.allowed, ["limits", check.key]) }
    }
}
