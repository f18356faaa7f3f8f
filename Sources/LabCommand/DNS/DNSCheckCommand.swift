import Addressing
import ArgumentParser
import PolicyDNS

struct DNSCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Say what a configuration means, or what is wrong with it (exit 2, with file:line:column).")

    @Argument(help: "The configuration's file.")
    var file: String?

    @Option(name: .customLong("config"), help: "The same, as the other commands have it.")
    var option: String?

    func validate() throws {
        guard (file == nil) != (option == nil) else { throw ValidationError("name one configuration file") }
    }

    func run() async throws {
        // One of them is there: see validate().
        guard let path = file ?? option else { return }
        let configuration = try ConfigurationFile(path: path).service().configuration
        var lines = ["\(path): good"]
        for listener in configuration.listeners {
            lines.append(
                "listener \(listener.address), label '\(listener.label ?? Configuration.Listener.defaultLabel)'")
        }
        for zone in configuration.zones {
            lines.append("zone \(zone.name), account '\(zone.account ?? Configuration.Zone.defaultAccount)'")
        }
        for pool in configuration.pools {
            let sizes = [pool.addresses.ipv4, pool.addresses.ipv6].compactMap(\.self).map { section in
                "\(section.count.map { "\($0)" } ?? "2^128") \(section.family == .ipv4 ? "IPv4" : "IPv6")"
            }
            lines.append("pool '\(pool.name)': \(sizes.joined(separator: " and ")) addresses")
        }
        for policy in configuration.policies {
            lines.append(
                "policy '\(policy.name)': \(policy.match) from '\(policy.pool)', \(policy.strategy.rawValue), TTL \(policy.ttl) s"
            )
        }
        lines += configuration.remarks.map { "note: \($0)" }
        try StandardOutput.write(lines.joined(separator: "\n") + "\n")
    }
}

extension Configuration {
    /// What is allowed and probably not meant.
    var remarks: [String] {
        var remarks: [String] = []
        if listeners.isEmpty { remarks.append("no listeners: sockets must be handed over") }
        if let place = policies.firstIndex(where: { $0.match == Match() }) {
            for policy in policies[(place + 1)...] {
                remarks.append(
                    "policy '\(policy.name)' is never reached: '\(policies[place].name)' matches every query")
            }
        } else {
            remarks.append(
                "no policy matches every query: one that none matches is told that there is no address (NODATA)")
        }
        for pool in pools where !policies.contains(where: { $0.pool == pool.name }) {
            remarks.append("no policy names pool '\(pool.name)'")
        }
        for policy in policies {
            guard let pool = pools.first(where: { $0.name == policy.pool }) else { continue }
            for (type, section) in [(QueryType.a, pool.addresses.ipv4), (.aaaa, pool.addresses.ipv6)]
            where section == nil && policy.match.types.contains(type) {
                remarks.append(
                    "policy '\(policy.name)' matches \(type.rawValue), of which pool '\(pool.name)' has no address (NODATA)"
                )
            }
        }
        return remarks
    }
}

extension Configuration.Match: CustomStringConvertible {
    public var description: String {
        let stated = [
            ("label", labels), ("account", accounts), ("client", clients.map(\.description)),
            ("type", types.map(\.rawValue)),
            ("suffix", suffixes.map(\.description)),
        ].filter { !$0.1.isEmpty }
        if stated.isEmpty { return "every query" }
        return stated.map { "\($0.0) \($0.1.joined(separator: " or "))" }.joined(separator: ", ")
    }
}
