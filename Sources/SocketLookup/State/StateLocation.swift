import CLinux
import Glibc
import SystemPackage

/// Where a namespace's dispatcher is pinned.
public struct StateLocation: Hashable, Sendable {
    /// A directory in a BPF file system, for the dispatchers of all namespaces. Made if its parent is there.
    public static let defaultBase: FilePath = "/sys/fs/bpf/binding-lab"

    /// The directory that the namespace's directory is in, ``defaultBase`` for one.
    public var base: FilePath
    /// The inode of the network namespace, which names its directory.
    public let inode: UInt64
    /// The caller's to keep open; nil for the calling thread's.
    let namespace: FileDescriptor?

    /// Where a namespace's dispatcher is or would be; nothing is made yet.
    ///
    /// - Parameters:
    ///   - base: A directory in a BPF file system, whose parent exists.
    ///   - namespace: The network namespace, which is to stay open; nil for the calling thread's.
    public init(
        base: FilePath = StateLocation.defaultBase, namespace: FileDescriptor? = nil
    ) throws(SocketLookupError) {
        self.base = base
        self.namespace = namespace
        inode = try NetworkNamespace.inode(of: namespace)
    }

    /// What is locked; it comes with the first load, and goes with the unload.
    public var directory: FilePath { base.appending("\(inode)") }

    var state: FilePath { directory.appending("state") }
    /// A state that is being made.
    var new: FilePath { directory.appending("new") }
    /// One that is being removed.
    var old: FilePath { directory.appending("old") }

    /// - Throws: ``SocketLookupError/noFileSystem(path:)``.
    func makeDirectories() throws(SocketLookupError) {
        try requireFileSystem()
        if !Pins.exists(base) {
            // Its group is the process's: that of the file system's root is nobody's choice.
            guard mkdir(base.string, Pins.directoryMode) == 0 || errno == EEXIST else {
                throw .call("mkdir", errno: errno, doing: "making \(base)", log: nil)
            }
            // Whatever the umask is.
            try performed("chmod", "making \(base)") { chmod(base.string, Pins.directoryMode) }
        }
        try Pins.makeDirectory(directory)
    }

    func requireFileSystem() throws(SocketLookupError) {
        let path = Pins.exists(base) ? base : base.removingLastComponent()
        guard clinux_is_bpf_file_system(path.string) == 1 else { throw .noFileSystem(path: path.string) }
    }
}

/// A lock on a location's directory, held by this value.
struct StateLock: ~Copyable {
    private let descriptor: Int32

    /// - Parameters:
    ///   - exclusive: Whether the state is to be changed.
    ///   - waiting: Whether to wait for others; ``SocketLookupError/busy(path:)`` is thrown if not.
    /// - Throws: ``SocketLookupError/notLoaded(path:)`` if there is no directory.
    init(_ location: StateLocation, exclusive: Bool, waiting: Bool) throws(SocketLookupError) {
        let path = location.directory.string
        while true {
            let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard directory >= 0 else {
                if errno == ENOENT { throw .notLoaded(path: path) }
                throw .call("open", errno: errno, doing: "opening \(path)", log: nil)
            }
            do throws(SocketLookupError) {
                if try StateLock.take(directory, path, exclusive: exclusive, waiting: waiting) {
                    descriptor = directory
                    return
                }
            } catch {
                close(directory)
                throw error
            }
            close(directory)
        }
    }

    deinit { close(descriptor) }

    /// Whether the lock is held, and the directory is still the one of that name.
    private static func take(
        _ directory: Int32, _ path: String, exclusive: Bool, waiting: Bool
    ) throws(SocketLookupError) -> Bool {
        while flock(directory, (exclusive ? LOCK_EX : LOCK_SH) | (waiting ? 0 : LOCK_NB)) != 0 {
            if errno == EWOULDBLOCK { throw .busy(path: path) }
            guard errno == EINTR else { throw .call("flock", errno: errno, doing: "locking \(path)", log: nil) }
        }
        // An unload that held it may have removed it, and a load have made another.
        var (held, named) = (stat(), stat())
        return fstat(directory, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino
            && held.st_dev == named.st_dev
    }
}
