/// What the lab's sockets say to each other: one line of text, so that a packet capture can be read.
enum Message {
    /// A question who is there, with a number that no other question has.
    case probe(UInt64)
    /// The answer to `probe`: the name of the socket that got it.
    case answer(UInt64, name: String)
    /// One of a flood.
    case flood(name: String)

    /// At least `size` bytes long, padded after the line's end.
    func bytes(size: Int = 0) -> [UInt8] {
        let line =
            switch self {
            case .probe(let nonce): "probe \(nonce)\n"
            case .answer(let nonce, let name): "answer \(nonce) \(name)\n"
            case .flood(let name): "flood \(name)\n"
            }
        let bytes = Array(line.utf8)
        return bytes + [UInt8](repeating: UInt8(ascii: "."), count: max(0, size - bytes.count))
    }

    /// Parses the first line; nil while it is incomplete, or for something the lab did not send.
    init?(_ bytes: [UInt8]) {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let words = String(decoding: bytes[..<end], as: UTF8.self).split(separator: " ", maxSplits: 2).map(String.init)
        switch (words.first, words.count) {
        case ("probe", 2):
            guard let nonce = UInt64(words[1]) else { return nil }
            self = .probe(nonce)
        case ("answer", 3):
            guard let nonce = UInt64(words[1]) else { return nil }
            self = .answer(nonce, name: words[2])
        case ("flood", 2): self = .flood(name: words[1])
        default: return nil
        }
    }
}
