import FoundationEssentials
import Glibc

/// Where the lab keeps what took long to get or make: kernels, snapshots, verdicts on accelerators.
///
/// An entry is a directory (or a file) that appears whole or not at all: it is filled under another name on
/// the same file system and renamed into place. Any number of labs may use one cache at once.
public struct Cache: Hashable, Sendable {
    /// The directory of the cache, absolute.
    public let root: String

    /// One thing in the cache, as `lab cache` shows it.
    public struct Entry: Hashable, Sendable {
        /// `kernels/6.12`, say: what ``Cache/clear(_:)`` takes.
        public var name: String
        public var path: String
        /// What it takes on disk.
        public var bytes: Int
    }

    /// The cache in `root`, which is made if needed.
    public init(root: String) throws(CacheError) {
        self.root = Files.absolute(root)
        try Cache.makeDirectory(self.root)
        sweep()
    }

    /// The cache in `$LAB_CACHE`, else `$XDG_CACHE_HOME/binding-lab`, else `~/.cache/binding-lab`.
    public static func standard() throws(CacheError) -> Cache {
        try Cache(root: standardRoot(ProcessInfo.processInfo.environment))
    }

    static func standardRoot(_ environment: [String: String]) throws(CacheError) -> String {
        if let own = environment["LAB_CACHE"], !own.isEmpty { return own }
        // The XDG specification says to ignore a relative path.
        if let xdg = environment["XDG_CACHE_HOME"], xdg.hasPrefix("/") { return "\(xdg)/binding-lab" }
        guard let home = environment["HOME"], home.hasPrefix("/") else { throw .noHome }
        return "\(home)/.cache/binding-lab"
    }

    /// The path of an entry, whether it is there or not.
    public func path(_ entry: String) -> String { "\(root)/\(entry)" }

    public func contains(_ entry: String) -> Bool { Files.exists(path(entry)) }

    /// Publishes a directory: `fill` gets an empty one to fill, which then becomes the entry in one step.
    ///
    /// If another lab has published the entry meanwhile, that one stays and this one is thrown away. If
    /// `fill` throws or is cancelled, nothing remains.
    ///
    /// - Returns: the path of the entry.
    @discardableResult
    public func publish(
        _ entry: String, isolation: isolated (any Actor)? = #isolation, fill: (String) async throws -> Void
    ) async throws -> String {
        let destination = try checkedPath(entry)
        return try await withScratch { scratch in
            let content = "\(scratch)/content"
            try Cache.makeDirectory(content)
            try await fill(content)
            try Task.checkCancellation()
            try Cache.makeDirectory(Files.parent(of: destination))
            guard rename(content, destination) == 0 else {
                let taken = [EEXIST, ENOTEMPTY].contains(errno)
                if taken { return destination }
                throw CacheError.failed(doing: "publishing", path: destination, reason: Files.reason())
            }
            return destination
        }
    }

    /// Writes a small file in one step, over what was there.
    public func write(_ contents: [UInt8], to entry: String) throws(CacheError) {
        let destination = try checkedPath(entry)
        let scratch = try Scratch(in: "\(root)/\(Cache.partial)")
        defer { scratch.remove() }
        do {
            try Data(contents).write(to: URL(filePath: "\(scratch.path)/content"))
        } catch {
            throw .failed(doing: "writing", path: destination, reason: "\(error)")
        }
        try Cache.makeDirectory(Files.parent(of: destination))
        guard rename("\(scratch.path)/content", destination) == 0 else {
            throw .failed(doing: "publishing", path: destination, reason: Files.reason())
        }
    }

    /// Lends a directory on the cache's file system, and removes it afterwards, whatever happens.
    public func withScratch<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: (String) async throws -> Result
    ) async throws -> Result {
        let scratch = try Scratch(in: "\(root)/\(Cache.partial)")
        defer { scratch.remove() }
        return try await body(scratch.path)
    }

    /// What is in the cache, two levels deep, by name.
    public func entries() -> [Entry] {
        Files.names(in: root).filter { !$0.hasPrefix(".") }.flatMap { kind in
            let below = Files.names(in: path(kind))
            let names = below.isEmpty ? [kind] : below.map { "\(kind)/\($0)" }
            return names.map { Entry(name: $0, path: path($0), bytes: Files.bytes(below: path($0))) }
        }
    }

    /// Removes one entry, or all of them. A lab that is using one fails on its next read, but never sees half.
    public func clear(_ entry: String? = nil) throws(CacheError) {
        let names = entry.map { [$0] } ?? Files.names(in: root).filter { !$0.hasPrefix(".") }
        let scratch = try Scratch(in: "\(root)/\(Cache.partial)")
        defer { scratch.remove() }
        for (index, name) in names.enumerated() {
            let source = try checkedPath(name)
            guard rename(source, "\(scratch.path)/\(index)") == 0 else {
                if errno == ENOENT { continue }
                throw .failed(doing: "clearing", path: source, reason: Files.reason())
            }
        }
    }

    /// Removes what labs left that were killed while they filled something.
    private func sweep() {
        for name in Files.names(in: path(Cache.partial)) { Scratch.removeIfAbandoned(path("\(Cache.partial)/\(name)")) }
    }

    private static let partial = ".partial"

    private func checkedPath(_ entry: String) throws(CacheError) -> String {
        let parts = entry.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(".") }) else { throw .badEntry(entry) }
        return path(entry)
    }

    fileprivate static func makeDirectory(_ path: String) throws(CacheError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw .failed(doing: "making the directory", path: path, reason: Files.reason())
        }
    }
}

/// A temporary directory that is known to be in use for as long as its maker lives.
///
/// The maker holds a lock on it, which the kernel drops with the process, so that another lab can tell an
/// abandoned directory from a busy one without trusting process ids. Where locks do not work (some network
/// file systems), nothing is swept.
private struct Scratch {
    let path: String
    private let descriptor: Int32

    init(in directory: String) throws(CacheError) {
        try Cache.makeDirectory(directory)
        // A sweeping lab may take the directory between its making and its locking: then make another.
        for _ in 0..<100 {
            let path = "\(directory)/\(getpid())-\(UInt64.random(in: .min ... .max))"
            guard mkdir(path, 0o755) == 0 else {
                throw .failed(doing: "making the directory", path: path, reason: Files.reason())
            }
            let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            flock(descriptor, LOCK_EX)
            if Scratch.isStill(descriptor, at: path) {
                self.path = path
                self.descriptor = descriptor
                return
            }
            close(descriptor)
        }
        throw .failed(doing: "locking a directory in", path: directory, reason: "others keep removing it")
    }

    func remove() {
        Scratch.remove(path)
        close(descriptor)
    }

    static func removeIfAbandoned(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0, isStill(descriptor, at: path) { remove(path) }
    }

    private static func remove(_ path: String) {
        // Again while a child that has been killed, but is not gone, still makes files.
        for _ in 0..<10 where Files.exists(path) {
            try? FileManager.default.removeItem(atPath: path)
            if Files.exists(path) { usleep(20_000) }
        }
    }

    private static func isStill(_ descriptor: Int32, at path: String) -> Bool {
        var opened = stat()
        var named = stat()
        return fstat(descriptor, &opened) == 0 && stat(path, &named) == 0
            && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev
    }
}

/// What is wrong with the cache.
public enum CacheError: Error, Hashable, Sendable, CustomStringConvertible {
    case noHome
    case badEntry(String)
    case failed(doing: String, path: String, reason: String)

    public var description: String {
        switch self {
        case .noHome: "there is nowhere to keep a cache: set LAB_CACHE to a directory (HOME is not set)"
        case .badEntry(let entry): "'\(entry)' is not an entry of the cache: `lab cache` lists them"
        case .failed(let doing, let path, let reason):
            "the cache failed while \(doing) \(path): \(reason); set LAB_CACHE to a directory with space that you own"
        }
    }
}
