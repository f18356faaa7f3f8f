/// The names that a configuration states, to be found as suffixes of a QNAME: apexes and name servers.
///
/// A hash table of fixed size. Only the operator puts names in, so nobody can make it slow with names that collide.
struct NameTable {
    /// A name, and what there is under it.
    struct Entry {
        var hash: UInt64 = 0
        /// The wire form, in ``names``.
        var name: Range<Int> = 0..<0
        var labels = 0
        /// The zone of which this is the apex, or -1.
        var zone = -1
        /// The name server that this is the name of, or -1.
        var host = -1
    }

    /// A power of two in number, at most half of them used; a name of no bytes is a free one.
    private let entries: Table<Entry>
    private let names: Table<UInt8>
    /// Which numbers of labels the names have: bit n for n.
    private let depths: UInt128
    private let deepest: Int

    init(_ contents: [DomainName: (zone: Int, host: Int)]) {
        var size = 4
        while size < 2 * contents.count { size *= 2 }
        var entries = [Entry](repeating: Entry(), count: size)
        var names: [UInt8] = []
        var depths: UInt128 = 0
        for (name, content) in contents {
            var entry = Entry(zone: content.zone, host: content.host)
            entry.name = names.count..<(names.count + name.wire.count)
            names += name.wire
            let labels = name.labels
            entry.labels = labels.count
            depths |= 1 << UInt128(labels.count)
            entry.hash = labels.reversed().reduce(0) { hash, label in
                ([UInt8(label.count)] + label).withUnsafeBytes { NameTable.hash($0, onto: hash) }
            }
            var place = NameTable.place(entry.hash, size)
            while entries[place].name.count > 0 { place = (place + 1) & (size - 1) }
            entries[place] = entry
        }
        self.entries = Table(entries)
        self.names = Table(names)
        self.depths = depths
        deepest = 127 - depths.leadingZeroBitCount
    }

    func deallocate() {
        entries.deallocate()
        names.deallocate()
    }

    /// What was found for a QNAME.
    struct Match {
        /// The zone with the longest apex at or above the name; -1 if none.
        var zone = -1
        /// The number of labels of its apex.
        var zoneLabels = 0
        /// The name server that has this name; -1 if none.
        var host = -1
    }

    /// Finds the zone that `name` is in, and the name server that it names.
    ///
    /// - Parameter strictly: whether a zone whose apex is the name itself does not count.
    @inline(__always)
    func find(_ name: borrowing QueryName, strictly: Bool = false) -> Match {
        var match = Match()
        var hash: UInt64 = 0
        var labels = 0
        let last = min(name.labelCount, deepest)
        while true {
            if depths & (1 &<< UInt128(truncatingIfNeeded: labels)) != 0, let entry = entry(hash, labels, name) {
                let isWhole = labels == name.labelCount
                if entry.zone >= 0, !(strictly && isWhole) {
                    match.zone = entry.zone
                    match.zoneLabels = labels
                }
                if isWhole { match.host = entry.host }
            }
            guard labels < last else { return match }
            labels += 1
            hash = name.hash(ofLast: labels, onto: hash)
        }
    }

    private func entry(_ hash: UInt64, _ labels: Int, _ name: borrowing QueryName) -> Entry? {
        var place = NameTable.place(hash, entries.count)
        while entries[place].name.count > 0 {
            let entry = entries[place]
            if entry.hash == hash, entry.labels == labels, name.ends(in: names.bytes(entry.name), labels: labels) {
                return entry
            }
            place = (place + 1) & (entries.count - 1)
        }
        return nil
    }

    @inline(__always)
    private static func place(_ hash: UInt64, _ size: Int) -> Int {
        Int(truncatingIfNeeded: hash &>> 32) & (size - 1)
    }

    /// The hash of a name, from that of its parent and its first label with the label's length.
    @inline(__always)
    static func hash(_ label: UnsafeRawBufferPointer, onto parent: UInt64) -> UInt64 {
        var hash = parent ^ 0x9E37_79B9_7F4A_7C15
        for byte in label { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return hash ^ (hash &>> 29)
    }
}
