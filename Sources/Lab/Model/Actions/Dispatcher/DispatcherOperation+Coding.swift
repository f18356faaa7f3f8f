// A step is a mapping with one key that names its operation, beside those that say where and by whom.

extension DispatcherOperation: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case load, unload, upgrade, bind, unbind, replace, register, join, unregister, drain, tell, unpin
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        guard container.allKeys.count == 1, let key = container.allKeys.first else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "a dispatcher is asked for exactly one of "
                        + CodingKeys.allCases.map(\.rawValue).joined(separator: ", ")))
        }
        func value<Value: Decodable>() throws -> Value { try container.decode(Value.self, forKey: key) }
        self =
            switch key {
            case .load: .load(try value())
            case .unload: try DispatcherOperation.unload(value(), at: decoder)
            case .upgrade: .upgrade(try value())
            case .bind: .bind(try value())
            case .unbind: .unbind(try value())
            // A list that is empty may be left out elsewhere, so here it has a name.
            case .replace: .replace((try? value() as String) == DispatcherOperation.none ? [] : try value())
            case .register: .register(try value())
            case .join: .join(try value())
            case .unregister: .unregister(try value())
            case .drain: .drain(try value())
            case .tell: .tell(try value())
            case .unpin: .unpin(try value())
            }
    }

    private static let none = "none"

    private static func unload(_ isMeant: Bool, at decoder: any Decoder) throws -> DispatcherOperation {
        guard isMeant else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "write 'unload: true', or leave the step out"))
        }
        return .unload
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .load(let value): try container.encode(value, forKey: .load)
        case .unload: try container.encode(true, forKey: .unload)
        case .upgrade(let value): try container.encode(value, forKey: .upgrade)
        case .bind(let value): try container.encode(value, forKey: .bind)
        case .unbind(let value): try container.encode(value, forKey: .unbind)
        case .replace([]): try container.encode(DispatcherOperation.none, forKey: .replace)
        case .replace(let value): try container.encode(value, forKey: .replace)
        case .register(let value): try container.encode(value, forKey: .register)
        case .join(let value): try container.encode(value, forKey: .join)
        case .unregister(let value): try container.encode(value, forKey: .unregister)
        case .drain(let value): try container.encode(value, forKey: .drain)
        case .tell(let value): try container.encode(value, forKey: .tell)
        case .unpin(let value): try container.encode(value, forKey: .unpin)
        }
    }
}

extension DispatcherStep: Codable {
    private enum CodingKeys: String, CodingKey { case namespace, by, killedAfter = "killed-after", beside }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        namespace = try container.decode(String.self, forKey: .namespace)
        by = try container.decodeIfPresent(Performer.self, forKey: .by)
        killedAfter = try container.decodeIfPresent(String.self, forKey: .killedAfter)
        beside = try container.decodeIfPresent(Company.self, forKey: .beside)
        operation = try DispatcherOperation(from: decoder)
    }

    public func encode(to encoder: any Encoder) throws {
        try operation.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(namespace, forKey: .namespace)
        try container.encodeIfPresent(by, forKey: .by)
        try container.encodeIfPresent(killedAfter, forKey: .killedAfter)
        try container.encodeIfPresent(beside, forKey: .beside)
    }
}
