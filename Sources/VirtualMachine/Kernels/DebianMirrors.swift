import FoundationEssentials

/// Where Debian's archive can be had: URIs that this machine uses already, or is told to use.
enum DebianMirrors {
    /// A source of packages that apt is configured with.
    struct Source: Hashable, Sendable {
        var uri: String
        var suites: [String]
        var components: [String]
    }

    /// The URIs to try for a suite, in order.
    ///
    /// A mirror has the security archive beside the main one, at its own URI. Where none such is known, the
    /// name that every mirror gives it is tried: `…/debian-security` beside `…/debian`.
    static func uris(for suite: String, among known: [String]) -> [String] {
        let main = known.filter { !$0.contains("security") }
        var security = known.filter { $0.contains("security") }
        if security.isEmpty { security = main.map { "\($0)-security" } }
        return suite.contains("-security") ? security + main : main + security
    }

    /// The URIs of `LAB_DEBIAN_MIRROR`, or nil if it is not set.
    static func override(_ value: String?) throws(KernelError) -> [String]? {
        let uris = (value ?? "").split(whereSeparator: \.isWhitespace).map { normalised(String($0)) }
        for uri in uris {
            // It becomes a word of a source list, where brackets would begin options.
            guard uri.contains(":/"), uri.first?.isLetter == true, !uri.contains(where: { "[]#\"".contains($0) }) else {
                throw .badMirror(uri)
            }
        }
        return uris.isEmpty ? nil : uris
    }

    /// The URIs that the machine's apt takes Debian suites from, in the order of its configuration.
    ///
    /// The files are read here, and not by `apt-get indextargets`: that one lists only sources whose
    /// indexes have been downloaded, hence nothing on a freshly made container image.
    static func configured(list: String, parts: String) -> [String] {
        var sources = read(list).map(oneLine) ?? []
        for name in Files.names(in: parts) {
            if name.hasSuffix(".list") { sources += read("\(parts)/\(name)").map(oneLine) ?? [] }
            if name.hasSuffix(".sources") { sources += read("\(parts)/\(name)").map(deb822) ?? [] }
        }
        return debian(sources)
    }

    /// The URIs of the sources that are Debian's own: they have a suite of its names, and the component main.
    ///
    /// A third party may use the same names. It is asked in vain then: only what Debian has signed is believed.
    static func debian(_ sources: [Source]) -> [String] {
        var uris: [String] = []
        for source in sources where source.components.contains("main") && source.suites.contains(where: isDebian) {
            let uri = normalised(source.uri)
            if !uri.hasPrefix("cdrom:"), !uris.contains(uri) { uris.append(uri) }
        }
        return uris
    }

    private static func isDebian(_ suite: String) -> Bool {
        let names: Set<Substring> = [
            "buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid", "experimental",
            "oldoldstable", "oldstable", "stable", "testing", "unstable",
        ]
        return suite.split { "-/".contains($0) }.first.map(names.contains) ?? false
    }

    /// Reads the one-line form (sources.list(5)).
    static func oneLine(_ text: String) -> [Source] {
        text.split(separator: "\n").compactMap { line in
            var rest = line.prefix { $0 != "#" }.trimmed
            guard rest.hasPrefix("deb"), rest.dropFirst(3).first?.isWhitespace == true else { return nil }
            rest = rest.dropFirst(3).trimmed
            if rest.hasPrefix("[") {
                guard let end = rest.firstIndex(of: "]") else { return nil }
                rest = rest[rest.index(after: end)...].trimmed
            }
            let words = rest.split(whereSeparator: \.isWhitespace).map(String.init)
            guard words.count >= 2 else { return nil }
            return Source(uri: words[0], suites: [words[1]], components: Array(words.dropFirst(2)))
        }
    }

    /// Reads the deb822 form (sources.list(5)).
    static func deb822(_ text: String) -> [Source] {
        DebianStanza.parse(text).flatMap { stanza -> [Source] in
            let disabled = ["no", "false", "without", "off", "disable", "0"]
            guard stanza.words("Types").contains("deb"), !disabled.contains((stanza["Enabled"] ?? "yes").lowercased())
            else { return [] }
            return stanza.words("URIs").map {
                Source(uri: $0, suites: stanza.words("Suites"), components: stanza.words("Components"))
            }
        }
    }

    private static func read(_ path: String) -> String? {
        try? String(contentsOf: URL(filePath: path), encoding: .utf8)
    }

    private static func normalised(_ uri: String) -> String {
        var uri = uri
        while uri.hasSuffix("/") { uri.removeLast() }
        return uri
    }
}
