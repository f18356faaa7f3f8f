import CLinux
import Glibc
import SocketLookup
import SystemPackage

extension World {
    func attach(_ attachment: Attachment) throws {
        let namespace = FileDescriptor(rawValue: try namespace(attachment.namespace).rawDescriptor)
        let program = try program(attachment.program)
        let names = attachment.copies.map { count in (0..<count).map { "\(attachment.link)[\($0 + 1)]" } }
        for name in names ?? [attachment.link] {
            try unused(links[name] != nil, "link", name)
            links[name] = try limited(to: attachment.capabilities) {
                try program.attach(to: namespace, flags: attachment.flags ?? 0)
            }
        }
    }

    func attachWithoutLink(_ attachment: LinklessAttachment) throws {
        let program = try program(attachment.program)
        try namespace(attachment.namespace).enter { try program.attachWithoutLink() }
    }

    func detachWithoutLink(_ attachment: LinklessAttachment) throws {
        let program = try program(attachment.program)
        try namespace(attachment.namespace).enter { try program.detachWithoutLink() }
    }

    func update(_ update: LinkUpdate) throws {
        let link = try link(update.link)
        let program = try program(update.program)
        let old = try update.replacing.map { try self.program($0) }
        try limited(to: update.capabilities) { try link.update(to: program, replacing: old) }
    }

    /// What the kernel says of a link, in the fixture's names.
    func information(of name: String) throws -> [String: String] {
        let information = try link(name).information()
        return [
            "program": try programName(information.program),
            "namespace": try namespaceName(information.namespace),
            "type": information.type == BPF_LINK_TYPE_NETNS.rawValue ? "netns" : "\(information.type)",
            "attach-type": information.attachType == BPF_SK_LOOKUP.rawValue ? "sk_lookup" : "\(information.attachType)",
            "identified": information.identifier == 0 ? "no" : "yes",
        ]
    }

    func query(_ query: ProgramQuery) throws -> [String: String] {
        let namespace = FileDescriptor(rawValue: try namespace(query.namespace).rawDescriptor)
        let attached = try AttachedPrograms(of: namespace, room: query.room ?? 128, flags: query.flags ?? 0)
        return [
            "programs": try attached.programs.map(programName).joined(separator: ", "),
            "count": "\(attached.count)",
            "flags": "\(attached.flags)",
        ]
    }

    func pin(_ pin: LinkPin) throws { try link(pin.link).pin(at: try pinPath(pin.at)) }

    func openPinned(_ pin: LinkPin) throws {
        try unused(links[pin.link] != nil, "link", pin.link)
        links[pin.link] = try Link(pinnedAt: try pinPath(pin.at))
    }

    func unpin(_ name: String) throws {
        guard unlink(try pinPath(name).string) == 0 else { throw KernelRefusal("unlink") }
    }

    /// Lets a link's descriptor go, which detaches it unless it is pinned.
    func letGo(ofLink name: String) throws {
        _ = try link(name)
        links[name] = nil
    }

    /// Lets a namespace go, and waits until the kernel has dismantled it.
    func removeNamespace(_ name: String) async throws {
        let watch = try NamespaceTeardown.Watch(FileDescriptor(rawValue: namespace(name).rawDescriptor))
        namespaces[name] = nil
        let deadline = deadline
        // Begun, and then over.
        guard try await watch.isDismantled(before: deadline), try await NamespaceTeardown.wait(until: deadline) else {
            // Nothing here holds it any more, so this is the kernel's doing.
            throw KernelRefusal("dismantling", ErrorNumber(rawValue: ETIMEDOUT))
        }
    }

    private func pinPath(_ name: String) throws -> FilePath {
        FilePath("/proc/self/fd/\(try bpfFileSystemDescriptor())/\(name)")
    }

    /// Of a BPF file system that nobody else sees, and that goes with the fixture.
    func bpfFileSystemDescriptor() throws(ExecutorError) -> Int32 {
        if let mounted = bpfFileSystem { return mounted.raw }
        let mount = clinux_bpf_file_system()
        guard mount >= 0 else {
            throw .call("fsmount", errno: ErrorNumber(returned: mount), doing: "making a BPF file system")
        }
        bpfFileSystem = Descriptor(mount)
        return mount
    }

    private func programName(_ identifier: UInt32) throws -> String {
        try loaded.sorted { $0.key < $1.key }.first { try $0.value.identifier() == identifier }?.key
            ?? "a program unknown to the fixture"
    }

    private func namespaceName(_ inode: UInt32) throws -> String {
        if inode == 0 { return "none" }
        return try namespaces.first { try $0.value.inode() == UInt64(inode) }?.key
            ?? "a namespace unknown to the fixture"
    }

    /// Performs `body` with only these capabilities effective in the calling thread.
    ///
    /// They stay permitted, so that they can be taken back; a thread that could not is of no more use.
    func limited<Success>(to capabilities: [Capability]?, _ body: () throws -> Success) throws -> Success {
        guard let capabilities else { return try body() }
        var before: UInt64 = 0
        let limited = clinux_limit_effective(capabilities.reduce(0) { $0 | 1 << UInt64($1.number) }, &before)
        guard limited == 0 else {
            throw ExecutorError.call("capset", errno: ErrorNumber(returned: limited), doing: "giving up capabilities")
        }
        defer {
            let restored = clinux_set_effective(before)
            precondition(restored == 0, "capabilities could not be taken back: \(ErrorNumber(returned: restored))")
        }
        return try body()
    }
}
