import Glibc
import Lab

/// The header of an x86 bzImage (Documentation/arch/x86/boot.rst).
struct BootImage: Hashable, Sendable {
    /// What `uname` will say, from the version string that the header points to.
    var identity: KernelIdentity?

    /// Reads and checks the header of the file at `path`.
    init(path: String) throws(KernelError) {
        guard let file = fopen(path, "re") else {
            throw errno == ENOENT || errno == ENOTDIR
                ? .missing(path: path) : .notAKernel(path: path, reason: "it cannot be read, \(Files.reason())")
        }
        defer { fclose(file) }
        var status = stat()
        guard fstat(fileno(file), &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .notAKernel(path: path, reason: "it is not a regular file")
        }
        // The version string lies in the first 32 KiB: its pointer has 16 bits, and the setup code is no longer.
        var head = [UInt8](repeating: 0, count: 65536 + 512)
        head.removeLast(head.count - fread(&head, 1, head.count, file))
        try self.init(head: head, size: Int(status.st_size), path: path)
    }

    /// Checks a header.
    ///
    /// - Parameters:
    ///   - head: the beginning of the file.
    ///   - size: the size of the whole file, to tell a truncated one.
    init(head: [UInt8], size: Int, path: String) throws(KernelError) {
        func number(_ offset: Int, bytes: Int) -> Int {
            (0..<bytes).reduce(0) { $0 | Int(head[offset + $1]) << (8 * $1) }
        }
        if head.starts(with: [0x7F, 0x45, 0x4C, 0x46]) {
            throw .notAKernel(path: path, reason: "it is an ELF file; for a vmlinux, give its arch/x86/boot/bzImage")
        }
        let headerEnd = 0x210
        guard head.count >= headerEnd else {
            // Too short for the magic number: nothing tells a truncated kernel from a foreign file.
            throw .notAKernel(path: path, reason: "it has \(size) bytes, less than a kernel's header")
        }
        guard number(0x1FE, bytes: 2) == 0xAA55, Array(head[0x202..<0x206]) == Array("HdrS".utf8) else {
            throw .notAKernel(path: path, reason: "it has no 'HdrS' at offset 0x202")
        }
        // Zero means four, says the protocol, for the sake of very old kernels.
        let setupSectors = head[0x1F1] == 0 ? 4 : Int(head[0x1F1])
        let expected = (setupSectors + 1) * 512 + number(0x1F4, bytes: 4) * 16
        guard size >= expected else { throw .truncated(path: path, bytes: size, expected: expected) }

        let pointer = number(0x20E, bytes: 2)
        guard pointer != 0, pointer + 0x200 < head.count else { return }
        let text = head[(pointer + 0x200)...].prefix(512).prefix { $0 != 0 }
        identity = BootImage.identity(banner: String(decoding: text, as: UTF8.self))
    }

    /// Takes apart `RELEASE (USER@HOST) BUILD`.
    static func identity(banner: String) -> KernelIdentity? {
        guard let space = banner.firstIndex(of: " "), KernelVersion(String(banner[..<space])) != nil,
            let build = banner.firstRange(of: ") #")
        else { return nil }
        return KernelIdentity(
            release: String(banner[..<space]), build: String(banner[banner.index(before: build.upperBound)...]))
    }
}
