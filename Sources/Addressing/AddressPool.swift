/// Prefixes that addresses are drawn from.
public struct AddressPool: Hashable, Sendable {
    public var prefixes: [Prefix]
}
