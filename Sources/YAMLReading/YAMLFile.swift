import Foundation
import Yams

/// A YAML file that holds one value, whose errors say file, line and column.
public enum YAMLFile {
    /// What is wrong with a value that could be decoded, and where in it.
    public struct Complaint {
        /// Keys, and indices as decimal text; empty for the whole.
        public var path: [String]
        public var message: String

        public init(_ message: String, at path: [String] = []) {
            self.path = path
            self.message = message
        }
    }

    /// The text of a file.
    public static func text(of path: String) throws(YAMLFileError) -> String {
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue {
            // The error of reading one has but a number.
            throw YAMLFileError(file: path, message: "is a directory: name a file")
        }
        // The system's words: Foundation's say less.
        guard access(path, R_OK) == 0 else {
            throw YAMLFileError(file: path, message: "cannot be read: \(String(cString: strerror(errno)))")
        }
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw YAMLFileError(file: path, message: "cannot be read: \(error.localizedDescription)")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw YAMLFileError(file: path, message: "is not UTF-8 text")
        }
        // Some editors begin a file with a byte order mark, which is no part of the text.
        return text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text
    }

    /// Reads a value, refuses keys that mean nothing, and has the whole checked.
    ///
    /// - Parameters:
    ///   - file: what errors call the text.
    ///   - what: what the text should hold, as `fixture`.
    ///   - check: says what is wrong with the value; nil for nothing.
    public static func decode<Value: Decodable>(
        _ text: String, file: String, as what: String, check: (Value) -> Complaint? = { _ in nil }
    ) throws(YAMLFileError) -> Value {
        let record = NodeDecoder.Record()
        var root: Node?
        do {
            root = try Yams.compose(yaml: text)
            guard let root else { throw YAMLFileError(file: file, message: "holds no \(what)") }
            let decoded = Result { try Value(from: NodeDecoder(node: root, codingPath: [], record: record)) }
            // Also after a failure, and first: a key that is missing is often one that is misspelt.
            try rejectUnknownKeys(record)
            let value = try decoded.get()
            if let complaint = check(value) {
                throw YAMLFileError(file: file, mark: mark(of: complaint.path, in: root), message: complaint.message)
            }
            return value
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

    private static func located(_ error: any Error, file: String, root: Node?) -> YAMLFileError {
        switch error {
        case let error as YAMLFileError: return error
        case let error as NodeDecoder.Failure:
            return YAMLFileError(file: file, mark: error.mark, message: error.message)
        case let error as YamlError: return located(error, file: file)
        case DecodingError.dataCorrupted(let context), DecodingError.keyNotFound(_, let context),
            DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            return YAMLFileError(
                file: file, mark: root.flatMap { mark(of: context.codingPath.map(\.text), in: $0) },
                message: context.debugDescription)
        default: return YAMLFileError(file: file, message: "\(error)")
        }
    }

    private static func located(_ error: YamlError, file: String) -> YAMLFileError {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let text = [context?.text, problem].compactMap { $0 }.joined(separator: " ")
            return YAMLFileError(file: file, mark: mark, message: "not YAML: \(text)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            return YAMLFileError(
                file: file, mark: context.mark,
                message: "the mapping that begins here has the key \'\(duplicates.joined(separator: "\', \'"))\' twice")
        case .reader(let problem, _, _, _): return YAMLFileError(file: file, message: "not YAML: \(problem)")
        default: return YAMLFileError(file: file, message: "not YAML: \(error)")
        }
    }

    /// Where the value at `path` is, or the nearest one around it; nil for the whole.
    private static func mark(of path: [String], in root: Node) -> Mark? {
        if path.isEmpty { return nil }
        var node = root
        for key in path {
            switch node {
            case .mapping(let mapping):
                guard let next = mapping[key] else { return node.mark }
                node = next
            case .sequence(let sequence):
                guard let index = Int(key), sequence.indices.contains(index) else { return node.mark }
                node = sequence[index]
            case .scalar, .alias: return node.mark
            }
        }
        return node.mark
    }
}

extension CodingKey {
    fileprivate var text: String { intValue.map(String.init) ?? stringValue }
}

/// What is wrong with a file, and where: `file:line:column: message`.
public struct YAMLFileError: Error, Hashable, Sendable, CustomStringConvertible {
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
