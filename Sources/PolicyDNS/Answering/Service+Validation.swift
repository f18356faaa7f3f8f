import Addressing

extension Configuration {
    /// Refuses what cannot be served, or was surely not meant.
    func validate(labels: [String], accounts: [String]) throws(ConfigurationError) {
        for (index, listener) in listeners.enumerated()
        where listeners[..<index].contains(where: { $0.address == listener.address && listener.address.port != 0 }) {
            throw ConfigurationError(
                ["listeners", "\(index)"], .duplicate(kind: "listener", name: listener.address.description))
        }
        let zoneIndex = ZoneIndex(zones)
        try validateZones(zoneIndex)
        for (index, pool) in pools.enumerated() where pools[..<index].contains(where: { $0.name == pool.name }) {
            throw ConfigurationError(["pools", "\(index)", "name"], .duplicate(kind: "pool", name: pool.name))
        }
        for index in policies.indices { try validatePolicy(index, labels, accounts, zoneIndex) }
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

    /// What checking asks of all zones, looked up: there may be a hundred thousand of them.
    private struct ZoneIndex {
        private var apexes: Set<DomainName> = []
        private var aboveApexes: Set<DomainName> = []
        /// The addresses that a name server is stated with first.
        private(set) var addresses: [DomainName: [IPAddress]] = [:]

        init(_ zones: [Zone]) {
            for zone in zones {
                apexes.insert(zone.name)
                var name = zone.name.parent
                while let above = name, aboveApexes.insert(above).inserted { name = above.parent }
                for nameserver in zone.nameservers where !nameserver.addresses.isEmpty {
                    if addresses[nameserver.name] == nil { addresses[nameserver.name] = nameserver.addresses }
                }
            }
        }

        /// The longest apex at or above `name`.
        func zone(of name: DomainName) -> DomainName? {
            var candidate: DomainName? = name
            while let name = candidate, !apexes.contains(name) { candidate = name.parent }
            return candidate
        }

        /// Whether any name in a zone is at or below `suffix`.
        func hasNames(below suffix: DomainName) -> Bool {
            zone(of: suffix) != nil || aboveApexes.contains(suffix)
        }
    }

    private func validateZones(_ zoneIndex: ZoneIndex) throws(ConfigurationError) {
        if zones.isEmpty { throw ConfigurationError(["zones"], .none(kind: "zone")) }
        var names: Set<DomainName> = []
        for (index, zone) in zones.enumerated() {
            let path = ["zones", "\(index)"]
            if !names.insert(zone.name).inserted {
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
                try validateNameserver(nameserver, path, zoneIndex)
            }
        }
    }

    private func validateNameserver(
        _ nameserver: Nameserver, _ path: [String], _ zoneIndex: ZoneIndex
    ) throws(ConfigurationError) {
        guard let holder = zoneIndex.zone(of: nameserver.name) else {
            if nameserver.addresses.isEmpty { return }
            throw ConfigurationError(path + ["addresses"], .addressesOutsideZones(name: nameserver.name))
        }
        // One zone may state the addresses of a name server, and others only its name.
        guard let first = zoneIndex.addresses[nameserver.name] else {
            throw ConfigurationError(path, .nameserverWithoutAddress(name: nameserver.name, zone: holder))
        }
        if !nameserver.addresses.isEmpty, Set(nameserver.addresses) != Set(first) {
            throw ConfigurationError(path + ["addresses"], .addressesDiffer(name: nameserver.name))
        }
        for (index, address) in nameserver.addresses.enumerated()
        where nameserver.addresses[..<index].contains(address) {
            throw ConfigurationError(
                path + ["addresses", "\(index)"], .duplicate(kind: "address", name: address.description))
        }
    }

    private func validatePolicy(
        _ index: Int, _ labels: [String], _ accounts: [String], _ zoneIndex: ZoneIndex
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
        for (place, client) in policy.match.clients.enumerated() where client.isMapped {
            throw ConfigurationError(path + ["match", "client", "\(place)"], .mapped(client))
        }
        for (place, suffix) in policy.match.suffixes.enumerated() where !zoneIndex.hasNames(below: suffix) {
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
