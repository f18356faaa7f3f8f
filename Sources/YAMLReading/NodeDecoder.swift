import Yams

/// Decodes values from a YAML tree, and remembers which keys each mapping was asked for.
///
/// Yams' own decoder ignores keys that nobody asks for, which would turn a misspelt option into a fixture
/// that tests something else; and it reports paths where a person needs a line and a column.
struct NodeDecoder: Decoder {
    let node: Node
    let codingPath: [any CodingKey]
    let record: Record

    var userInfo: [CodingUserInfoKey: Any] { [:] }

    /// What was asked of each mapping of one document.
    final class Record {
        struct Mapping {
            var node: Node.Mapping
            /// Whether a key means something to one of the types that were decoded from the mapping.
            var isKnown: [(String) -> Bool] = []
            var candidates: Set<String> = []
        }

        private(set) var mappings: [String: Mapping] = [:]

        func open<Key: CodingKey>(_ node: Node.Mapping, at path: [any CodingKey], by type: Key.Type) {
            let name = Record.name(path)
            mappings[name, default: Mapping(node: node)].isKnown.append { Key(stringValue: $0) != nil }
            // A type that decodes only the key it finds asks for one; its other keys are worth suggesting too.
            if let type = type as? any CaseIterable.Type {
                mappings[name]?.candidates.formUnion(Record.cases(of: type))
            }
        }

        func asked(_ key: any CodingKey, at path: [any CodingKey]) {
            mappings[Record.name(path)]?.candidates.insert(key.stringValue)
        }

        private static func name(_ path: [any CodingKey]) -> String {
            path.map(\.stringValue).joined(separator: "\u{0}")
        }

        private static func cases<Cases: CaseIterable>(of type: Cases.Type) -> [String] {
            Cases.allCases.compactMap { ($0 as? any CodingKey)?.stringValue }
        }
    }

    /// A failure at a known place of the tree.
    struct Failure: Error {
        var mark: Mark?
        var message: String
    }

    /// An index of a sequence.
    struct Index: CodingKey {
        let intValue: Int?
        var stringValue: String { intValue.map { "\($0)" } ?? "" }

        init(_ index: Int) { intValue = index }
        init?(intValue: Int) { self.init(intValue) }
        init?(stringValue: String) { nil }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .mapping(let mapping) = node else { throw expected("a mapping (key: value)") }
        record.open(mapping, at: codingPath, by: type)
        return KeyedDecodingContainer(Keyed(decoder: self, mapping: mapping))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .sequence(let sequence) = node else { throw expected("a list") }
        return Unkeyed(decoder: self, nodes: Array(sequence))
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { Single(decoder: self) }

    func child(_ node: Node, _ key: any CodingKey) -> NodeDecoder {
        NodeDecoder(node: node, codingPath: codingPath + [key], record: record)
    }

    func expected(_ what: String) -> Failure {
        let found =
            switch node {
            case .scalar(let scalar) where scalar.string.isEmpty: "nothing"
            case .scalar(let scalar): "'\(scalar.string)'"
            case .mapping: "a mapping"
            case .sequence: "a list"
            case .alias: "an alias"
            }
        return Failure(mark: node.mark, message: "expected \(what), found \(found)")
    }

    var isNull: Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain else { return false }
        return ["", "~", "null"].contains(scalar.string)
    }
}

extension NodeDecoder {
    private struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
        let decoder: NodeDecoder
        let mapping: Node.Mapping

        var codingPath: [any CodingKey] { decoder.codingPath }
        var allKeys: [Key] { mapping.keys.compactMap { $0.scalar.flatMap { Key(stringValue: $0.string) } } }

        func contains(_ key: Key) -> Bool {
            decoder.record.asked(key, at: codingPath)
            return mapping[key.stringValue] != nil
        }

        private func child(_ key: Key) throws -> NodeDecoder {
            decoder.record.asked(key, at: codingPath)
            guard let node = mapping[key.stringValue] else {
                throw Failure(mark: mapping.mark, message: "the key '\(key.stringValue)' is missing here")
            }
            return decoder.child(node, key)
        }

        func decodeNil(forKey key: Key) throws -> Bool { try child(key).isNull }

        func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
            try Value(from: child(key))
        }

        func nestedContainer<Nested: CodingKey>(
            keyedBy type: Nested.Type, forKey key: Key
        ) throws -> KeyedDecodingContainer<Nested> { try child(key).container(keyedBy: type) }

        func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
            try child(key).unkeyedContainer()
        }

        func superDecoder() throws -> any Decoder { decoder }
        func superDecoder(forKey key: Key) throws -> any Decoder { try child(key) }
    }

    private struct Unkeyed: UnkeyedDecodingContainer {
        let decoder: NodeDecoder
        let nodes: [Node]
        var currentIndex = 0

        var codingPath: [any CodingKey] { decoder.codingPath }
        var count: Int? { nodes.count }
        var isAtEnd: Bool { currentIndex >= nodes.count }

        private mutating func next() throws -> NodeDecoder {
            guard !isAtEnd else { throw decoder.expected("\(currentIndex + 1) entries or more") }
            defer { currentIndex += 1 }
            return decoder.child(nodes[currentIndex], Index(currentIndex))
        }

        mutating func decodeNil() throws -> Bool {
            guard !isAtEnd, decoder.child(nodes[currentIndex], Index(currentIndex)).isNull else { return false }
            currentIndex += 1
            return true
        }

        mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try Value(from: next()) }

        mutating func nestedContainer<Nested: CodingKey>(
            keyedBy type: Nested.Type
        ) throws -> KeyedDecodingContainer<Nested> { try next().container(keyedBy: type) }

        mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
            try next().unkeyedContainer()
        }

        mutating func superDecoder() throws -> any Decoder { try next() }
    }

    private struct Single: SingleValueDecodingContainer {
        let decoder: NodeDecoder

        var codingPath: [any CodingKey] { decoder.codingPath }

        func decodeNil() -> Bool { decoder.isNull }

        func decode(_ type: String.Type) throws -> String {
            // A bare 5.10 is text where text is wanted: nobody should have to quote a version.
            guard case .scalar(let scalar) = decoder.node, !decoder.isNull else { throw decoder.expected("text") }
            return scalar.string
        }

        func decode(_ type: Bool.Type) throws -> Bool {
            switch try plain("true or false") {
            case "true": return true
            case "false": return false
            default: throw decoder.expected("true or false")
            }
        }

        func decode(_ type: Double.Type) throws -> Double {
            guard let value = Double(try plain("a number")) else { throw decoder.expected("a number") }
            return value
        }

        func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }
        func decode(_ type: Int.Type) throws -> Int { try integer() }
        func decode(_ type: Int8.Type) throws -> Int8 { try integer() }
        func decode(_ type: Int16.Type) throws -> Int16 { try integer() }
        func decode(_ type: Int32.Type) throws -> Int32 { try integer() }
        func decode(_ type: Int64.Type) throws -> Int64 { try integer() }
        func decode(_ type: UInt.Type) throws -> UInt { try integer() }
        func decode(_ type: UInt8.Type) throws -> UInt8 { try integer() }
        func decode(_ type: UInt16.Type) throws -> UInt16 { try integer() }
        func decode(_ type: UInt32.Type) throws -> UInt32 { try integer() }
        func decode(_ type: UInt64.Type) throws -> UInt64 { try integer() }

        func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try Value(from: decoder) }

        private func integer<Value: FixedWidthInteger>() throws -> Value {
            let what = "a whole number from \(Value.min) to \(Value.max)"
            guard let value = Value(try plain(what)) else { throw decoder.expected(what) }
            return value
        }

        /// The scalar's text, unless it is quoted: `"5"` is text, not a number.
        private func plain(_ what: String) throws -> String {
            guard case .scalar(let scalar) = decoder.node, scalar.style == .plain || scalar.style == .any else {
                throw decoder.expected(what)
            }
            return scalar.string
        }
    }
}
