import Lab

/// What the reader's terminal can show.
public struct TextStyle: Hashable, Sendable {
    public var hasColor: Bool
    /// Whether ✓ can be shown; `ok` stands for it otherwise.
    public var hasUnicode: Bool

    public init(hasColor: Bool, hasUnicode: Bool) {
        self.hasColor = hasColor
        self.hasUnicode = hasUnicode
    }

    /// The style for an output, by the conventions of the environment (https://no-color.org, locale(7)).
    public init(isTerminal: Bool, environment: [String: String]) {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        // A file or a pipe is read by something that can be expected to know UTF-8; a terminal says.
        hasUnicode = !isTerminal || locale.uppercased().contains("UTF-8") || locale.uppercased().contains("UTF8")
        hasColor =
            isTerminal && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
    }

    enum Color: String {
        case red = "31"
        case green = "32"
        case yellow = "33"
        case bold = "1"
        case dim = "2"
    }

    func paint(_ text: String, _ color: Color) -> String {
        hasColor ? "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m" : text
    }

    func color(of verdict: Verdict) -> Color {
        switch verdict {
        case .conforms: .green
        case .unsupported: .dim
        case .deviates, .crashed, .hung: .red
        case .broken: .yellow
        }
    }

    /// The verdict in a grid's cell.
    func mark(_ verdict: Verdict) -> String {
        verdict == .conforms ? (hasUnicode ? "✓" : "ok") : verdict.rawValue
    }
}

/// Columns of text, each as wide as its widest cell.
public struct Table {
    /// What a cell shows and how wide that is without its colours.
    public struct Cell {
        public var text: String
        public var width: Int

        public init(_ text: String, width: Int? = nil) {
            self.text = text
            self.width = width ?? text.count
        }
    }

    public var rows: [[Cell]]

    public init(rows: [[Cell]] = []) { self.rows = rows }

    public func lines(indent: String = "", gap: String = "  ") -> [String] {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.filter { $0.count > column }.map { $0[column].width }.max() ?? 0
        }
        return rows.map { row in
            var line = indent
            // No trailing spaces: they show up in diffs of stored reports.
            let end = row.lastIndex { $0.width > 0 } ?? 0
            for (column, cell) in row.enumerated().prefix(end + 1) {
                line += cell.text
                if column < end {
                    line += String(repeating: " ", count: widths[column] - cell.width) + gap
                }
            }
            return line
        }
    }
}
