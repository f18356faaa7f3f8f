import Lab

/// A bootable kernel.
public struct Kernel: Hashable, Sendable {
    /// What the user called it: a series such as `6.12`, or a path.
    public var name: String
    /// The path of the bzImage.
    public var image: String
    /// The directory that holds `kernel/`, and `modules.dep` where depmod(8) has run: `…/lib/modules/<release>`.
    /// Nil where there is none. Debian's packages bring no `modules.dep`: it is made when they are installed.
    public var modules: String?
    /// Where it came from, for reports: `linux-image-6.12.117+deb13-cloud-amd64 6.12.117-1 from trixie-security`.
    public var origin: String?
    /// What the image says of itself, before it is booted; nil if it says nothing that can be understood.
    public var identity: KernelIdentity?

    public init(
        name: String, image: String, modules: String? = nil, origin: String? = nil, identity: KernelIdentity? = nil
    ) {
        self.name = name
        self.image = image
        self.modules = modules
        self.origin = origin
        self.identity = identity
    }
}

extension Kernel {
    /// The kernel at a path, with the modules named or, failing that, those that obviously belong to it.
    ///
    /// - Parameter modules: a directory with `kernel/` or `modules.dep`, or one that has such a directory
    ///   under the kernel's release, as `/lib/modules` does.
    /// - Throws: ``KernelError/missing(path:)``, ``KernelError/notAKernel(path:reason:)``,
    ///   ``KernelError/truncated(path:bytes:expected:)`` or ``KernelError/noModules(path:release:)``.
    public static func atPath(_ image: String, modules: String? = nil) throws(KernelError) -> Kernel {
        let boot = try BootImage(path: image)
        let release = boot.identity?.release
        var kernel = Kernel(name: image, image: Files.absolute(image), identity: boot.identity)
        if let modules {
            let candidates = [release.map { "\(modules)/\($0)" }, modules].compactMap(\.self)
            guard let found = candidates.first(where: isModuleDirectory) else {
                throw .noModules(path: modules, release: release)
            }
            kernel.modules = Files.absolute(found)
        } else if let release {
            kernel.modules = Self.modules(of: release, near: kernel.image)
        }
        return kernel
    }

    /// The modules of `release` where distributions (`/boot`), packages (`/usr/lib/modules/RELEASE/vmlinuz`) and
    /// `make modules_install INSTALL_MOD_PATH=…` put them. Only a directory named after the release is taken:
    /// modules of another build would be refused by the kernel, one by one and much later.
    static func modules(of release: String, near image: String) -> String? {
        let directory = Files.parent(of: image)
        let candidates = [
            directory, "\(directory)/lib/modules/\(release)", "\(directory)/modules/\(release)",
            "\(directory)/../lib/modules/\(release)", "\(directory)/../usr/lib/modules/\(release)",
        ]
        return candidates.map(Files.normalised).first { $0.hasSuffix("/\(release)") && isModuleDirectory($0) }
    }

    private static func isModuleDirectory(_ path: String) -> Bool {
        Files.isDirectory("\(path)/kernel") || Files.exists("\(path)/modules.dep")
    }
}

/// Why there is no kernel to boot.
public enum KernelError: Error, Hashable, Sendable {
    // The catalogue.
    case unknownSeries(String, known: [String])
    case catalogueUnreadable(path: String, reason: String)
    case catalogueInvalid(path: String, line: Int, column: Int, problem: String)
    // Debian's archive.
    case noMirror
    case badMirror(String)
    case noKeyring(tried: [String])
    case toolMissing(String)
    case unavailable(series: String, suites: [SuiteFailure])
    case toolFailed(tool: String, doing: String, message: String)
    case incompletePackage(String, lacks: String)
    // An image.
    case missing(path: String)
    case notAKernel(path: String, reason: String)
    case truncated(path: String, bytes: Int, expected: Int)
    case noModules(path: String, release: String?)
    // The cache.
    case cache(CacheError)
}

extension KernelError {
    /// Whether the archive was asked, and does not have the kernel: not a fault of the lab, the mirror or this machine.
    public var isAbsence: Bool {
        guard case .unavailable(_, let suites) = self else { return false }
        return suites.allSatisfy { suite in
            switch suite.problem {
            case .absent, .lacksSeries, .incomplete, .expired: true
            case .notYetValid, .untrusted, .unreachable: false
            }
        }
    }
}

extension KernelError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unknownSeries(let series, let known):
            "no series '\(series)' in the catalogue: it has \(known.joined(separator: ", ")); "
                + "for any other kernel give the path of its bzImage"
        case .catalogueUnreadable(let path, let reason): "cannot read the kernel catalogue \(path): \(reason)"
        case .catalogueInvalid(let path, let line, let column, let problem): "\(path):\(line):\(column): \(problem)"
        case .noMirror:
            "this machine's apt configuration names no Debian mirror: set LAB_DEBIAN_MIRROR to one or more URIs, "
                + "such as the one in another machine's /etc/apt/sources.list"
        case .badMirror(let uri):
            "LAB_DEBIAN_MIRROR: '\(uri)' is not a mirror's URI: write scheme://host/path or file:///path"
        case .noKeyring(let tried):
            "cannot check Debian's signatures without its keyring (\(tried.joined(separator: " or "))): "
                + "install the package debian-archive-keyring"
        case .toolMissing(let tool):
            "\(tool) is not installed, and kernels come from Debian's archive with it: install apt and dpkg, "
                + "or give the path of a bzImage"
        case .unavailable(let series, let suites):
            "no suite of the mirror has series \(series): "
                + suites.map { "\($0.suite) \($0.problem)" }.joined(separator: "; ")
        case .toolFailed(let tool, let doing, let message): "\(tool) failed while \(doing): \(message)"
        case .incompletePackage(let package, let lacks): "\(package) holds no \(lacks): the packaging has changed"
        case .missing(let path): "no kernel image at \(path)"
        case .notAKernel(let path, let reason): "\(path) is not a bzImage: \(reason)"
        case .truncated(let path, let bytes, let expected):
            "\(path) is truncated: \(bytes) bytes of at least \(expected); copy or build it again"
        case .noModules(let path, let release):
            "\(path) has no modules\(release.map { " for \($0)" } ?? ""): name the directory that holds kernel/"
        case .cache(let error): error.description
        }
    }
}
