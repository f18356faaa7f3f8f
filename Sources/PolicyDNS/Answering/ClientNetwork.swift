import Addressing

/// Whom policies take for the client: the subnet that the query states (RFC 7871), or its source address.
struct ClientNetwork {
    var address: IPAddress
    /// The number of bits of `address` that are known.
    var length: Int

    init(_ address: IPAddress) {
        // A dual-stack socket shows IPv4 clients as ::ffff:0:0/96.
        if case .v6(let bits) = address, bits >> 32 == 0xFFFF {
            self.address = .v4(UInt32(truncatingIfNeeded: bits))
        } else {
            self.address = address
        }
        length = self.address.family.width
    }

    init(_ address: IPAddress, length: Int) {
        self.address = address
        self.length = length
    }

    /// Whether all of the network is in `prefix`, and how many bits of an address tell that (RFC 7871 §7.2.1).
    ///
    /// For a network elsewhere that is up to the first bit that differs: an answer may be reused for all that share
    /// those bits, and for no others, since they could be inside. It is more than ``length`` where the network is wider
    /// than the prefix and holds it: then the client should have said more. It is never 0, which would say that the
    /// answer is good for all networks, of the other family too (§7.3.1).
    func compare(with prefix: Prefix) -> (isInside: Bool, bits: Int) {
        guard prefix.family == address.family else { return (false, 1) }
        let width = address.family.width
        let difference = (address.bits ^ prefix.address.bits) << UInt128(128 - width)
        let common = min(difference.leadingZeroBitCount, prefix.length)
        if common == prefix.length { return (prefix.length <= length, max(1, prefix.length)) }
        return common < length ? (false, common + 1) : (false, prefix.length)
    }
}
