/// A domain name: at most 255 bytes in wire form, in labels of 1–63 (RFC 1035 §3.1).
public struct DomainName: Hashable, Sendable {
    /// The uncompressed wire form in lower case, its root label included.
    public let wire: [UInt8]

    public static let root = DomainName(lowerCasedWire: [0])
    static let maximumLength = 255

    /// Takes a wire form that is known to be well-formed and in lower case.
    init(lowerCasedWire wire: [UInt8]) { self.wire = wire }

    /// Makes a name of labels, from the left; case is lost.
    public init(labels: some Sequence<some Collection<UInt8>>) throws(DomainNameError) {
        var wire: [UInt8] = []
        for label in labels {
            guard !label.isEmpty else { throw .emptyLabel }
            guard let size = UInt8(exactly: label.count), size <= 63 else { throw .labelTooLong(label.count) }
            wire.append(size)
            wire.append(contentsOf: label.lazy.map(DomainName.lowerCased))
        }
        wire.append(0)
        guard wire.count <= DomainName.maximumLength else { throw .nameTooLong(wire.count) }
        self.wire = wire
    }

    /// The labels from the left, without the root's.
    public var labels: [ArraySlice<UInt8>] {
        var labels: [ArraySlice<UInt8>] = []
        var position = 0
        while wire[position] != 0 {
            let end = position + 1 + Int(wire[position])
            labels.append(wire[(position + 1)..<end])
            position = end
        }
        return labels
    }

    /// The name without its first label; nil for the root.
    public var parent: DomainName? {
        wire[0] == 0 ? nil : DomainName(lowerCasedWire: Array(wire[(1 + Int(wire[0]))...]))
    }

    /// Whether the name is `other` or below it.
    public func isAtOrBelow(_ other: DomainName) -> Bool {
        let difference = labels.count - other.labels.count
        return difference >= 0 && wire.suffix(other.wire.count) == other.wire[...]
            && labels.dropFirst(difference).elementsEqual(other.labels)
    }

    /// ASCII case folding, which is all that DNS knows (RFC 4343).
    @inline(__always)
    static func lowerCased(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }
}
