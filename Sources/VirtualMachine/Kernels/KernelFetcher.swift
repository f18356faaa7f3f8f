import FoundationEssentials
import Lab

/// Gets the kernels of a catalogue from Debian's archive into the cache.
public struct KernelFetcher: Sendable {
    public let catalogue: KernelCatalogue
    public let cache: Cache
    private let environment: [String: String]
    private let keyrings: [String]

    public init(catalogue: KernelCatalogue, cache: Cache) {
        self.init(
            catalogue: catalogue, cache: cache, environment: ProcessInfo.processInfo.environment,
            // The package has had both names.
            keyrings: [
                "/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp",
            ])
    }

    init(catalogue: KernelCatalogue, cache: Cache, environment: [String: String], keyrings: [String]) {
        self.catalogue = catalogue
        self.cache = cache
        self.environment = environment
        self.keyrings = keyrings
    }

    /// The newest release of a series in the cache, without asking anyone; nil if there is none.
    public func cached(_ series: String) -> Kernel? {
        let entries = Files.names(in: cache.path("kernels/\(series)")).map { "kernels/\(series)/\($0)" }
        let found = entries.compactMap { entry in record(entry).map { (entry, $0) } }
        guard let newest = found.max(by: { DebianVersion($0.1.version) < DebianVersion($1.1.version) }) else {
            return nil
        }
        return kernel(newest.0, newest.1)
    }

    /// Gets the newest release of each series.
    ///
    /// What is wrong with one series, or with a suite, does not stop the others. Whatever is interrupted leaves
    /// nothing behind.
    ///
    /// - Parameters:
    ///   - refresh: whether to ask the archive even for a series of which the cache has a release.
    ///   - progress: is told, in lines for people, what is being done.
    /// - Returns: a result for each series, in the order asked for.
    /// - Throws: `CancellationError`, or ``CacheError`` if there is no room to work in.
    public func fetch(
        _ series: [String], refresh: Bool = false, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws -> [(series: String, result: Result<Kernel, KernelError>)] {
        var results: [String: Result<Kernel, KernelError>] = [:]
        var wanted: [KernelCatalogue.Series] = []
        for name in series where results[name] == nil && !wanted.contains(where: { $0.name == name }) {
            if let entry = catalogue[name] {
                if !refresh, let kernel = cached(name) {
                    results[name] = .success(kernel)
                } else {
                    wanted.append(entry)
                }
            } else {
                results[name] = .failure(.unknownSeries(name, known: catalogue.names))
            }
        }
        if !wanted.isEmpty {
            let fetched = try await cache.withScratch { scratch in
                try await fetch(wanted, scratch: scratch, progress: progress)
            }
            results.merge(fetched) { _, new in new }
        }
        return series.compactMap { name in results[name].map { (name, $0) } }
    }

    private func fetch(
        _ wanted: [KernelCatalogue.Series], scratch: String, progress: @escaping @Sendable (String) -> Void
    ) async throws -> [String: Result<Kernel, KernelError>] {
        let archive: DebianArchive
        do {
            archive = DebianArchive(uris: try await mirrors(), keyring: try keyring(), scratch: scratch)
        } catch let error as KernelError {
            return Dictionary(uniqueKeysWithValues: wanted.map { ($0.name, .failure(error)) })
        }
        return try await withThrowingTaskGroup(of: (String, Result<Kernel, KernelError>).self) { group in
            var results: [String: Result<Kernel, KernelError>] = [:]
            // Two at once: one downloads while the other unpacks.
            for (index, entry) in wanted.enumerated() {
                if index >= 2, let (name, result) = try await group.next() { results[name] = result }
                group.addTask {
                    let result = try await KernelError.result {
                        try await fetch(entry, from: archive, scratch: "\(scratch)/\(entry.name)", progress: progress)
                    }
                    if case .failure(let error) = result { progress("\(entry.name): \(error)") }
                    return (entry.name, result)
                }
            }
            for try await (name, result) in group { results[name] = result }
            return results
        }
    }

    /// What a suite has of a series.
    private struct Resolution {
        var suite: DebianSuite
        var suiteName: String
        var image: DebianPackage
        var packages: [DebianPackage]
        var lacksModules: Bool
    }

    /// Finds the first suite that has all of a series; failing that, the first that has all but its modules.
    ///
    /// Images are signed and so come from another source package than modules. When both are superseded, the
    /// archive keeps the images for longer: 6.19, 7.0 and 7.1 were found without modules. A kernel without them
    /// still has all that is built in.
    private func resolve(
        _ series: KernelCatalogue.Series, from archive: DebianArchive, progress: @escaping @Sendable (String) -> Void
    ) async throws -> Resolution {
        var failures: [SuiteFailure] = []
        for withoutModules in [false, true] {
            failures = []
            for name in series.suites {
                do {
                    let suite = try await archive.suite(name, progress: progress).get()
                    let (image, packages) = try await suite.newest(
                        of: series.name, flavours: series.flavours, withoutModules: withoutModules
                    ).get()
                    return Resolution(
                        suite: suite, suiteName: name, image: image, packages: packages, lacksModules: withoutModules)
                } catch let problem as SuiteProblem {
                    failures.append(SuiteFailure(suite: name, problem: problem))
                }
            }
        }
        throw KernelError.unavailable(series: series.name, suites: failures)
    }

    /// Resolves, downloads, unpacks and publishes one series.
    private func fetch(
        _ series: KernelCatalogue.Series, from archive: DebianArchive, scratch: String,
        progress: @escaping @Sendable (String) -> Void
    ) async throws -> Kernel {
        let found = try await resolve(series, from: archive, progress: progress)
        let (suite, name, image, packages) = (found.suite, found.suiteName, found.image, found.packages)
        // What came without modules must not stand in for the whole, should that be back.
        let entry = "kernels/\(series.name)/\(image.name)_\(image.version)\(found.lacksModules ? "_image" : "")"
        if let record = record(entry) {
            progress("\(series.name): \(record.origin) is in the cache")
            return kernel(entry, record)
        }
        // An entry whose record cannot be read is of another version of the lab, or damaged.
        if cache.contains(entry) { try cache.clear(entry) }
        let size = DebianPackage.size(packages.map(\.bytes).reduce(0, +))
        progress("\(series.name): downloading \(image.name) \(image.version) from \(name), \(size)")
        try await cache.publish(entry) { directory in
            try FileManager.default.createDirectory(atPath: scratch, withIntermediateDirectories: true)
            try await suite.download(packages, into: scratch)
            try await unpack(scratch, found, into: directory)
            let record = KernelRecord(
                series: series.name, package: image.name, version: image.version.description, suite: name,
                packages: packages.map { "\($0.name) \($0.version)" }, lacksModules: found.lacksModules,
                resolvedAt: Date())
            let encoder = JSONEncoder()
            encoder.dateEncodingStrategy = .iso8601
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try encoder.encode(record).write(to: URL(filePath: "\(directory)/\(KernelRecord.file)"))
        }
        guard let record = record(entry) else {
            throw KernelError.incompletePackage(image.name, lacks: KernelRecord.file)
        }
        progress("\(series.name): ready, \(record.origin)")
        return kernel(entry, record)
    }

    /// Unpacks the packages in `scratch` and moves what the lab needs to `directory`: image, modules, configuration.
    private func unpack(_ scratch: String, _ found: Resolution, into directory: String) async throws {
        let image = found.image
        let release = KernelPackages.release(of: image.name)
        let tree = "\(scratch)/tree"
        for deb in Files.names(in: scratch) where deb.hasSuffix(".deb") {
            _ = try await ArchiveTool.require("dpkg-deb", ["-x", "\(scratch)/\(deb)", tree], doing: "unpacking \(deb)")
            try FileManager.default.removeItem(atPath: "\(scratch)/\(deb)")
        }
        // 5.10 has /boot and /lib/modules; 7.3 has all in /usr/lib/modules; those between have some of each.
        let directories = ["\(tree)/usr/lib/modules/\(release)", "\(tree)/lib/modules/\(release)"]
        guard let modules = directories.first(where: { found.lacksModules || Files.isDirectory("\($0)/kernel") }) else {
            throw KernelError.incompletePackage(image.name, lacks: "modules")
        }
        func place(_ names: [String], _ destination: String) throws -> Bool {
            guard let source = names.first(where: Files.exists) else { return false }
            try FileManager.default.moveItem(atPath: source, toPath: "\(directory)/\(destination)")
            return true
        }
        guard try place(["\(tree)/boot/vmlinuz-\(release)", "\(modules)/vmlinuz"], KernelRecord.image) else {
            throw KernelError.incompletePackage(image.name, lacks: "image")
        }
        _ = try BootImage(path: "\(directory)/\(KernelRecord.image)")
        _ = try place(["\(tree)/boot/config-\(release)", "\(modules)/config"], "config")
        if !found.lacksModules {
            try FileManager.default.createDirectory(
                atPath: "\(directory)/lib/modules", withIntermediateDirectories: true)
            _ = try place([modules], "lib/modules/\(release)")
        }
        try FileManager.default.removeItem(atPath: scratch)
    }

    private func record(_ entry: String) -> KernelRecord? {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        guard Files.exists("\(cache.path(entry))/\(KernelRecord.image)"),
            let data = try? Data(contentsOf: URL(filePath: "\(cache.path(entry))/\(KernelRecord.file)"))
        else { return nil }
        return try? decoder.decode(KernelRecord.self, from: data)
    }

    private func kernel(_ entry: String, _ record: KernelRecord) -> Kernel {
        let image = "\(cache.path(entry))/\(KernelRecord.image)"
        let release = KernelPackages.release(of: record.package)
        return Kernel(
            name: record.series, image: image,
            modules: record.lacksModules ? nil : "\(cache.path(entry))/lib/modules/\(release)",
            origin: record.origin, identity: (try? BootImage(path: image))?.identity)
    }

    private func mirrors() async throws -> [String] {
        if let uris = try DebianMirrors.override(environment["LAB_DEBIAN_MIRROR"]) { return uris }
        let paths = try await ArchiveTool.require(
            "apt-config", ["shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"],
            doing: "telling where the machine's sources are")
        func path(_ name: String, otherwise: String) -> String {
            let line = paths.split(separator: "\n").first { $0.hasPrefix("\(name)=") }
            return line.map { String($0.dropFirst(name.count + 1).filter { $0 != "'" }) } ?? otherwise
        }
        let uris = DebianMirrors.configured(
            list: path("LIST", otherwise: "/etc/apt/sources.list"),
            parts: path("PARTS", otherwise: "/etc/apt/sources.list.d"))
        if uris.isEmpty { throw KernelError.noMirror }
        return uris
    }

    private func keyring() throws(KernelError) -> String {
        guard let keyring = keyrings.first(where: Files.exists) else { throw .noKeyring(tried: keyrings) }
        return keyring
    }
}

/// What was resolved when a kernel was fetched; beside its image, as `kernel.json`.
struct KernelRecord: Hashable, Sendable, Codable {
    static let file = "kernel.json"
    static let image = "vmlinuz"

    var series: String
    var package: String
    var version: String
    var suite: String
    /// All the packages that it was unpacked from, with their versions.
    var packages: [String]
    /// Whether the archive no longer had its modules.
    var lacksModules: Bool
    var resolvedAt: Date

    var origin: String {
        "\(package) \(version) from \(suite)"
            + (lacksModules ? ", without its modules: the archive has them no longer" : "")
    }
}

/// The suites that have been asked for in one fetch: each is downloaded once, whoever asks first.
private actor DebianArchive {
    private let uris: [String]
    private let keyring: String
    private let scratch: String
    private var suites: [String: Task<Result<DebianSuite, SuiteProblem>, any Error>] = [:]

    init(uris: [String], keyring: String, scratch: String) {
        self.uris = uris
        self.keyring = keyring
        self.scratch = scratch
    }

    func suite(
        _ name: String, progress: @escaping @Sendable (String) -> Void
    ) async throws -> Result<DebianSuite, SuiteProblem> {
        let task =
            suites[name]
            ?? Task { [uris, keyring, scratch] in
                progress("\(name): downloading the index")
                let result = try await DebianSuite.open(
                    name, from: DebianMirrors.uris(for: name, among: uris), keyring: keyring,
                    in: "\(scratch)/suites/\(name)")
                if case .failure(let problem) = result { progress("\(name) \(problem)") }
                return result
            }
        suites[name] = task
        // The task is not the child of those who wait for it, so their cancellation is passed on.
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }
}

extension KernelError {
    /// Performs `body`, and lets through only what stops the whole: a cancellation.
    fileprivate static func result(_ body: () async throws -> Kernel) async throws -> Result<Kernel, KernelError> {
        do {
            return .success(try await body())
        } catch let error as KernelError {
            return .failure(error)
        } catch let error as CacheError {
            return .failure(.cache(error))
        } catch let error as CancellationError {
            throw error
        } catch {
            try Task.checkCancellation()
            return .failure(.cache(.failed(doing: "storing", path: "a kernel", reason: "\(error)")))
        }
    }
}
