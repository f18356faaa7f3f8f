import Foundation
import Lab
import Yams

/// The YAML form of a fixture: one file, one fixture.
public enum FixtureFile {
    /// Reads the fixture that a file holds, and validates it.
    public static func read(_ path: String) throws(FixtureFileError) -> Fixture {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw FixtureFileError(file: path, message: "cannot be read: \(error.localizedDescription)")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw FixtureFileError(file: path, message: "is not UTF-8 text")
        }
        return try decode(text, file: path)
    }

    /// Reads a fixture and validates it.
    ///
    /// - Parameter file: what errors call the text.
    public static func decode(_ text: String, file: String) throws(FixtureFileError) -> Fixture {
        try parse(text, file: file) { fixture throws(FixtureError) in try fixture.validate() }
    }

    /// Reads the form alone, and has the whole checked by `check`, whose errors are located.
    static func parse(
        _ text: String, file: String, check: (Fixture) throws(FixtureError) -> Void = { _ in }
    ) throws(FixtureFileError) -> Fixture {
        let record = NodeDecoder.Record()
        var root: Node?
        do {
            root = try Yams.compose(yaml: text)
            guard let root else { throw FixtureFileError(file: file, message: "holds no fixture") }
            let decoded = Result { try Fixture(from: NodeDecoder(node: root, codingPath: [], record: record)) }
            // Also after a failure, and first: a key that is missing is often one that is misspelt.
            try rejectUnknownKeys(record)
            let fixture = try decoded.get()
            try check(fixture)
            return fixture
        } catch {
            throw located(error, file: file, root: root)
        }
    }

    private static func rejectUnknownKeys(_ record: NodeDecoder.Record) throws {
        var failures: [NodeDecoder.Failure] = []
        for mapping in record.mappings.values {
            let present = Set(mapping.node.keys.compactMap { $0.scalar?.string })
            for key in mapping.node.keys {
                guard let name = key.scalar?.string else {
                    failures.append(.init(mark: key.mark, message: "a key must be a word"))
                    continue
                }
                if mapping.isKnown.contains(where: { $0(name) }) { continue }
                let candidates = mapping.candidates.subtracting(present).sorted()
                let hint =
                    nearest(to: name, among: candidates).map { "did you mean '\($0)'?" }
                    ?? (candidates.isEmpty ? nil : "what is not said yet: \(candidates.joined(separator: ", "))")
                failures.append(
                    .init(mark: key.mark, message: "unknown key '\(name)'" + (hint.map { "; \($0)" } ?? "")))
            }
        }
        // The mappings come in no order; the first in the file is the one to name.
        let first = failures.min {
            ($0.mark?.line ?? 0, $0.mark?.column ?? 0) < ($1.mark?.line ?? 0, $1.mark?.column ?? 0)
        }
        if let first { throw first }
    }

    private static func located(_ error: any Error, file: String, root: Node?) -> FixtureFileError {
        switch error {
        case let error as FixtureFileError: return error
        case let error as NodeDecoder.Failure:
            return FixtureFileError(file: file, mark: error.mark, message: error.message)
        case let error as FixtureError:
            let steps = root?["steps"]?.sequence
            let step = error.step.flatMap { number in
                steps.flatMap { $0.indices.contains(number - 1) ? $0[number - 1] : nil }
            }
            return FixtureFileError(file: file, mark: step?.mark, message: error.description)
        case let error as YamlError: return located(error, file: file)
        case DecodingError.dataCorrupted(let context), DecodingError.keyNotFound(_, let context),
            DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            return FixtureFileError(
                file: file, mark: root.flatMap { mark(of: context.codingPath, in: $0) },
                message: context.debugDescription)
        default: return FixtureFileError(file: file, message: "\(error)")
        }
    }

    private static func located(_ error: YamlError, file: String) -> FixtureFileError {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let text = [context?.text, problem].compactMap { $0 }.joined(separator: " ")
            return FixtureFileError(file: file, mark: mark, message: "not YAML: \(text)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            return FixtureFileError(
                file: file, mark: context.mark,
                message: "the mapping that begins here has the key \'\(duplicates.joined(separator: "\', \'"))\' twice")
        case .reader(let problem, _, _, _): return FixtureFileError(file: file, message: "not YAML: \(problem)")
        default: return FixtureFileError(file: file, message: "not YAML: \(error)")
        }
    }

    /// Where the value at `path` is, or the nearest one around it.
    private static func mark(of path: [any CodingKey], in root: Node) -> Mark? {
        var node = root
        for key in path {
            switch node {
            case .mapping(let mapping):
                guard let next = mapping[key.stringValue] else { return node.mark }
                node = next
            case .sequence(let sequence):
                guard let index = key.intValue, sequence.indices.contains(index) else { return node.mark }
                node = sequence[index]
            case .scalar, .alias: return node.mark
            }
        }
        return node.mark
    }
}

/// What is wrong with a fixture's file, and where: `file:line:column: message`.
public struct FixtureFileError: Error, Hashable, Sendable, CustomStringConvertible {
    public var file: String
    /// From 1; nil where the whole file is meant.
    public var line: Int?
    public var column: Int?
    public var message: String

    init(file: String, mark: Mark? = nil, message: String) {
        self.file = file
        self.line = mark?.line
        self.column = mark?.column
        self.message = message
    }

    public var description: String {
        guard let line, let column else { return "\(file): \(message)" }
        return "\(file):\(line):\(column): \(message)"
    }
}
