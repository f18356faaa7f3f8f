/// What is wrong with a domain name.
public enum DomainNameError: Error, Hashable, Sendable, CustomStringConvertible {
    case empty
    case emptyLabel
    case labelTooLong(Int)
    case nameTooLong(Int)
    /// A backslash that neither a character nor three digits up to 255 follow.
    case badEscape(String)
    /// A character outside ASCII.
    case notASCII(Character)

    public var description: String {
        switch self {
        case .empty: "a domain name is not empty: the root is '.'"
        case .emptyLabel: "a domain name has no empty labels: remove the extra dot"
        case .labelTooLong(let length): "a label has at most 63 bytes, not \(length)"
        case .nameTooLong(let length): "a domain name has at most 255 bytes in its wire form, not \(length)"
        case .badEscape(let text): "'\(text)' is no escape: write \\. or \\DDD with three digits up to 255"
        case .notASCII(let character):
            "'\(character)' is not ASCII: write an internationalised name in its xn-- form"
        }
    }
}

extension DomainName: CustomStringConvertible {
    /// Parses a name as in a zone file (RFC 1035 §5.1): a final dot may be left out, `\.` is a dot within a label,
    /// and `\DDD` is the byte of that decimal number.
    public init(text: String) throws(DomainNameError) {
        guard !text.isEmpty else { throw .empty }
        guard text != "." else {
            self = .root
            return
        }
        if let foreign = text.first(where: { !$0.isASCII }) { throw .notASCII(foreign) }
        var labels: [[UInt8]] = [[]]
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "."):
                guard let label = labels.last, !label.isEmpty else { throw .emptyLabel }
                if !rest.isEmpty { labels.append([]) }
            case UInt8(ascii: "\\"):
                labels[labels.count - 1].append(try DomainName.unescape(&rest))
            default: labels[labels.count - 1].append(byte)
            }
        }
        try self.init(labels: labels)
    }

    private static func unescape(_ rest: inout ArraySlice<UInt8>) throws(DomainNameError) -> UInt8 {
        func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        guard let first = rest.popFirst() else { throw .badEscape("\\") }
        guard isDigit(first) else { return first }
        let digits = [first] + rest.prefix(2)
        let text = String(decoding: digits, as: UTF8.self)
        guard digits.count == 3, digits.allSatisfy(isDigit), let value = UInt8(text) else {
            throw .badEscape("\\" + text)
        }
        rest = rest.dropFirst(2)
        return value
    }

    /// The name without its final dot, escaped where it must be; `.` for the root.
    public var description: String {
        guard wire != [0] else { return "." }
        return labels.map { label in
            label.map { byte in
                switch byte {
                case UInt8(ascii: "."), UInt8(ascii: "\\"): "\\" + String(UnicodeScalar(byte))
                case 33...126: String(UnicodeScalar(byte))
                default: "\\" + String(repeating: "0", count: byte < 10 ? 2 : byte < 100 ? 1 : 0) + String(byte)
                }
            }.joined()
        }.joined(separator: ".")
    }
}
