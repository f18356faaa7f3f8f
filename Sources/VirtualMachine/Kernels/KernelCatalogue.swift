import FoundationEssentials
import Lab
import Yams

/// The kernel series that the lab knows by name: `vm/kernels.yaml`.
public struct KernelCatalogue: Hashable, Sendable {
    /// A series such as 6.12, and where to find it.
    public struct Series: Hashable, Sendable {
        public var name: String
        /// The Debian suites that may carry it, in order of preference.
        public var suites: [String]
        /// The flavours of package that will do, best first: `cloud-amd64`, `amd64`.
        public var flavours: [String]
        /// Whether it is the one that is run when nothing else is asked for.
        public var isDefault: Bool

        public init(
            name: String, suites: [String], flavours: [String] = KernelCatalogue.flavours, isDefault: Bool = false
        ) {
            self.name = name
            self.suites = suites
            self.flavours = flavours
            self.isDefault = isDefault
        }
    }

    /// In the order of the file: oldest first.
    public var series: [Series]

    public init(series: [Series]) { self.series = series }

    public var names: [String] { series.map(\.name) }

    /// The first version of each series.
    public var versions: [KernelVersion] { names.compactMap { KernelVersion($0) } }

    /// The series of that name.
    public subscript(name: String) -> Series? { series.first { $0.name == name } }

    /// The series to run when nothing else is asked for.
    public var `default`: Series? { series.first(where: \.isDefault) }

    public static let flavours = ["cloud-amd64", "amd64"]

    /// Reads a catalogue.
    ///
    /// - Throws: ``KernelError/catalogueUnreadable(path:reason:)``, or
    ///   ``KernelError/catalogueInvalid(path:line:column:problem:)`` with the place of the first mistake.
    public static func load(from path: String) throws(KernelError) -> KernelCatalogue {
        let text: String
        do {
            text = try String(contentsOf: URL(filePath: path), encoding: .utf8)
        } catch {
            throw .catalogueUnreadable(
                path: path, reason: Files.exists(path) ? "it is not readable UTF-8 text" : "there is no such file")
        }
        return try KernelCatalogue(yaml: text, path: path)
    }

    init(yaml: String, path: String) throws(KernelError) {
        let reader = CatalogueReader(path: path)
        let top = try reader.mapping(reader.compose(yaml), keys: ["flavours", "series"])
        let flavours =
            try top["flavours"].map { node throws(KernelError) in try reader.words(node, "flavours") }
            ?? KernelCatalogue.flavours
        guard let list = top["series"] else { throw reader.error(nil, "no 'series'") }
        guard let nodes = list.sequence, !nodes.isEmpty else { throw reader.error(list, "'series' is a list") }
        series = []
        for node in nodes {
            let entry = try reader.series(node, flavours: flavours)
            if names.contains(entry.name) { throw reader.error(node, "series \(entry.name) is here twice") }
            if entry.isDefault, let other = self.default {
                throw reader.error(node, "\(other.name) is already the default: there can be one")
            }
            series.append(entry)
        }
    }
}

/// Reads nodes of a catalogue, and says where a mistake is.
private struct CatalogueReader {
    let path: String

    func error(_ node: Node?, _ problem: String) -> KernelError {
        .catalogueInvalid(path: path, line: node?.mark?.line ?? 1, column: node?.mark?.column ?? 1, problem: problem)
    }

    func compose(_ yaml: String) throws(KernelError) -> Node {
        do {
            if let node = try Yams.compose(yaml: yaml) { return node }
        } catch YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _)
        {
            throw .catalogueInvalid(path: path, line: mark.line, column: mark.column, problem: problem)
        } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
            throw .catalogueInvalid(
                path: path, line: context.mark.line, column: context.mark.column,
                problem: "'\(keys.joined(separator: "', '"))' is here twice")
        } catch {
            throw .catalogueInvalid(path: path, line: 1, column: 1, problem: "\(error)")
        }
        throw error(nil, "the file is empty")
    }

    func mapping(_ node: Node, keys: [String]) throws(KernelError) -> [String: Node] {
        guard let mapping = node.mapping else { throw error(node, "a mapping with \(keys.joined(separator: ", "))") }
        var found: [String: Node] = [:]
        for (key, value) in mapping {
            guard let name = key.string, keys.contains(name) else {
                throw error(key, "unknown key '\(key.string ?? "?")': the keys are \(keys.joined(separator: ", "))")
            }
            found[name] = value
        }
        return found
    }

    /// A list of words. They end up in apt's source lists and options, so nothing else is let in.
    func words(_ node: Node, _ key: String) throws(KernelError) -> [String] {
        guard let nodes = node.sequence, !nodes.isEmpty else { throw error(node, "'\(key)' is a list of words") }
        var words: [String] = []
        for node in nodes {
            let allowed = Set("abcdefghijklmnopqrstuvwxyz0123456789.-/")
            guard let word = node.scalar?.string, !word.isEmpty, word.allSatisfy(allowed.contains) else {
                throw error(node, "'\(node.scalar?.string ?? key)' is not one of \(key): lower-case words")
            }
            words.append(word)
        }
        return words
    }

    func flag(_ node: Node?) throws(KernelError) -> Bool {
        guard let node else { return false }
        guard let flag = node.bool else { throw error(node, "write true or false") }
        return flag
    }

    func series(_ node: Node, flavours: [String]) throws(KernelError) -> KernelCatalogue.Series {
        let fields = try mapping(node, keys: ["name", "suites", "flavours", "default"])
        // The scalar's own text, so that an unquoted 5.10 is not the number 5.1.
        guard let name = fields["name"]?.scalar?.string else { throw error(node, "a series has a 'name'") }
        guard let version = KernelVersion(name), version.series == name else {
            throw error(fields["name"], "'\(name)' is not a series: write 6.12")
        }
        guard let suites = fields["suites"] else { throw error(node, "series \(name) has no 'suites'") }
        return KernelCatalogue.Series(
            name: name, suites: try words(suites, "suites"),
            flavours: try fields["flavours"].map { node throws(KernelError) in try words(node, "flavours") }
                ?? flavours,
            isDefault: try flag(fields["default"]))
    }
}
