import Addressing

/// Where a binding leads.
struct Target: Hashable, Sendable {
    /// Of the binding, so that intervals of two are never joined.
    var counter: UInt32 = 0
    var label: String
    var otherwise: Fallback
}

/// Which target each port has: disjoint intervals in ascending order, with gaps where nothing is bound.
struct PortTable: Hashable, Sendable {
    struct Interval: Hashable, Sendable {
        var first: UInt16
        var last: UInt16
        var target: Target
    }

    private(set) var intervals: [Interval] = []

    init() {}

    /// The table of a prefix: its own ranges, the narrowest on top, over those of the next wider prefix.
    ///
    /// `own` has no two ranges that overlap and are equally wide.
    init(_ own: [PortRange: Target], over inherited: PortTable) {
        intervals = inherited.intervals
        // Of equally wide ranges none overlap, but a dictionary's order must not show in the result.
        let painted = own.sorted { ($1.key.count, $0.key.first) < ($0.key.count, $1.key.first) }
        for (range, target) in painted { paint(range, target) }
        merge()
    }

    /// The table of a prefix that has one range, and inherits nothing.
    init(_ range: PortRange, _ target: Target) {
        intervals = [Interval(first: range.first, last: range.last, target: target)]
    }

    /// The target of a port; nil if nothing is bound to it.
    func target(for port: UInt16) -> Target? {
        intervals.first { $0.first <= port && port <= $0.last }?.target
    }

    private mutating func paint(_ range: PortRange, _ target: Target) {
        var painted: [Interval] = []
        var placed = false
        for interval in intervals {
            if interval.last < range.first {
                painted.append(interval)
                continue
            }
            // The part before the range; it cannot begin at the range, so `range.first` is above 0.
            if interval.first < range.first {
                painted.append(Interval(first: interval.first, last: range.first - 1, target: interval.target))
            }
            if !placed {
                painted.append(Interval(first: range.first, last: range.last, target: target))
                placed = true
            }
            // The part after it; likewise `range.last` is below 65535.
            if interval.last > range.last {
                let first = max(interval.first, range.last + 1)
                painted.append(Interval(first: first, last: interval.last, target: interval.target))
            }
        }
        if !placed { painted.append(Interval(first: range.first, last: range.last, target: target)) }
        intervals = painted
    }

    /// Joins neighbours with one target: room in a table is limited.
    private mutating func merge() {
        var merged: [Interval] = []
        for interval in intervals {
            // Only a last interval ends at 65535, so the sum does not overflow.
            if let before = merged.last, before.target == interval.target, before.last + 1 == interval.first {
                merged[merged.count - 1].last = interval.last
            } else {
                merged.append(interval)
            }
        }
        intervals = merged
    }
}
