import CLinux
import SystemPackage

/// A program's attachment to a network namespace. The last descriptor of a link closed detaches it.
public final class Link {
    private let descriptor: FileDescriptor

    init(descriptor: FileDescriptor) { self.descriptor = descriptor }

    // A close that fails leaves nothing to do: the descriptor is gone either way.
    deinit { try? descriptor.close() }

    /// Detaches now; the link stays, without a namespace.
    public func detach() throws(SocketLookupError) {
        try checked("bpf(BPF_LINK_DETACH)", "detaching a link") { bpf_link_detach(descriptor.rawValue) }
    }

    /// Replaces the program atomically: every lookup runs either the old or the new one. The link keeps its place
    /// among those of the namespace.
    ///
    /// - Parameters:
    ///   - program: The one to run from the next lookup on.
    ///   - old: The program that must be there for the update to happen, else EPERM; nil for any.
    public func update(to program: Program, replacing old: Program? = nil) throws(SocketLookupError) {
        try checked("bpf(BPF_LINK_UPDATE)", "replacing a link's program by '\(program.name)'") {
            clinux_bpf_update_link(descriptor.rawValue, program.descriptor, old?.descriptor ?? -1)
        }
    }

    /// What the kernel says of the link.
    public struct Information: Hashable, Sendable {
        /// The number of the link itself, not 0.
        public var identifier: UInt32
        /// BPF_LINK_TYPE_NETNS is 4.
        public var type: UInt32
        /// BPF_SK_LOOKUP is 36.
        public var attachType: UInt32
        /// The program's number, as ``Program/identifier()`` tells it.
        public var program: UInt32
        /// The inode of the namespace; 0 once the link is detached or the namespace is being dismantled.
        public var namespace: UInt32
    }

    /// Asks the kernel what the link attaches, and to what.
    public func information() throws(SocketLookupError) -> Information {
        var information = clinux_link_information()
        try checked("bpf(BPF_OBJ_GET_INFO_BY_FD)", "examining a link") {
            clinux_bpf_link_information(descriptor.rawValue, &information)
        }
        return Information(
            identifier: information.id, type: information.type, attachType: information.attach_type,
            program: information.program, namespace: information.netns)
    }

    /// Gives the link a name in a BPF file system, which keeps it attached when this process has let it go.
    public func pin(at path: FilePath) throws(SocketLookupError) {
        try checked("bpf(BPF_OBJ_PIN)", "pinning a link at \(path)") { bpf_obj_pin(descriptor.rawValue, path.string) }
    }

    /// Takes a link by its name in a BPF file system.
    public init(pinnedAt path: FilePath) throws(SocketLookupError) {
        descriptor = FileDescriptor(
            rawValue: try checked("bpf(BPF_OBJ_GET)", "opening the pinned link \(path)") { bpf_obj_get(path.string) })
    }
}

extension Program {
    /// Runs the program for every lookup of a socket in a network namespace, until the link goes.
    ///
    /// - Parameters:
    ///   - namespace: A descriptor of it, such as of `/proc/self/ns/net`, which may be closed afterwards.
    ///   - flags: None is defined: the kernel refuses any but 0 (EINVAL).
    /// - Throws: E2BIG for more than 64 links of one namespace.
    public func attach(to namespace: FileDescriptor, flags: UInt32 = 0) throws(SocketLookupError) -> Link {
        let link = try checked("bpf(BPF_LINK_CREATE)", "attaching '\(name)' to a network namespace") {
            clinux_bpf_attach_netns(descriptor, namespace.rawValue, flags)
        }
        return Link(descriptor: FileDescriptor(rawValue: link))
    }

    /// The way to attach without a link, which sk_lookup never had: EINVAL, and EEXIST where links are.
    package func attachWithoutLink() throws(SocketLookupError) {
        try checked("bpf(BPF_PROG_ATTACH)", "attaching '\(name)' without a link") {
            bpf_prog_attach(descriptor, 0, BPF_SK_LOOKUP, 0)
        }
    }

    /// The way to detach what was attached without a link: EINVAL, and ENOENT where there is none.
    package func detachWithoutLink() throws(SocketLookupError) {
        try checked("bpf(BPF_PROG_DETACH)", "detaching '\(name)' without a link") {
            bpf_prog_detach2(descriptor, 0, BPF_SK_LOOKUP)
        }
    }

    /// The program's number, unique while it is loaded.
    public func identifier() throws(SocketLookupError) -> UInt32 {
        var identifier: UInt32 = 0
        try checked("bpf(BPF_OBJ_GET_INFO_BY_FD)", "examining '\(name)'") {
            clinux_bpf_program_id(descriptor, &identifier)
        }
        return identifier
    }
}

/// What is attached to a network namespace.
public struct AttachedPrograms: Hashable, Sendable {
    /// Their numbers, in the order in which they run.
    public var programs: [UInt32]
    /// How many there are, which may be more than there was room for.
    public var count: Int
    /// How they were attached: 0, since none is defined.
    public var flags: UInt32

    /// Asks the kernel (BPF_PROG_QUERY).
    ///
    /// - Parameters:
    ///   - namespace: A descriptor of it.
    ///   - room: For how many numbers; the kernel answers ENOSPC if there are more, and with the count alone if it
    ///     is 0.
    ///   - flags: None is defined: the kernel refuses any but 0 (EINVAL).
    public init(of namespace: FileDescriptor, room: Int = 64, flags: UInt32 = 0) throws(SocketLookupError) {
        var numbers = [UInt32](repeating: 0, count: room)
        var count = UInt32(room)
        var attachFlags: UInt32 = 0
        try checked("bpf(BPF_PROG_QUERY)", "asking what is attached to a network namespace") {
            bpf_prog_query(namespace.rawValue, BPF_SK_LOOKUP, flags, &attachFlags, &numbers, &count)
        }
        programs = Array(numbers.prefix(Int(count)))
        self.count = Int(count)
        self.flags = attachFlags
    }
}
