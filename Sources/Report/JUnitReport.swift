import Lab

/// The report for CI systems: JUnit XML, a suite per kernel and a case per trial.
///
/// `deviates`, `crashed` and `hung` are failures of that type, `broken` is an error, `unsupported` is
/// skipped. A kernel that could not be had is a suite of one case: an error if it was asked for by name.
public enum JUnitReport {
    public static func render(_ run: Run) -> String {
        var lines = ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>"]
        let results = Dictionary(grouping: run.results, by: \.kernel)
        let suites = run.kernels.compactMap { kernel in results[kernel].map { suite(kernel, $0, run) } }
        lines.append("<testsuites name=\"binding-lab\" time=\"\(time(run.seconds))\">")
        lines += suites.flatMap { $0 }
        lines += run.missing.flatMap(missing)
        lines.append("</testsuites>")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func suite(_ kernel: String, _ results: [FixtureResult], _ run: Run) -> [String] {
        let failures = results.count { [.deviates, .crashed, .hung].contains($0.verdict) }
        let errors = results.count { $0.verdict == .broken }
        let skipped = results.count { $0.verdict == .unsupported }
        let seconds = results.reduce(0) { $0 + $1.seconds }
        var lines = [
            "  <testsuite name=\(quoted(kernel)) tests=\"\(results.count)\" failures=\"\(failures)\""
                + " errors=\"\(errors)\" skipped=\"\(skipped)\" time=\"\(time(seconds))\">"
        ]
        let properties = [("release", run.release(of: kernel)), ("origin", run.origins[kernel])].compactMap {
            name, value in
            value.map { "      <property name=\"\(name)\" value=\(quoted($0))/>" }
        }
        if !properties.isEmpty { lines += ["    <properties>"] + properties + ["    </properties>"] }
        lines += results.flatMap { testCase($0, run.repetition) }
        lines.append("  </testsuite>")
        return lines
    }

    private static func testCase(_ result: FixtureResult, _ repetition: Repetition) -> [String] {
        let family = String(result.fixture.prefix { $0 != "/" })
        let head =
            "    <testcase classname=\(quoted(family)) name=\(quoted(result.trial)) time=\"\(time(result.seconds))\""
        let element: String
        switch result.verdict {
        case .conforms: return [head + "/>"]
        case .unsupported:
            let reason = [result.deviation?.action, result.deviation?.observed].compactMap { $0 }
            return [
                head + ">", "      <skipped message=\(quoted(reason.joined(separator: ": ")))/>", "    </testcase>",
            ]
        case .broken: element = "error"
        case .deviates, .crashed, .hung: element = "failure"
        }
        let deviation = result.deviation
        var body: [String] = []
        if let deviation {
            body.append("step: \(deviation.step.map { "\($0): \(deviation.action)" } ?? deviation.action)")
            body.append("expected: \(deviation.expected)")
            body.append("observed: \(deviation.observed)")
            if !deviation.log.isEmpty { body.append("log, last lines:") }
            body += deviation.log
        }
        body.append("repeat: \(repetition.command(for: result))")
        let message = deviation.map { "expected \($0.expected), observed \($0.observed)" } ?? result.verdict.rawValue
        return [
            head + ">",
            "      <\(element) type=\"\(result.verdict.rawValue)\" message=\(quoted(message))>"
                + escaped(body.joined(separator: "\n")) + "</\(element)>",
            "    </testcase>",
        ]
    }

    private static func missing(_ kernel: MissingKernel) -> [String] {
        let element = kernel.isRequired ? "error type=\"missing\"" : "skipped"
        return [
            "  <testsuite name=\(quoted(kernel.name)) tests=\"1\" failures=\"0\" errors=\"\(kernel.isRequired ? 1 : 0)\""
                + " skipped=\"\(kernel.isRequired ? 0 : 1)\" time=\"0.000\">",
            "    <testcase classname=\"kernel\" name=\(quoted("kernel \(kernel.name)")) time=\"0.000\">",
            "      <\(element) message=\(quoted(kernel.reason))/>",
            "    </testcase>",
            "  </testsuite>",
        ]
    }

    private static func time(_ seconds: Double) -> String {
        let milliseconds = Int((seconds * 1000).rounded())
        let fraction = String(milliseconds % 1000)
        return "\(milliseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }

    /// An attribute's value with its quotation marks.
    private static func quoted(_ text: String) -> String {
        // A parser turns a bare line feed or tab in an attribute into a space (XML 1.0 §3.3.3).
        var result = "\""
        for character in escaped(text).unicodeScalars {
            switch character {
            case "\n": result += "&#10;"
            case "\t": result += "&#9;"
            default: result.unicodeScalars.append(character)
            }
        }
        return result + "\""
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.printable(keepingLines: true).unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
