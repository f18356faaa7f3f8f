/// A package as `apt-cache show` prints it, as far as kernels need.
struct DebianPackage: Hashable, Sendable {
    var name: String
    var version: DebianVersion
    /// The names it depends on, the first of each set of alternatives.
    var depends: [String]
    /// The size of the .deb.
    var bytes: Int

    /// Reads the stanzas of `apt-cache show`.
    static func parse(_ text: String) -> [DebianPackage] {
        DebianStanza.parse(text).compactMap { stanza in
            guard let name = stanza["Package"], let version = stanza["Version"] else { return nil }
            let depends = (stanza["Depends"] ?? "").split(separator: ",").compactMap { alternatives in
                alternatives.split { " (|:".contains($0) }.first.map(String.init)
            }
            return DebianPackage(
                name: name, version: DebianVersion(version), depends: depends,
                bytes: stanza["Size"].flatMap { Int($0) } ?? 0)
        }
    }

    /// `bytes` for people.
    static func size(_ bytes: Int) -> String {
        bytes < 1_000_000 ? "\(bytes / 1000) kB" : "\((bytes + 500_000) / 1_000_000) MB"
    }
}

/// The packages of kernel images, told by their names: `linux-image-RELEASE`.
enum KernelPackages {
    private static let prefix = "linux-image-"

    /// The kernel release that a package is for, such as `6.12.117+deb13-cloud-amd64`.
    static func release(of package: String) -> String { String(package.dropFirst(prefix.count)) }

    /// The packages of a series and flavour, such as `cloud-amd64`.
    ///
    /// Meta packages (`linux-image-6.1-cloud-amd64`), real-time and debug variants and unsigned images are none.
    static func candidates(series: String, flavour: String, among names: some Collection<String>) -> [String] {
        names.filter { isImage($0, series: series, flavour: flavour) }
    }

    private static func isImage(_ name: String, series: String, flavour: String) -> Bool {
        let suffix = "-\(flavour)"
        guard name.hasPrefix("\(prefix)\(series)."), name.hasSuffix(suffix) else { return false }
        // What remains is the ABI: 6.1.0-0.deb11.52, 6.12.117+deb13. A part that begins with a letter belongs
        // to another flavour: 6.12.117+deb13-rt.
        let abi = release(of: name).dropLast(suffix.count)
        return abi.split(separator: "-").allSatisfy { $0.first?.isNumber == true }
            && abi.dropFirst(series.count + 1).first?.isNumber == true
    }

    /// The dependencies that are parts of the same kernel.
    ///
    /// From 6.19 on `linux-image-RELEASE` is empty, and depends on `linux-base-`, `linux-binary-` and
    /// `linux-modules-RELEASE`. Whatever ends in the release is part of it, however it is divided next.
    ///
    /// Not all are essential: ``isEssential(_:)``.
    static func parts(of package: DebianPackage, release: String) -> [String] {
        package.depends.filter { $0.hasPrefix("linux-") && $0.hasSuffix("-\(release)") }
    }

    /// Whether a kernel is of no use without a part of it.
    ///
    /// `linux-base-RELEASE` has only the configuration from 6.19 on, and 6.18's is already gone from the archive
    /// while its image and modules, in one package, are there.
    static func isEssential(_ part: String) -> Bool {
        ["linux-image-", "linux-binary-", "linux-modules-"].contains(where: part.hasPrefix)
    }
}
