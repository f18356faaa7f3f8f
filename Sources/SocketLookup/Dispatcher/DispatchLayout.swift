import Addressing
import CLinux

/// The maps' bytes, as `bpf/dispatch.bpf.c` declares them.
enum DispatchLayout {
    /// Of maps that fit together. Another means that a state cannot be upgraded, only unloaded.
    static let version: UInt32 = 2

    static let labelLimit = 4096
    static let kindCount = 4
    static let intervalsInline = 3
    static let countersPerChunk = 1024
    static let chunkLimit = 2048
    /// 200 MB of them.
    static let intervalLimit = 1 << 24

    /// How many places lookups look at for a prefix.
    static let probeCount = 16
    /// Of a binary search among 129 lengths.
    static let lengthSteps = 8
    static let filterWords = 8192
    private static let stepLimit = 512

    static let intervalSize = 12
    private static let keySize = 20
    private static let stepSize = 24
    private static let planHead = 16
    static let intervalsSize = intervalsInline * intervalSize
    static let nodeSize = keySize + intervalsSize + 8
    static let planSize = planHead + stepLimit * stepSize + filterWords * 8
    static let counterSize = 24
    static let totalSize = 8 + counterSize
    static let sharingSize = 12 + Sharing.shareCount
    static let labelSize = kindCount * sharingSize
    static let controlSize = 8

    private static let passFlag: UInt32 = 1 << 31

    /// Struct plan.
    static func plan(_ table: PrefixTable) -> [UInt8] {
        var bytes = native(table.mask) + table.first.flatMap { native(UInt16($0)) } + native(table.filterMask)
        // Number 0 is none.
        bytes += [UInt8](repeating: 0, count: stepSize)
        for step in table.steps {
            let ones = step.length == 0 ? 0 : UInt128.max << UInt128(128 - step.length)
            bytes += native(ones.bigEndian)
            bytes += native(UInt16(step.deeper)) + native(UInt16(step.shallower)) + native(UInt32(step.length))
        }
        bytes += [UInt8](repeating: 0, count: planHead + stepLimit * stepSize - bytes.count)
        bytes += table.filter.flatMap { native($0) }
        return bytes + [UInt8](repeating: 0, count: planSize - bytes.count)
    }

    /// Struct node.
    static func appendNode(_ key: PrefixTable.Key, _ intervals: ArraySlice<UInt8>, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: key.high) { bytes += $0 }
        withUnsafeBytes(of: key.low) { bytes += $0 }
        withUnsafeBytes(of: key.tag) { bytes += $0 }
        bytes += intervals
        withUnsafeBytes(of: UInt64(0)) { bytes += $0 }
    }

    /// Struct interval.
    static func append(_ interval: PortTable.Interval, number: UInt32, to bytes: inout [UInt8]) {
        append(interval.first, interval.last, interval.target.counter, to: &bytes)
        withUnsafeBytes(of: number | (interval.target.otherwise == .pass ? passFlag : 0)) { bytes += $0 }
    }

    /// Struct interval, so many that are not in use.
    static func appendUnused(_ count: Int, to bytes: inout [UInt8]) {
        for _ in 0..<count {
            append(1, 0, 0, to: &bytes)
            withUnsafeBytes(of: UInt32(0)) { bytes += $0 }
        }
    }

    /// Struct intervals, of more than fit.
    static func append(elsewhereFrom start: UInt32, count: UInt32, to bytes: inout [UInt8]) {
        append(.max, 0, start, to: &bytes)
        withUnsafeBytes(of: count) { bytes += $0 }
        appendUnused(intervalsInline - 1, to: &bytes)
    }

    private static func append(_ first: UInt16, _ last: UInt16, _ binding: UInt32, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: first) { bytes += $0 }
        withUnsafeBytes(of: last) { bytes += $0 }
        withUnsafeBytes(of: binding) { bytes += $0 }
    }

    /// The index of a struct sharing in a struct label.
    static func kind(_ protocol: TransportProtocol, _ family: AddressFamily) -> Int {
        (`protocol` == .udp ? 2 : 0) + (family == .ipv6 ? 1 : 0)
    }

    static func slot(_ label: UInt32, _ kind: Int, _ slot: Int) -> UInt32 {
        (label * UInt32(kindCount) + UInt32(kind)) * UInt32(Sharing.slotCount) + UInt32(slot)
    }

    /// Struct label.
    static func label(_ kinds: [Sharing]) -> [UInt8] {
        kinds.flatMap { sharing in
            native(UInt32(sharing.slots.count)) + native(mask(sharing.slots)) + native(mask(sharing.draining))
                + sharing.shares
        }
    }

    static func kinds(_ label: [UInt8]) -> [Sharing] {
        (0..<kindCount).map { kind in
            let bytes = label[kind * sharingSize..<(kind + 1) * sharingSize]
            return Sharing(
                slots: slots(number(bytes, at: 4)), draining: slots(number(bytes, at: 8)),
                shares: Array(bytes.suffix(Sharing.shareCount)))
        }
    }

    static func native(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

    /// A number in the machine's order.
    static func number<Number: FixedWidthInteger>(_ bytes: some Collection<UInt8>, at offset: Int) -> Number {
        var value: Number = 0
        let index = bytes.index(bytes.startIndex, offsetBy: offset)
        withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: bytes[index...].prefix(MemoryLayout<Number>.size)) }
        return value
    }

    private static func mask(_ slots: some Sequence<Int>) -> UInt32 { slots.reduce(0) { $0 | 1 << UInt32($1) } }

    private static func slots(_ mask: UInt32) -> Set<Int> {
        Set((0..<Sharing.slotCount).filter { mask & 1 << UInt32($0) != 0 })
    }
}
