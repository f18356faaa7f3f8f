import FoundationEssentials

/// A suite of Debian's archive whose index has just been downloaded and verified.
///
/// Each has apt directories of its own, and they begin empty. `apt-get update` keeps an old index when it
/// cannot have a new one, and reports success: with nothing there before, what is there after is good.
struct DebianSuite: Sendable {
    let name: String
    /// What to tell apt so that it knows this suite and nothing else.
    private let options: [String]
    /// The names of all packages in it that begin with `linux-`.
    let names: Set<String>

    /// Downloads the index of `suite` from the first of `uris` that has it.
    ///
    /// - Parameter directory: an empty directory for apt's state.
    static func open(
        _ suite: String, from uris: [String], keyring: String, in directory: String
    ) async throws -> Result<DebianSuite, SuiteProblem> {
        var worst = SuiteProblem.absent
        for (index, uri) in uris.enumerated() {
            let options = try prepare(suite, uri: uri, keyring: keyring, in: "\(directory)/\(index)")
            let update = try await ArchiveTool.run("apt-get", options + ["update"])
            guard update.status.isSuccess else {
                // That the main archive lacks a security suite is no news; what is wrong with the right one is.
                if worst == .absent { worst = SuiteProblem(aptErrors: update.errors) }
                continue
            }
            let names = try await ArchiveTool.require(
                "apt-cache", options + ["pkgnames", "linux-"], doing: "listing the kernels of \(suite)")
            return .success(
                DebianSuite(name: suite, options: options, names: Set(names.split(separator: "\n").map(String.init))))
        }
        return .failure(worst)
    }

    /// The newest kernel of a series that is all there, of the best flavour that has one.
    ///
    /// A suite may have images whose modules it has no longer: Debian removes what a source package no longer
    /// builds, and since 6.19 images and modules come from different ones. Measured in trixie-backports: every
    /// image of 6.19, 7.0 and 7.1, and not one of their modules.
    func newest(
        of series: String, flavours: [String]
    ) async throws -> Result<(image: DebianPackage, packages: [DebianPackage]), SuiteProblem> {
        var problem = SuiteProblem.lacksSeries
        for flavour in flavours {
            let candidates = KernelPackages.candidates(series: series, flavour: flavour, among: names)
            for image in try await show(candidates).sorted(by: { $0.version > $1.version }) {
                let (packages, missing) = try await closure(of: image)
                if missing.isEmpty { return .success((image, packages)) }
                if problem == .lacksSeries { problem = .incomplete(image: image.name, lacks: missing) }
            }
        }
        return .failure(problem)
    }

    /// All the packages that a kernel is divided into, and the names of those that are not there.
    private func closure(of image: DebianPackage) async throws -> (packages: [DebianPackage], missing: [String]) {
        let release = KernelPackages.release(of: image.name)
        var packages = [image]
        var wanted = KernelPackages.parts(of: image, release: release)
        while !wanted.isEmpty {
            // Of the image's own version: parts of different builds would not work together.
            let found = try await show(wanted.filter(names.contains)).filter { $0.version == image.version }
            let missing = wanted.filter { name in
                KernelPackages.isEssential(name) && !found.contains { $0.name == name }
            }
            guard missing.isEmpty else { return (packages, missing) }
            packages += found
            wanted = Set(found.flatMap { KernelPackages.parts(of: $0, release: release) })
                .subtracting(packages.map(\.name)).sorted()
        }
        return (packages, [])
    }

    /// Downloads packages, whose hashes apt checks, into a directory.
    func download(_ packages: [DebianPackage], into directory: String) async throws {
        _ = try await ArchiveTool.require(
            "apt-get", options + ["download"] + packages.map { "\($0.name)=\($0.version)" }, in: directory,
            doing: "downloading \(packages.map(\.name).joined(separator: ", "))")
    }

    private func show(_ names: [String]) async throws -> [DebianPackage] {
        guard !names.isEmpty else { return [] }
        return DebianPackage.parse(
            try await ArchiveTool.require("apt-cache", options + ["show"] + names, doing: "reading the index of \(name)"))
    }

    /// Makes the directories and files that apt wants.
    ///
    /// Everything that decides which packages are there and who vouches for them is set here, so that neither the
    /// machine's configuration can weaken it nor its state be touched; the rest, such as proxies, stays in force.
    private static func prepare(
        _ suite: String, uri: String, keyring: String, in directory: String
    ) throws -> [String] {
        for name in ["state/lists/partial", "cache/archives/partial", "parts", "log"] {
            try FileManager.default.createDirectory(atPath: "\(directory)/\(name)", withIntermediateDirectories: true)
        }
        // Options of a source override the configuration's, also one made for a single host or label.
        let trust = "signed-by=\(keyring) allow-insecure=no check-valid-until=yes check-date=yes"
        let files = [
            "sources.list": "deb [arch=amd64 target=Packages \(trust)] \(uri) \(suite) main\n",
            "status": "",
            // Hooks of the machine work on the machine's own state: on container images they empty its cache.
            "apt.conf": """
            #clear APT::Update::Pre-Invoke;
            #clear APT::Update::Post-Invoke;
            #clear APT::Update::Post-Invoke-Success;
            #clear APT::Default-Release;
            #clear APT::Architectures;
            #clear Acquire::Min-ValidTime;

            """,
        ]
        for (name, text) in files { try Data(text.utf8).write(to: URL(filePath: "\(directory)/\(name)")) }
        let settings = [
            "Dir::State=\(directory)/state", "Dir::State::lists=\(directory)/state/lists",
            "Dir::State::status=\(directory)/status", "Dir::State::extended_states=\(directory)/state/extended_states",
            "Dir::Cache=\(directory)/cache", "Dir::Cache::archives=\(directory)/cache/archives",
            "Dir::Etc::sourcelist=\(directory)/sources.list", "Dir::Etc::sourceparts=\(directory)/parts",
            "Dir::Etc::preferences=/dev/null", "Dir::Etc::preferencesparts=\(directory)/parts",
            "Dir::Etc::trusted=/dev/null", "Dir::Etc::trustedparts=\(directory)/parts", "Dir::Log=\(directory)/log",
            "Acquire::Check-Valid-Until=true", "Acquire::Check-Date=true",
            "Acquire::AllowInsecureRepositories=false", "Acquire::AllowWeakRepositories=false",
            "Acquire::AllowDowngradeToInsecureRepositories=false", "APT::Get::AllowUnauthenticated=false",
            "Acquire::Languages=none", "Acquire::Retries=2",
            // Otherwise an unreachable mirror is a warning, and the update a success.
            "APT::Update::Error-Mode=any",
            "APT::Architecture=amd64", "APT::Architectures=amd64",
            // The unprivileged user that apt becomes could not reach a cache in a home directory.
            "APT::Sandbox::User=",
        ]
        return ["-q", "-c", "\(directory)/apt.conf"] + settings.flatMap { ["-o", $0] }
    }
}

/// Why a suite gives no kernel.
public enum SuiteProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// Its Release file has expired: the archive no longer vouches for it, or someone replays an old state.
    case expired(since: String)
    /// Its Release file is from the future.
    case notYetValid
    /// The mirror does not have it.
    case absent
    /// It is not signed by Debian.
    case untrusted(String)
    case unreachable(String)
    /// It is there and valid, and has no such kernel.
    case lacksSeries
    /// It has images of the series, but not all the packages that belong to them.
    case incomplete(image: String, lacks: [String])

    /// Tells the problem from what `apt-get update` writes to standard error in the C locale.
    init(aptErrors: String) {
        // "Some index files failed" follows every other error and says less.
        let marked = aptErrors.split(separator: "\n").filter { !$0.contains("Some index files failed to download") }
        let lines = marked.map { $0.hasPrefix("E: ") || $0.hasPrefix("W: ") ? $0.dropFirst(3) : $0 }
        func line(_ needles: String...) -> String? {
            lines.first { line in needles.contains { line.contains($0) } }.map(String.init)
        }
        if let line = line("is expired") {
            let since = line.firstRange(of: "invalid since ").map { line[$0.upperBound...].prefix { $0 != ")" } }
            self = .expired(since: since.map(String.init) ?? "an unknown time")
        } else if line("is not valid yet") != nil {
            self = .notYetValid
        } else if let line = line(
            "is not signed", "NO_PUBKEY", "BADSIG", "EXPKEYSIG", "REVKEYSIG", "signature", "Missing key", "Hash Sum")
        {
            self = .untrusted(line)
        } else if line("does not have a Release file", "404 ") != nil {
            self = .absent
        } else {
            let first = zip(marked, lines).first { $0.0.hasPrefix("E:") }?.1 ?? lines.first
            self = .unreachable(first.map(String.init) ?? "apt-get update failed and did not say why")
        }
    }

    public var description: String {
        switch self {
        case .expired(let since): "is refused, its Release file expired \(since) ago"
        case .notYetValid: "is refused, its Release file is from the future (is this machine's clock right?)"
        case .absent: "is not on the mirror"
        case .untrusted(let message): "is refused, it is not signed by Debian (\(message))"
        case .unreachable(let message): "cannot be had (\(message))"
        case .lacksSeries: "does not carry it"
        case .incomplete(let image, let lacks): "has \(image) but no longer \(lacks.joined(separator: ", "))"
        }
    }
}

/// A suite that was tried for a series, and why it gave none.
public struct SuiteFailure: Hashable, Sendable {
    public var suite: String
    public var problem: SuiteProblem

    public init(suite: String, problem: SuiteProblem) {
        self.suite = suite
        self.problem = problem
    }
}
