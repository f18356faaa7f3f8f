// A stand-in until the kernel catalogue is merged.
import Glibc

public struct Kernel: Hashable, Sendable {
    public var name: String
    public var image: String
    public var modules: String?
    public var origin: String?

    public init(name: String, image: String, modules: String? = nil, origin: String? = nil) {
        self.name = name
        self.image = image
        self.modules = modules
        self.origin = origin
    }
}

public struct Cache: Sendable, Hashable {
    public let root: String

    public init(root: String) { self.root = root }

    public static func standard() throws -> Cache {
        let environment = { (name: String) in getenv(name).map { String(cString: $0) } }
        if let root = environment("LAB_CACHE") { return Cache(root: root) }
        if let root = environment("XDG_CACHE_HOME") { return Cache(root: root + "/binding-lab") }
        return Cache(root: (environment("HOME") ?? "/root") + "/.cache/binding-lab")
    }
}
