/// A cpio archive in the "newc" form, the one that the kernel unpacks (Documentation/driver-api/early-userspace).
///
/// Everything belongs to root and has no time, so that the same content gives the same bytes.
public struct Archive: Sendable {
    public private(set) var bytes: [UInt8] = []
    private var nextInode: UInt32 = 1
    private var present: Set<String> = []

    public init() {}

    /// Adds a file, and the directories above it. A path that is there already is left as it is.
    public mutating func add(file path: String, mode: UInt32 = 0o755, content: [UInt8]) {
        add(path, mode: 0o100000 | mode, content: content)
    }

    public mutating func add(link path: String, to target: String) {
        add(path, mode: 0o120777, content: Array(target.utf8))
    }

    public mutating func add(directory path: String) { add(path, mode: 0o040755, content: []) }

    public mutating func add(characterDevice path: String, major: UInt32, minor: UInt32) {
        add(path, mode: 0o020600, content: [], device: (major, minor))
    }

    /// The archive with its trailer.
    public func finished() -> [UInt8] {
        var whole = self
        whole.append(name: "TRAILER!!!", inode: 0, mode: 0, content: [], device: (0, 0))
        return whole.bytes
    }

    private mutating func add(_ path: String, mode: UInt32, content: [UInt8], device: (UInt32, UInt32) = (0, 0)) {
        let name = String(path.drop { $0 == "/" })
        guard !name.isEmpty, present.insert(name).inserted else { return }
        if let slash = name.lastIndex(of: "/") { add(directory: String(name[..<slash])) }
        append(name: name, inode: nextInode, mode: mode, content: content, device: device)
        nextInode += 1
    }

    private mutating func append(
        name: String, inode: UInt32, mode: UInt32, content: [UInt8], device: (major: UInt32, minor: UInt32)
    ) {
        let name = Array(name.utf8) + [0]
        let links: UInt32 = 1
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        let fields: [UInt32] = [
            inode, mode, 0, 0, links, 0, UInt32(content.count), 0, 0, device.major, device.minor, UInt32(name.count), 0,
        ]
        bytes.append(contentsOf: "070701".utf8)
        for field in fields {
            let digits = String(field, radix: 16, uppercase: true)
            bytes.append(contentsOf: String(repeating: "0", count: 8 - digits.count).utf8)
            bytes.append(contentsOf: digits.utf8)
        }
        bytes.append(contentsOf: name)
        pad()
        bytes.append(contentsOf: content)
        pad()
    }

    private mutating func pad() { bytes.append(contentsOf: repeatElement(0, count: (4 - bytes.count % 4) % 4)) }
}
