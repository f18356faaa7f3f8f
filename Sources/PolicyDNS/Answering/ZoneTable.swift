import Addressing

/// The zones, with their records laid out for writing.
struct ZoneTable {
    struct Zone {
        /// The index of the account in the service's list.
        var account: Int
        var apexTTL: UInt32
        /// The TTL of the SOA record in negative answers: the lower of its own and MINIMUM (RFC 2308 §3).
        var negativeTTL: UInt32
        var primary: Name
        var contact: Name
        /// The five numbers that end the SOA record's RDATA.
        var numbers: (UInt32, UInt32, UInt32, UInt32, UInt32)
        var nameservers: Range<Int>
    }

    /// A name as it is written in an answer about a zone.
    struct Name {
        /// The labels above the apex, or all if the name is elsewhere.
        var bytes: Range<Int>
        /// Whether a pointer to the apex follows.
        var endsInApex: Bool
    }

    struct Nameserver {
        var name: Name
        /// Its fixed addresses, if it is in the zone; -1 otherwise: nobody should believe them (RFC 2181 §5.4.1).
        var host: Int
    }

    /// The fixed addresses of a name server.
    struct Host {
        var addresses: Range<Int>
    }

    let names: NameTable
    private let zones: Table<Zone>
    private let nameservers: Table<Nameserver>
    private let hosts: Table<Host>
    private let addresses: Table<IPAddress>
    private let bytes: Table<UInt8>

    init(_ configuration: Configuration, accounts: [String]) {
        var contents: [DomainName: (zone: Int, host: Int)] = [:]
        for (index, zone) in configuration.zones.enumerated() { contents[zone.name] = (index, -1) }
        var hosts: [Host] = []
        var addresses: [IPAddress] = []
        for nameserver in configuration.zones.flatMap(\.nameservers) where !nameserver.addresses.isEmpty {
            guard contents[nameserver.name, default: (-1, -1)].host < 0 else { continue }
            contents[nameserver.name, default: (-1, -1)].host = hosts.count
            hosts.append(Host(addresses: addresses.count..<(addresses.count + nameserver.addresses.count)))
            addresses += nameserver.addresses
        }
        var bytes: [UInt8] = []
        func layOut(_ name: DomainName, _ apex: DomainName) -> Name {
            let inside = name.isAtOrBelow(apex)
            let part = inside ? name.wire.dropLast(apex.wire.count) : name.wire[...]
            bytes += part
            return Name(bytes: (bytes.count - part.count)..<bytes.count, endsInApex: inside)
        }
        var nameservers: [Nameserver] = []
        var zones: [Zone] = []
        for zone in configuration.zones {
            let first = nameservers.count
            for nameserver in zone.nameservers {
                let inside = nameserver.name.isAtOrBelow(zone.name)
                nameservers.append(
                    Nameserver(
                        name: layOut(nameserver.name, zone.name),
                        host: inside ? contents[nameserver.name]?.host ?? -1 : -1))
            }
            zones.append(
                Zone(
                    account: accounts.firstIndex(of: zone.account ?? Configuration.Zone.defaultAccount) ?? 0,
                    apexTTL: zone.apexTTL, negativeTTL: min(zone.negativeTTL, zone.apexTTL),
                    primary: nameservers[first].name,
                    contact: layOut(zone.contact ?? ZoneTable.hostmaster(of: zone.name), zone.name),
                    // Refresh, retry and expire are for secondaries that transfer the zone, which none can: values as
                    // RIPE-203 recommends.
                    numbers: (zone.serial, 86400, 7200, 3_600_000, zone.negativeTTL),
                    nameservers: first..<nameservers.count))
        }
        names = NameTable(contents)
        self.zones = Table(zones)
        self.nameservers = Table(nameservers)
        self.hosts = Table(hosts)
        self.addresses = Table(addresses)
        self.bytes = Table(bytes)
    }

    /// `hostmaster` below the apex (RFC 2142), or above an apex so long that nothing fits below it.
    private static func hostmaster(of apex: DomainName) -> DomainName {
        let label = Array("hostmaster".utf8)
        do {
            return try DomainName(labels: [label[...]] + apex.labels)
        } catch {
            return DomainName(lowerCasedWire: [UInt8(label.count)] + label + [0])
        }
    }

    func deallocate() {
        names.deallocate()
        zones.deallocate()
        nameservers.deallocate()
        hosts.deallocate()
        addresses.deallocate()
        bytes.deallocate()
    }

    @inline(__always)
    func zone(_ index: Int) -> Zone { zones[index] }
    func nameserver(_ index: Int) -> Nameserver { nameservers[index] }
    func addresses(ofHost index: Int) -> Range<Int> { hosts[index].addresses }
    func address(_ index: Int) -> IPAddress { addresses[index] }
    func wire(_ name: Name) -> UnsafeRawBufferPointer { bytes.bytes(name.bytes) }
}
