import FoundationEssentials

/// The root file system of a guest, as an archive that the kernel unpacks: made once per content, and cached.
public struct Initramfs: Sendable, Hashable {
    public let path: String

    /// Programs of this machine that a fixture's shell lines may use, and the packages that have them.
    private static let programs = [
        ("ip", "iproute2"), ("ss", "iproute2"),
        // In place of busybox's, which prefer their applets to what is in PATH: `ip` would be busybox's.
        ("dash", "dash"), ("nsenter", "util-linux"),
    ]

    /// A program that guests bring along where the machine has it: what needs it is `unsupported` elsewhere.
    ///
    /// The package unbound is unpacked by scripts/setup, and not installed: that would start a resolver here.
    private static func resolver(_ cache: Cache) -> UnpackedTool? {
        let unpacked = UnpackedTool(
            tool: Tool(path: "\(cache.root)/tools/usr/sbin/unbound"), root: "\(cache.root)/tools")
        if FileManager.default.isExecutableFile(atPath: unpacked.tool.path) { return unpacked }
        do {
            return UnpackedTool(tool: try Tool("unbound", package: "unbound"), root: "")
        } catch {
            return nil
        }
    }

    /// A program whose libraries may lie below another directory than /.
    private struct UnpackedTool {
        var tool: Tool
        var root: String
    }

    /// Makes the archive for `kernel`, unless it is cached.
    public static func prepare(
        for kernel: Kernel, artifacts: GuestArtifacts, cache: Cache
    ) async throws -> Initramfs {
        let busybox = try Tool("busybox", package: "busybox-static")
        let tools = try programs.map { try Tool($0.0, package: $0.1) }
        var modules = KernelModules(directory: kernel.modules)
        let resolver = resolver(cache)
        let form = 3
        let key = try await ContentKey.of(
            files: [], in: "/",
            salt: ["\(form)", artifacts.key] + KernelModules.wanted + modules.stamps
                + ([busybox] + tools + (resolver.map { [$0.tool] } ?? [])).map { try ContentKey.stamp($0.path) })
        let directory = "\(cache.root)/initramfs"
        let path = "\(directory)/\(key).cpio"
        if FileManager.default.fileExists(atPath: path) {
            // Used today: what is old and unused is pruned.
            try? FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: path)
            return Initramfs(path: path)
        }

        try Files.makeDirectory(directory)
        prune(directory)
        try await modules.load()
        let archive = try await archive(
            artifacts: artifacts, busybox: busybox,
            tools: tools.map { UnpackedTool(tool: $0, root: "") } + (resolver.map { [$0] } ?? []), modules: modules)
        try await Files.place(path) { try Files.write(archive, to: $0) }
        return Initramfs(path: path)
    }

    private static func archive(
        artifacts: GuestArtifacts, busybox: Tool, tools: [UnpackedTool], modules: KernelModules
    ) async throws -> [UInt8] {
        var archive = Archive()
        for directory in ["dev", "proc", "sys", "run", "tmp", "root", "etc", "var"] {
            archive.add(directory: directory)
        }
        // PID 1's standard streams, before it has mounted /dev.
        archive.add(characterDevice: "dev/console", major: 5, minor: 1)
        archive.add(link: "var/run", to: "/run")
        archive.add(file: "etc/passwd", mode: 0o644, content: Array("root:x:0:0:root:/root:/bin/sh\n".utf8))
        archive.add(file: "etc/hosts", mode: 0o644, content: Array("127.0.0.1 localhost\n::1 localhost\n".utf8))

        let initProgram = try Files.read(artifacts.initProgram)
        archive.add(file: "init", content: initProgram)
        archive.add(file: "bin/lab-guest", content: try Files.read(artifacts.agent))
        for object in Files.all(below: artifacts.programs) {
            archive.add(
                file: "lib/bpf/\(object)", mode: 0o644, content: try Files.read("\(artifacts.programs)/\(object)"))
        }
        archive.add(directory: "lib/bpf")

        let box = try Files.read(busybox.path)
        guard ELF.isStaticExecutable(box) else {
            throw MachineError.noTool("static busybox", package: "busybox-static")
        }
        archive.add(file: "bin/busybox", content: box)
        // The real tools first: a path that is there already is not replaced by an applet.
        for (tool, root) in tools.map({ ($0.tool, $0.root) }) {
            let name = tool.path[(tool.path.lastIndex(of: "/").map(tool.path.index(after:)) ?? tool.path.startIndex)...]
            archive.add(file: "bin/\(name)", content: try Files.read(tool.path))
            for library in try await libraries(of: tool.path, below: root) {
                let place = library.hasPrefix(root) ? String(library.dropFirst(root.count)) : library
                archive.add(file: place, content: try Files.read(library))
            }
        }
        archive.add(link: "bin/sh", to: "dash")
        for applet in try await busybox.text(["--list"], on: "its applets").split(separator: "\n") {
            archive.add(link: "bin/\(applet)", to: "busybox")
        }

        for module in modules.modules {
            archive.add(file: "lib/modules/\(module.name).ko", mode: 0o644, content: module.content)
        }
        archive.add(file: "lib/modules/order", mode: 0o644, content: Array(modules.order.utf8))
        return archive.finished()
    }

    /// The shared libraries of `program`, the loader included, by the paths at which it looks for them, or else below
    /// `root`.
    static func libraries(of program: String, below root: String) async throws -> [String] {
        let directories = ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu"].map { root + $0 }
        let environment = root.isEmpty ? [:] : ["LD_LIBRARY_PATH": directories.joined(separator: ":")]
        let listing = try await Tool("ldd", package: "libc-bin").text([program], environment: environment, on: program)
        return listing.split(separator: "\n").compactMap { line in
            // "libelf.so.1 => /lib/x86_64-linux-gnu/libelf.so.1 (0x…)" or "/lib64/ld-linux-x86-64.so.2 (0x…)"
            line.split(separator: " ").first { $0.drop { $0.isWhitespace }.hasPrefix("/") }
                .map { String($0.drop { $0.isWhitespace }) }
        }
    }

    /// Every change of the guest makes a new archive per kernel: those that nothing used for a week go.
    private static func prune(_ directory: String) {
        let manager = FileManager.default
        let limit = Date().addingTimeInterval(-7 * 24 * 3600)
        for name in (try? manager.contentsOfDirectory(atPath: directory)) ?? [] where name.hasSuffix(".cpio") {
            let path = "\(directory)/\(name)"
            guard let used = try? manager.attributesOfItem(atPath: path)[.modificationDate] as? Date, used < limit
            else { continue }
            try? manager.removeItem(atPath: path)
        }
    }
}
