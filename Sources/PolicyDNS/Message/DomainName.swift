/// A domain name: at most 255 bytes in wire form, in labels of 1–63 (RFC 1035 §3.1).
public struct DomainName: Hashable, Sendable {
    /// The uncompressed wire form in lower case, its root label included.
    public let wire: [UInt8]
}
