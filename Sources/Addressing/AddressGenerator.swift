/// Draws addresses from pools: the fourth and the fifth of the paper's steps.
///
/// Each worker has one of its own. Prefix bits are those of the pool; host bits are as they come from the
/// source, so /32 and /128 draw nothing.
public struct AddressGenerator<Source: RandomBits & ~Copyable>: ~Copyable {
    public var source: Source

    @inlinable
    public init(_ source: consuming Source) { self.source = source }

    /// Draws an address of `family`; nil if the pool has none.
    @inlinable
    public mutating func address(_ family: AddressFamily, in pool: borrowing AddressPool) -> IPAddress? {
        pool.section(family)?.draw(from: &source)
    }

    /// Draws an address.
    @inlinable
    public mutating func address(in section: borrowing AddressPool.Section) -> IPAddress {
        section.draw(from: &source)
    }
}
