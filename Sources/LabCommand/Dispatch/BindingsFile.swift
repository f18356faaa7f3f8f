import Addressing
import SocketLookup
import YAMLReading

/// A set of bindings in a file: `bindings`, a list of entries.
struct BindingsFile: Decodable {
    /// All combinations of its protocols, prefixes and port ranges, led to one label.
    struct Entry: Decodable {
        var bindings: [Binding]

        private enum CodingKeys: String, CodingKey, CaseIterable { case `protocol`, prefix, ports, label, otherwise }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            let protocols = try container.decode(Several<Word<TransportProtocol>>.self, forKey: .protocol)
            let prefixes = try container.decode(Several<Prefix>.self, forKey: .prefix)
            let ports = try container.decode(Several<PortRange>.self, forKey: .ports)
            let label = try container.decode(String.self, forKey: .label)
            let otherwise = try container.decodeIfPresent(Word<Fallback>.self, forKey: .otherwise)?.value ?? .drop
            bindings = protocols.values.flatMap { `protocol` in
                prefixes.values.flatMap { prefix in
                    ports.values.map {
                        Binding(Match(`protocol`.value, prefix, $0), to: label, otherwise: otherwise)
                    }
                }
            }
        }
    }

    var bindings: [Entry]

    private enum CodingKeys: String, CodingKey, CaseIterable { case bindings }

    /// Reads a file, and checks that a dispatcher could have what it says.
    ///
    /// - Throws: ``YAMLFileError`` with file, line and column.
    static func read(_ path: String) throws(YAMLFileError) -> [Binding] {
        let file: BindingsFile = try YAMLFile.decode(
            YAMLFile.text(of: path), file: path, as: "bindings", check: { $0.complaint() })
        return file.bindings.flatMap(\.bindings)
    }

    private func complaint() -> YAMLFile.Complaint? {
        do throws(SocketLookupError) {
            try Binding.check(bindings.flatMap(\.bindings))
            return nil
        } catch {
            let places = bindings.indices.filter { place in bindings[place].bindings.contains { isMeant($0, by: error) }
            }
            // Of two that are alike the second is one too many.
            guard let place = places.last else { return YAMLFile.Complaint("\(error)") }
            return YAMLFile.Complaint("\(error)", at: ["bindings", "\(place)"])
        }
    }

    private func isMeant(_ binding: Binding, by error: SocketLookupError) -> Bool {
        switch error {
        case .tie(let match, _, _), .duplicate(let match), .mappedPrefix(let match): binding.match == match
        case .unsuitableLabel(let label): binding.label == label
        default: false
        }
    }
}

/// One value, or a list of some.
private struct Several<Value: Decodable>: Decodable {
    var values: [Value]

    init(from decoder: any Decoder) throws {
        guard var list = try? decoder.unkeyedContainer() else {
            values = [try Value(from: decoder)]
            return
        }
        values = []
        while !list.isAtEnd { values.append(try list.decode(Value.self)) }
        guard !values.isEmpty else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: decoder.codingPath, debugDescription: "a list of none binds nothing"))
        }
    }
}

/// One of a few words.
private struct Word<Value: RawRepresentable & CaseIterable>: Decodable where Value.RawValue == String {
    var value: Value

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Value(rawValue: text) else {
            let words = Value.allCases.map(\.rawValue)
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "'\(text)' is not one of \(words.joined(separator: ", "))"
                    + suggestion(for: text, among: words))
        }
        self.value = value
    }
}
