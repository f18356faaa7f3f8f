/// A paragraph of `Field: value` lines, as in deb822(5).
struct DebianStanza {
    private var fields: [String: String] = [:]

    /// The value of a field, whose name is in any case; the lines of a folded one joined by spaces.
    subscript(name: String) -> String? { fields[name.lowercased()] }

    /// The words of a field's value.
    func words(_ name: String) -> [String] { (self[name] ?? "").split(whereSeparator: \.isWhitespace).map(String.init) }

    /// Reads paragraphs that blank lines divide. Lines that begin with `#` are comments, wherever they stand.
    static func parse(_ text: String) -> [DebianStanza] {
        var stanzas: [DebianStanza] = []
        var current = DebianStanza()
        var last: String?
        for line in (text + "\n\n").split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("#") { continue }
            if line.allSatisfy(\.isWhitespace) {
                if !current.fields.isEmpty { stanzas.append(current) }
                current = DebianStanza()
                last = nil
            } else if line.first?.isWhitespace == true {
                if let last { current.fields[last, default: ""] += " " + line.trimmed }
            } else if let colon = line.firstIndex(of: ":") {
                let name = line[..<colon].lowercased()
                current.fields[name] = String(line[line.index(after: colon)...].trimmed)
                last = name
            }
        }
        return stanzas
    }
}

extension StringProtocol {
    /// Without white space at both ends.
    var trimmed: SubSequence {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return self[startIndex..<startIndex] }
        return self[first...last]
    }
}
