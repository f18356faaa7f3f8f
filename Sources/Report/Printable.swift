extension String {
    /// The text with control characters shown as pictures (␛ for ESC).
    ///
    /// Kernel logs and a command's output are shown on terminals and put into XML, where an escape
    /// sequence would act instead of being seen, and a NUL would not be allowed at all.
    ///
    /// - Parameter keepingLines: whether line feeds and tabs stay as they are.
    func printable(keepingLines: Bool = false) -> String {
        var result = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            switch scalar.value {
            case 0x09 where keepingLines, 0x0A where keepingLines: result.append(scalar)
            // The picture of a control character is at 0x2400 plus its value; DEL's follows space's.
            case 0..<0x20: result.append(Unicode.Scalar(0x2400 + scalar.value) ?? "\u{FFFD}")
            case 0x7F: result.append("\u{2421}")
            case 0x80..<0xA0, 0xFFFE, 0xFFFF: result.append("\u{FFFD}")
            default: result.append(scalar)
            }
        }
        return String(result)
    }
}

/// A duration for people: `0.25 s`, `42.1 s`, `3 min 12 s`.
func duration(_ seconds: Double) -> String {
    if seconds < 1 { return "\(Double(Int((seconds * 100).rounded())) / 100) s" }
    if seconds < 60 { return "\(Double(Int((seconds * 10).rounded())) / 10) s" }
    let whole = Int(seconds.rounded())
    return "\(whole / 60) min \(whole % 60) s"
}

/// A figure without a fraction that says nothing: `4096`, `0.25`.
func figure(_ value: Double) -> String {
    if value == value.rounded(), abs(value) < 1e15 { return "\(Int(value))" }
    return "\((value * 1000).rounded() / 1000)"
}

/// `1 fixture`, `2 fixtures`.
func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
