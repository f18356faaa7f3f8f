import FoundationEssentials

/// The modules that a guest needs, taken from a kernel's directory of modules.
struct KernelModules: Sendable {
    /// Links between namespaces, and what `ss` asks about sockets.
    static let wanted = ["veth", "dummy", "inet_diag", "tcp_diag", "udp_diag"]

    /// A dummy device that nobody asked for would be in the way of a fixture that counts devices.
    private static let parameters = ["dummy": "numdummies=0"]

    struct Module: Sendable {
        var name: String
        /// The ELF file, decompressed.
        var content: [UInt8]
    }

    /// In the order in which they have to be loaded.
    private(set) var modules: [Module] = []

    /// What PID 1 reads: a module and its parameters per line.
    var order: String {
        modules.map { module in
            module.name + (KernelModules.parameters[module.name].map { " \($0)" } ?? "") + "\n"
        }.joined()
    }

    /// Path of each module by its name, as the kernel spells it: with underscores.
    private let paths: [String: String]

    /// - Parameter directory: `lib/modules/RELEASE`; nil for a kernel without modules.
    init(directory: String?) {
        // No modules.dep here: depmod makes it when a kernel is installed, and this one is only unpacked.
        var paths: [String: String] = [:]
        if let directory {
            for file in Files.all(below: directory) {
                let base = file[(file.lastIndex(of: "/").map(file.index(after:)) ?? file.startIndex)...]
                guard let dot = base.firstRange(of: ".ko"),
                    ["", ".xz", ".zst", ".gz"].contains(base[dot.upperBound...])
                else { continue }
                paths[KernelModules.canonical(base[..<dot.lowerBound])] = "\(directory)/\(file)"
            }
        }
        self.paths = paths
    }

    /// The files that `load` would read, for a key; dependencies come from the same package.
    var stamps: [String] {
        get throws(MachineError) {
            var stamps: [String] = []
            for name in KernelModules.wanted {
                if let path = paths[name] { stamps.append(try ContentKey.stamp(path)) }
            }
            return stamps
        }
    }

    mutating func load() async throws {
        for name in KernelModules.wanted { try await load(name) }
    }

    private mutating func load(_ name: String) async throws {
        // One that is not in the directory is built in, or not configured: the features' probes tell which.
        guard !modules.contains(where: { $0.name == name }), let path = paths[name] else { return }
        let content = try await KernelModules.decompressed(path)
        for dependency in try KernelModules.dependencies(of: content, at: path) { try await load(dependency) }
        modules.append(Module(name: name, content: content))
    }

    private static func decompressed(_ path: String) async throws -> [UInt8] {
        if path.hasSuffix(".xz") {
            return try await Tool("xz", package: "xz-utils").run(["-dc", "--", path], on: path)
        } else if path.hasSuffix(".zst") {
            return try await Tool("zstd", package: "zstd").run(["-dcq", "--", path], on: path)
        } else if path.hasSuffix(".gz") {
            return try await Tool("gzip", package: "gzip").run(["-dc", "--", path], on: path)
        }
        return try Files.read(path)
    }

    /// What a module's own `depends=` says (the section .modinfo: strings that end in NUL).
    private static func dependencies(of content: [UInt8], at path: String) throws(MachineError) -> [String] {
        guard content.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else {
            throw .badModule(path, reason: "it is not an ELF file")
        }
        guard let found = Data(content).firstRange(of: Data([0] + Array("depends=".utf8))) else {
            throw .badModule(path, reason: "it does not say what it depends on")
        }
        let list = content[found.upperBound...].prefix { $0 != 0 }
        return list.split(separator: UInt8(ascii: ",")).map { canonical(String(decoding: $0, as: UTF8.self)) }
    }

    private static func canonical(_ name: some StringProtocol) -> String {
        String(name.map { $0 == "-" ? "_" : $0 })
    }
}
