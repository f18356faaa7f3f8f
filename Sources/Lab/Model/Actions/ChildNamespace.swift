/// A network namespace that is made from within another, and takes from that what a new namespace does.
public struct ChildNamespace: Hashable, Sendable, Codable {
    public var name: String
    public var parent: String

    public init(_ name: String, from parent: String) {
        self.name = name
        self.parent = parent
    }
}
