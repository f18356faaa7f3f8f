import FoundationEssentials

extension Frame {
    /// The frame that carries `message`.
    public static func encode(message: some Encodable) throws(FrameError) -> [UInt8] {
        let payload: [UInt8]
        do {
            payload = [UInt8](try JSONEncoder().encode(message))
        } catch {
            throw .notAMessage(reason: String(describing: error))
        }
        return try encode(payload)
    }
}

extension FrameReader {
    /// The next message; nil until more bytes arrive.
    public mutating func next<Message: Decodable>(_ type: Message.Type) throws(FrameError) -> Message? {
        guard let payload = try next() else { return nil }
        do {
            return try JSONDecoder().decode(type, from: Data(payload))
        } catch {
            throw .notAMessage(reason: String(describing: error))
        }
    }
}
