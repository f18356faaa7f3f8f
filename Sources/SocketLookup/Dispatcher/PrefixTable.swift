import Addressing

/// The nodes of a set of bindings, each where a lookup looks for it: a hash table for a binary search among lengths.
///
/// Where a longer prefix may match, there is a marker at each length that the search for it comes through, with the
/// intervals of the longest prefix that contains the marker. So the last node that a search finds has what holds.
struct PrefixTable: Sendable {
    /// A prefix of a protocol, or a marker, as lookups compare it.
    struct Key: Hashable, Sendable {
        var high: UInt64
        var low: UInt64
        var tag: UInt32

        init(_ key: BindingTable.Key, length: Int) {
            let width = key.prefix.family.width
            let host = UInt128(width - length)
            // A shift by all 128 bits gives 0, so /0 is right too.
            let network = ((key.prefix.address.bits >> host) << host) << UInt128(128 - width)
            high = UInt64(truncatingIfNeeded: network >> 64).bigEndian
            low = UInt64(truncatingIfNeeded: network).bigEndian
            tag = UInt32(length) << 8 | UInt32(DispatchLayout.kind(key.protocol, key.prefix.family) + 1)
        }

        /// The upper half, with the mask, is where it belongs; of the lower half, the upper 19 bits, with the filter's mask,
        /// are its bit in the filter.
        var hash: UInt64 {
            var hash = high &* 0x9E37_79B9_7F4A_7C15 &+ low &* 0xC2B2_AE3D_27D4_EB4F
            hash = hash &+ UInt64(tag) &* 0x1656_67B1_9E37_79F9
            hash ^= hash >> 32
            return hash &* 0xD6E8_FEB8_6659_FD93
        }

        var place: UInt32 { UInt32(truncatingIfNeeded: hash >> 32) }
        var filterBit: UInt32 { UInt32(truncatingIfNeeded: hash) >> 13 }
    }

    /// Of the search for a length. Numbers begin at 1; 0 ends the search.
    struct Step: Hashable, Sendable {
        var length: Int
        var kind: Int
        var deeper = 0
        var shallower = 0
    }

    private(set) var steps: [Step] = []
    /// The steps that the searches of each kind begin with.
    private(set) var first = [Int](repeating: 0, count: DispatchLayout.kindCount)
    /// Markers are among them.
    private(set) var keys: [Key] = []
    /// For each key, which of the elements has its intervals; nil for none.
    private(set) var elements: [Int32?] = []
    /// Of hashes.
    private(set) var mask: UInt32 = 0
    /// For each place, which of the keys is there, or -1.
    private(set) var places: [Int32] = []

    /// Of hashes.
    private(set) var filterMask: UInt32 = 0
    /// The bits that keys have, in words of 64.
    private(set) var filter: [UInt64] = []

    /// - Parameter prefixes: In ascending order, so that each comes right before those that lie in it.
    init(_ prefixes: [BindingTable.Key]) {
        planSearches(prefixes)
        addKeys(prefixes)
        var size = 16
        while size < 2 * keys.count { size *= 2 }
        while !place(size) { size *= 2 }
        makeFilter()
    }

    /// The element that a search ends with; for tests.
    func search(_ address: BindingTable.Key) -> Int? {
        var step = first[DispatchLayout.kind(address.protocol, address.prefix.family)]
        var found: Int?
        while step > 0 {
            let key = Key(address, length: steps[step - 1].length)
            let start = Int(key.place & mask)
            let bit = Int(key.filterBit & filterMask)
            guard filter[bit / 64] >> UInt64(bit % 64) & 1 == 1 else {
                step = steps[step - 1].shallower
                continue
            }
            let near = places[start..<start + DispatchLayout.probeCount].prefix { $0 >= 0 }
            if let index = near.first(where: { keys[Int($0)] == key }) {
                found = elements[Int(index)].map(Int.init)
                step = steps[step - 1].deeper
            } else {
                step = steps[step - 1].shallower
            }
        }
        return found
    }

    private mutating func planSearches(_ prefixes: [BindingTable.Key]) {
        var lengths = [[Bool]](repeating: [Bool](repeating: false, count: 129), count: first.count)
        for key in prefixes { lengths[DispatchLayout.kind(key.protocol, key.prefix.family)][key.prefix.length] = true }
        for kind in first.indices {
            let present = lengths[kind].indices.filter { lengths[kind][$0] }
            first[kind] = plan(present[...], kind)
        }
    }

    private mutating func plan(_ lengths: ArraySlice<Int>, _ kind: Int) -> Int {
        guard !lengths.isEmpty else { return 0 }
        let middle = (lengths.startIndex + lengths.endIndex) / 2
        steps.append(Step(length: lengths[middle], kind: kind))
        let number = steps.count
        steps[number - 1].deeper = plan(lengths[(middle + 1)...], kind)
        steps[number - 1].shallower = plan(lengths[..<middle], kind)
        return number
    }

    private mutating func addKeys(_ prefixes: [BindingTable.Key]) {
        // The lengths at which each length's search leaves a marker, by kind and length.
        var markers = [[Int]](repeating: [], count: first.count * 129)
        for kind in first.indices { collectMarkers(first[kind], [], &markers) }
        // The last marker at each length: the prefixes that lie in it follow one another.
        var last = [Key?](repeating: nil, count: first.count * 129)
        var path: [(key: BindingTable.Key, element: Int32)] = []
        keys.reserveCapacity(prefixes.count)
        elements.reserveCapacity(prefixes.count)
        for (index, key) in prefixes.enumerated() {
            while let deepest = path.last, !deepest.key.contains(key) { path.removeLast() }
            let kind = DispatchLayout.kind(key.protocol, key.prefix.family)
            for length in markers[kind * 129 + key.prefix.length] {
                let marker = Key(key, length: length)
                guard last[kind * 129 + length] != marker else { continue }
                last[kind * 129 + length] = marker
                let container = path.last { $0.key.prefix.length <= length }
                // A prefix of that length is there itself.
                if let container, container.key.prefix.length == length { continue }
                keys.append(marker)
                elements.append(container?.element)
            }
            keys.append(Key(key, length: key.prefix.length))
            elements.append(Int32(index))
            path.append((key, Int32(index)))
        }
    }

    /// Where keys are too many for it, all have the one bit that everything has.
    private mutating func makeFilter() {
        var bits = 64
        while bits < 16 * keys.count, bits < 64 * DispatchLayout.filterWords { bits *= 2 }
        if bits < 4 * keys.count { bits = 1 }
        filterMask = UInt32(bits - 1)
        filter = [UInt64](repeating: 0, count: (bits + 63) / 64)
        for key in keys {
            let bit = Int(key.filterBit & filterMask)
            filter[bit / 64] |= 1 << UInt64(bit % 64)
        }
    }

    private func collectMarkers(_ number: Int, _ path: [Int], _ markers: inout [[Int]]) {
        guard number > 0 else { return }
        let step = steps[number - 1]
        markers[step.kind * 129 + step.length] = path
        collectMarkers(step.deeper, path + [step.length], &markers)
        collectMarkers(step.shallower, path, &markers)
    }

    /// Puts all keys near their places; false if one would be further off than lookups look.
    ///
    /// Who is nearer to its place gives way to who is further, which keeps all near (Celis, "Robin Hood Hashing", 1986).
    private mutating func place(_ size: Int) -> Bool {
        mask = UInt32(size - 1)
        places = [Int32](repeating: -1, count: size + DispatchLayout.probeCount)
        var distances = [UInt8](repeating: 0, count: places.count)
        for index in keys.indices {
            var (moving, distance) = (Int32(index), UInt8(0))
            var at = Int(keys[index].place & mask)
            while places[at] >= 0 {
                if distances[at] < distance {
                    swap(&places[at], &moving)
                    swap(&distances[at], &distance)
                }
                at += 1
                distance += 1
                guard Int(distance) < DispatchLayout.probeCount else { return false }
            }
            (places[at], distances[at]) = (moving, distance)
        }
        return true
    }
}
