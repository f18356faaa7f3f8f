/// A version of a Debian package, ordered as dpkg orders them (deb-version(7)).
struct DebianVersion: Hashable, Sendable, CustomStringConvertible {
    let description: String

    init(_ text: String) { description = text }

    private var epoch: Int {
        guard let colon = description.firstIndex(of: ":") else { return 0 }
        return Int(description[..<colon]) ?? 0
    }

    /// What follows the epoch, divided at the last hyphen.
    private var parts: (upstream: Substring, revision: Substring) {
        let rest = description[
            (description.firstIndex(of: ":").map(description.index(after:)) ?? description.startIndex)...]
        guard let hyphen = rest.lastIndex(of: "-") else { return (rest, "") }
        return (rest[..<hyphen], rest[rest.index(after: hyphen)...])
    }
}

extension DebianVersion: Comparable {
    static func < (left: DebianVersion, right: DebianVersion) -> Bool {
        if left.epoch != right.epoch { return left.epoch < right.epoch }
        let upstream = compare(left.parts.upstream, right.parts.upstream)
        return (upstream != 0 ? upstream : compare(left.parts.revision, right.parts.revision)) < 0
    }

    /// Negative, zero or positive: runs of non-digits by character, where `~` comes before the end and letters
    /// before everything else, then runs of digits by value, and so on.
    private static func compare(_ left: Substring, _ right: Substring) -> Int {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        var (i, j) = (0, 0)
        func isDigit(_ bytes: [UInt8], _ index: Int) -> Bool {
            index < bytes.count && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index])
        }
        func weight(_ bytes: [UInt8], _ index: Int) -> Int {
            guard index < bytes.count, !isDigit(bytes, index) else { return 0 }
            switch bytes[index] {
            case UInt8(ascii: "~"): return -1
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): return Int(bytes[index])
            default: return Int(bytes[index]) + 256
            }
        }
        func number(_ bytes: [UInt8], _ index: inout Int) -> [UInt8] {
            let start = index
            while isDigit(bytes, index) { index += 1 }
            return Array(bytes[start..<index].drop { $0 == UInt8(ascii: "0") })
        }
        while i < left.count || j < right.count {
            while (i < left.count && !isDigit(left, i)) || (j < right.count && !isDigit(right, j)) {
                let difference = weight(left, i) - weight(right, j)
                if difference != 0 { return difference }
                i += 1
                j += 1
            }
            let (a, b) = (number(left, &i), number(right, &j))
            if a.count != b.count { return a.count - b.count }
            if let k = a.indices.first(where: { a[$0] != b[$0] }) { return Int(a[k]) - Int(b[k]) }
        }
        return 0
    }
}
