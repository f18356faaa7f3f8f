/// An upstream kernel version, such as 6.12.117.
public struct KernelVersion: Hashable, Comparable, Sendable {
    public var major: Int
    public var minor: Int
    public var patch: Int

    public init(_ major: Int, _ minor: Int, _ patch: Int = 0) {
        self.major = major
        self.minor = minor
        self.patch = patch
    }

    /// Parses the leading numbers of a version or release: `6.12`, `5.10.262-1`, `7.3.4+deb13-cloud-amd64`.
    public init?(_ text: String) {
        let numbers = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            .split(separator: ".").prefix(3).map { Int($0) ?? 0 }
        guard numbers.count >= 2 else { return nil }
        self.init(numbers[0], numbers[1], numbers.count > 2 ? numbers[2] : 0)
    }

    public var series: String { "\(major).\(minor)" }

    public static func < (left: KernelVersion, right: KernelVersion) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }
}

extension KernelVersion: CustomStringConvertible, Codable {
    public var description: String { patch == 0 ? series : "\(series).\(patch)" }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let version = KernelVersion(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "'\(text)' is not a kernel version: write 5.17 or 5.10.135")
        }
        self = version
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The first versions that have a change: mainline's, and the point releases that stable series took it in.
///
/// `["5.13", "5.10.135"]` holds for 5.13 and everything later, and for 5.10.135 and later within 5.10.
public struct VersionSet: Hashable, Sendable, Codable {
    public var first: [KernelVersion]

    public init(_ first: KernelVersion...) { self.first = first }

    public func contains(_ version: KernelVersion) -> Bool {
        guard let mainline = first.max() else { return false }
        return version >= mainline || first.contains { $0.series == version.series && $0 <= version }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        first = try (try? [container.decode(KernelVersion.self)]) ?? container.decode([KernelVersion].self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if first.count == 1 { try container.encode(first[0]) } else { try container.encode(first) }
    }
}

extension VersionSet: CustomStringConvertible {
    public var description: String { first.map(\.description).joined(separator: ", ") }
}

/// Which kernel a fixture was performed on, as the kernel itself says (uname(2)).
public struct KernelIdentity: Hashable, Sendable, Codable {
    /// `uname -r`, such as `5.10.0-46-cloud-amd64`.
    public var release: String
    /// `uname -v`, such as `#1 SMP Debian 5.10.262-1 (2026-09-11)`.
    public var build: String

    public init(release: String, build: String) {
        self.release = release
        self.build = build
    }

    /// The upstream version that expectations are compared with.
    ///
    /// Debian's 5.10 and 6.1 name their ABI in the release (5.10.0-46) and their upstream version only in
    /// the build (Debian 5.10.262-1), so the build's is taken where it names the same series.
    public var version: KernelVersion {
        let named = KernelVersion(release) ?? KernelVersion(0, 0)
        let words = build.split(separator: " ")
        guard let index = words.firstIndex(of: "Debian"), index + 1 < words.count,
            let built = KernelVersion(String(words[index + 1])), built.series == named.series
        else { return named }
        return built
    }
}
