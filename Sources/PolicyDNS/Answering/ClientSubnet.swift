import Addressing

/// The EDNS option by which a resolver tells whom it asks for (RFC 7871 §6).
struct ClientSubnet {
    /// 1 for IPv4, 2 for IPv6; 0 only without an address.
    var family: UInt16
    /// The number of bits of the address that are stated.
    var sourceLength: UInt8
    /// The address, the bits that are not stated zero.
    var bits: UInt128

    /// Reads the option; nil if it is malformed (RFC 7871 §7.1.2 and §7.2.1: FORMERR).
    init?(_ data: UnsafeRawBufferPointer) {
        var reader = MessageReader(data)
        guard let family = reader.uint16(), let sourceLength = reader.byte(), let scope = reader.byte(),
            scope == 0, reader.remaining == ClientSubnet.addressSize(sourceLength)
        else { return nil }
        let width: Int
        switch family {
        case 0: width = 0
        case 1: width = 32
        case 2: width = 128
        default: return nil
        }
        guard sourceLength <= width else { return nil }
        var bits: UInt128 = 0
        var shift = width
        while let byte = reader.byte() {
            shift -= 8
            bits |= UInt128(byte) << UInt128(shift)
        }
        // Bits after the stated ones would tell more than was meant.
        guard sourceLength > 0 || bits == 0 else { return nil }
        guard bits & ~(UInt128.max << UInt128(width - Int(sourceLength))) == 0 else { return nil }
        self.family = family
        self.sourceLength = sourceLength
        self.bits = bits
    }

    private static func addressSize(_ length: UInt8) -> Int { (Int(length) + 7) / 8 }

    /// The client for whom policies decide; nil if the resolver wants that kept from us.
    var network: ClientNetwork? {
        guard sourceLength > 0 else { return nil }
        return ClientNetwork(IPAddress(family: family == 1 ? .ipv4 : .ipv6, bits: bits), length: Int(sourceLength))
    }

    /// The length of the whole option.
    var size: Int { 8 + ClientSubnet.addressSize(sourceLength) }

    /// Writes the option as it came, with the number of bits that the answer is good for.
    func write(_ writer: inout MessageWriter, scope: Int) {
        writer.uint16(OptionCode.clientSubnet)
        writer.uint16(UInt16(size - 4))
        writer.uint16(family)
        writer.byte(sourceLength)
        writer.byte(UInt8(clamping: scope))
        var shift = family == 1 ? 32 : 128
        for _ in 0..<ClientSubnet.addressSize(sourceLength) {
            shift -= 8
            writer.byte(UInt8(truncatingIfNeeded: bits >> UInt128(shift)))
        }
    }
}
