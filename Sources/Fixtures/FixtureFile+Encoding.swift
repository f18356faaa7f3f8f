import Lab
import Yams

extension FixtureFile {
    /// The fixture as YAML that ``decode(_:file:)`` reads back, laid out for people to edit.
    public static func encode(_ fixture: Fixture) throws -> String {
        guard let root = try Yams.compose(yaml: YAMLEncoder().encode(fixture)) else { return "" }
        return try Yams.serialize(node: tidy(root), width: 110, allowUnicode: true)
    }

    /// Lists that may be left out, and say nothing when empty.
    private static let optionalLists: Set = ["because", "tags", "requires", "sabotages", "omit", "replace", "options"]

    /// Lists whose entries fit on a line each.
    private static let oneLiners: Set = ["ends", "answers", "expect"]

    /// Mappings by names, which a dictionary gives in no order.
    private static let dictionaries: Set = ["replace", "received", "facts", "programs"]

    private static func tidy(_ node: Node, key: String? = nil) -> Node {
        switch node {
        case .scalar, .alias: return node
        case .sequence(let sequence):
            let entries = sequence.map { tidy($0, key: key.flatMap { oneLiners.contains($0) ? $0 : nil }) }
            // `because` holds sentences: a line for each.
            let isFlow = key != "because" && entries.allSatisfy(isScalar)
            return .sequence(.init(entries, sequence.tag, isFlow ? .flow : .block))
        case .mapping(let mapping):
            var pairs: [(Node, Node)] = []
            for (name, value) in mapping {
                let isEmpty = value.sequence?.isEmpty ?? value.mapping?.isEmpty ?? false
                if isEmpty, let name = name.string, optionalLists.contains(name) { continue }
                pairs.append((name, tidy(value, key: name.string)))
            }
            if let key, dictionaries.contains(key) { pairs.sort { ($0.0.string ?? "") < ($1.0.string ?? "") } }
            // What an action or an expectation says fits on its line: {from: client, protocol: udp, …}.
            let nested = pairs.count { $0.1.mapping != nil }
            let isFlow =
                key != nil && key != "programs" && nested <= 2
                && pairs.allSatisfy { isScalar($0.1) || $0.1.sequence?.style == .flow || $0.1.mapping?.style == .flow }
            return .mapping(.init(pairs, mapping.tag, isFlow ? .flow : .block))
        }
    }

    private static func isScalar(_ node: Node) -> Bool {
        if case .scalar = node { return true }
        return false
    }
}
