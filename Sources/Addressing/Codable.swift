// Each of these types is one string in JSON and YAML, as a person would write it.

private func decodeText<Value>(
    _ decoder: any Decoder, _ parse: (String) throws -> Value
) throws -> Value {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    do {
        return try parse(text)
    } catch let error as AddressingError {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
    }
}

private func encodeText(_ value: some CustomStringConvertible, _ encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(value.description)
}

extension IPAddress: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decodeText(decoder) { text in
            guard let address = IPAddress(text) else { throw AddressingError.notAnAddress(text) }
            return address
        }
    }
    public func encode(to encoder: any Encoder) throws { try encodeText(self, encoder) }
}

extension Prefix: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder) { try Prefix(text: $0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(self, encoder) }
}

extension Endpoint: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder) { try Endpoint(text: $0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(self, encoder) }
}

extension PortRange: Codable {
    public init(from decoder: any Decoder) throws {
        // YAML reads a bare `ports: 53` as a number.
        if let port = try? decoder.singleValueContainer().decode(UInt16.self) {
            self.init(port)
        } else {
            self = try decodeText(decoder) { try PortRange(text: $0) }
        }
    }
    public func encode(to encoder: any Encoder) throws { try encodeText(self, encoder) }
}
