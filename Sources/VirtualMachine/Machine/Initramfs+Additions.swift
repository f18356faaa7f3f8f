import FoundationEssentials

extension Initramfs {
    /// Makes an archive with more files, which goes with the run: the kernel unpacks archives that follow one another
    /// into one file system.
    func adding(_ additions: Archive, in run: RunDirectory) throws -> Initramfs {
        let path = "\(run.path)/initramfs.cpio"
        var bytes = try Files.read(self.path)
        // Each archive begins at a multiple of four bytes; zeros between them are skipped.
        bytes.append(contentsOf: repeatElement(0, count: -bytes.count & 3))
        bytes += additions.finished()
        try Files.write(bytes, to: path)
        return Initramfs(path: path)
    }
}

extension Archive {
    /// Adds a program of this machine with the shared libraries that it loads, at the paths where it looks for them.
    ///
    /// - Parameters:
    ///   - program: Its path on this machine.
    ///   - path: Its path in the archive.
    /// - Throws: ``MachineError`` if it cannot be read, or its libraries not be listed.
    public mutating func add(program: String, as path: String) async throws {
        add(file: path, content: try Files.read(program))
        for library in try await Initramfs.libraries(of: program, below: "") {
            add(file: library, content: try Files.read(library))
        }
    }
}
