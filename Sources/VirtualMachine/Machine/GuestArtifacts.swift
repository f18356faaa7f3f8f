import FoundationEssentials
import Glibc

/// What a guest is made of that comes from our own sources, built and cached by what it was built from.
public struct GuestArtifacts: Sendable, Hashable {
    /// The static agent.
    public let agent: String
    /// PID 1.
    public let initProgram: String
    /// The directory with NAME.bpf.o for each bpf/**/NAME.bpf.c.
    public let programs: String
    /// Changes when any of them does.
    public let key: String

    private static let agentSources = [
        "Addressing", "CLinux", "CVector", "PolicyDNS", "SocketLookup", "Sockets", "Statistics", "Lab", "Channel",
        "LabGuest",
    ]

    /// Builds what is stale.
    ///
    /// - Parameter report: Is told of each thing that has to be built.
    /// - Throws: ``MachineError``, with the compiler's output where something does not build.
    public static func prepare(
        cache: Cache, report: @Sendable (String) -> Void = { _ in }
    ) async throws -> GuestArtifacts {
        let root = try PackageRoot.find()
        let directory = "\(cache.root)/guest"
        try Files.makeDirectory(directory)
        let swift = try Tool("swift", package: "a Swift 6.3 toolchain")
        let clang = Tool(path: try beside(swift, "clang"))
        let toolchain = try ContentKey.stamp(clang.path)

        let agent = try await agent(root: root, swift: swift, toolchain: toolchain, in: directory, report: report)
        let initProgram = try await initProgram(
            root: root, clang: clang, toolchain: toolchain, in: directory, report: report)
        let programs = try await programs(
            root: root, clang: clang, toolchain: toolchain, in: directory, report: report)
        let key = try await ContentKey.of(files: [], in: root, salt: [agent, initProgram, programs])
        return GuestArtifacts(agent: agent, initProgram: initProgram, programs: programs, key: key)
    }

    /// Only the BPF objects, for performing fixtures without a guest.
    public static func preparePrograms(
        cache: Cache, report: @Sendable (String) -> Void = { _ in }
    ) async throws -> String {
        let directory = "\(cache.root)/guest"
        try Files.makeDirectory(directory)
        let clang = Tool(path: try beside(Tool("swift", package: "a Swift 6.3 toolchain"), "clang"))
        return try await programs(
            root: PackageRoot.find(), clang: clang, toolchain: ContentKey.stamp(clang.path), in: directory,
            report: report)
    }

    /// The toolchain's own `name`, wherever a `swift` in PATH links to.
    private static func beside(_ swift: Tool, _ name: String) throws(MachineError) -> String {
        let resolved = URL(filePath: swift.path).resolvingSymlinksInPath().path
        let directory = resolved[..<(resolved.lastIndex(of: "/") ?? resolved.startIndex)]
        let path = "\(directory)/\(name)"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw .noTool(path, package: "a complete Swift toolchain")
        }
        return path
    }

    private static func agent(
        root: String, swift: Tool, toolchain: String, in directory: String, report: (String) -> Void
    ) async throws -> String {
        let sources =
            // What dependencies were resolved to is recorded beside the manifest, once they have been.
            ["Package.swift", "Package.resolved"].filter { Files.exists("\(root)/\($0)") }
            + agentSources.flatMap { target in
                Files.all(below: "\(root)/Sources/\(target)").map { "Sources/\(target)/\($0)" }
            }
        // Stripped: a third less to load into every guest, and nothing in there can read the symbols.
        let options = ["--static-swift-stdlib", "-Xswiftc", "-static-executable", "-Xlinker", "-s"]
        let key = try await ContentKey.of(files: sources, in: root, salt: [toolchain] + options)
        let path = "\(directory)/agent-\(key)"
        if FileManager.default.fileExists(atPath: path) { return path }

        report("building the guest's agent")
        let scratch = "\(root)/.build-guest"
        // SwiftPM leaves half a dozen empty directories behind with every build: here they can be swept up.
        let temporary = "\(path).\(getpid()).tmp"
        try Files.makeDirectory(temporary)
        defer { try? FileManager.default.removeItem(atPath: temporary) }
        _ = try await swift.run(
            ["build", "-c", "release", "--product", "lab-guest", "--scratch-path", scratch] + options,
            in: root, temporary: temporary, on: "lab-guest")
        let built = "\(scratch)/release/lab-guest"
        let bytes = try Files.read(built)
        guard ELF.isStaticExecutable(bytes) else { throw MachineError.notStatic(built) }
        try await Files.place(path) { try Files.write(bytes, to: $0) }
        return path
    }

    private static func initProgram(
        root: String, clang: Tool, toolchain: String, in directory: String, report: (String) -> Void
    ) async throws -> String {
        let options = ["-static", "-O2", "-Wall", "-Wextra"]
        let key = try await ContentKey.of(files: ["vm/init.c"], in: root, salt: [toolchain] + options)
        let path = "\(directory)/init-\(key)"
        if FileManager.default.fileExists(atPath: path) { return path }

        report("building the guest's PID 1")
        try await Files.place(path) { temporary in
            _ = try await clang.run(options + ["vm/init.c", "-o", temporary], in: root, on: "vm/init.c")
            guard ELF.isStaticExecutable(try Files.read(temporary)) else { throw MachineError.notStatic(path) }
        }
        return path
    }

    private static func programs(
        root: String, clang: Tool, toolchain: String, in directory: String, report: (String) -> Void
    ) async throws -> String {
        let files = Files.all(below: "\(root)/bpf").filter { $0.hasSuffix(".c") || $0.hasSuffix(".h") }
        // The multiarch directory has the <asm/types.h> that <linux/bpf.h> wants, which the target lacks.
        let options = ["-O2", "-g", "-Wall", "-Werror", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu", "-Ibpf"]
        let key = try await ContentKey.of(
            files: files.map { "bpf/\($0)" }, in: root, salt: [toolchain] + options)
        let path = "\(directory)/bpf-\(key)"
        if FileManager.default.fileExists(atPath: path) { return path }

        let suffix = ".bpf.c"
        let sources = files.filter { $0.hasSuffix(suffix) }
        report("compiling \(sources.count) BPF programs")
        try await Files.place(path) { temporary in
            try Files.makeDirectory(temporary)
            for source in sources {
                let name = source[(source.lastIndex(of: "/").map(source.index(after:)) ?? source.startIndex)...]
                    .dropLast(suffix.count)
                _ = try await clang.run(
                    options + ["-c", "bpf/\(source)", "-o", "\(temporary)/\(name).bpf.o"], in: root,
                    on: "bpf/\(source)")
            }
        }
        return path
    }
}

/// As much of the executable format as the lab has to know.
enum ELF {
    /// Whether nothing has to be loaded beside this 64-bit executable: it names no interpreter.
    static func isStaticExecutable(_ bytes: [UInt8]) -> Bool {
        guard bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1]), bytes.count >= 64 else { return false }
        let table = number(bytes, at: 32, size: 8)
        let entrySize = number(bytes, at: 54, size: 2)
        let count = number(bytes, at: 56, size: 2)
        guard table > 0, count > 0, table + count * entrySize <= bytes.count else { return false }
        let interpreter = 3
        return (0..<count).allSatisfy { number(bytes, at: table + $0 * entrySize, size: 4) != interpreter }
    }

    private static func number(_ bytes: [UInt8], at offset: Int, size: Int) -> Int {
        Int(truncatingIfNeeded: bytes[offset..<offset + size].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
}
