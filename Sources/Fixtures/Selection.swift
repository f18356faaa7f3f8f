import Glibc
import Lab
import YAMLReading

/// Which of the fixtures to take.
public struct Selection: Hashable, Sendable {
    /// Names (`family/name`), ids (`family/name:variant`) and globs (`ranges/*`); empty takes all.
    public var selectors: [String]
    /// Only fixtures with at least one of these; empty takes all.
    public var tags: Set<String>
    public var skippedTags: Set<String>
    /// Whether fixtures tagged `slow` are taken although nothing names them.
    public var includesSlow: Bool

    public static let slow = "slow"

    public init(
        _ selectors: [String] = [], tags: Set<String> = [], skippedTags: Set<String> = [], includesSlow: Bool = false
    ) {
        self.selectors = selectors
        self.tags = tags
        self.skippedTags = skippedTags
        self.includesSlow = includesSlow || tags.contains(Selection.slow)
    }

    /// The selected fixtures, each once, in the order of `all`.
    public func fixtures(from all: [Fixture]) throws(SelectionError) -> [Fixture] {
        for selector in selectors where !all.contains(where: { matches(selector, $0) }) {
            throw .unknownSelector(selector, nearest: nearest(to: selector, among: candidates(for: selector, all)))
        }
        let knownTags = Set(all.flatMap(\.tags))
        for tag in tags.sorted() where !knownTags.contains(tag) {
            throw .unknownTag(tag, nearest: nearest(to: tag, among: knownTags.sorted()))
        }
        let matching = all.filter { fixture in
            (selectors.isEmpty || selectors.contains { matches($0, fixture) })
                && (tags.isEmpty || !tags.isDisjoint(with: fixture.tags))
                && skippedTags.isDisjoint(with: fixture.tags)
        }
        let taken = matching.filter { fixture in
            includesSlow || !fixture.tags.contains(Selection.slow)
                || selectors.contains { $0 == fixture.name || $0 == fixture.id }
        }
        guard !taken.isEmpty else { throw matching.isEmpty ? .nothingSelected : .onlySlow }
        return taken
    }

    /// What the user may have meant: ids where a variant is named, else names, and families for a word alone.
    private func candidates(for selector: String, _ all: [Fixture]) -> [String] {
        if selector.contains(":") { return all.map(\.id) }
        let families = Set(all.map(\.family)).sorted()
        if let family = families.first(where: { selector == $0 || selector == "\($0)/" }) { return ["\(family)/*"] }
        return all.map(\.name) + families.map { "\($0)/*" }
    }

    private func matches(_ selector: String, _ fixture: Fixture) -> Bool {
        if selector == fixture.name || selector == fixture.id { return true }
        guard selector.contains(where: { "*?[".contains($0) }) else { return false }
        return fnmatch(selector, fixture.name, 0) == 0 || fnmatch(selector, fixture.id, 0) == 0
    }
}

/// Why a selection selects nothing.
public enum SelectionError: Error, Hashable, Sendable, CustomStringConvertible {
    case unknownSelector(String, nearest: String?)
    case unknownTag(String, nearest: String?)
    case nothingSelected
    case onlySlow

    public var description: String {
        switch self {
        case .unknownSelector(let selector, let nearest):
            "no fixture is called '\(selector)'"
                + (nearest.map { "; did you mean \($0)?" } ?? "; `lab list` shows all of them")
        case .unknownTag(let tag, let nearest):
            "no fixture has the tag '\(tag)'" + (nearest.map { "; did you mean \($0)?" } ?? "")
        case .nothingSelected: "no fixture is left after --tag and --skip-tag"
        case .onlySlow: "only fixtures tagged slow are selected: add --slow, or name them"
        }
    }
}
