import FoundationEssentials
import Lab

/// The report for programs: one JSON object per line and result, keys sorted.
///
/// Schema 1. Every object has `schema`, `fixture`, `variant` (or null), `sabotage` (or null), `kernel`,
/// `release` (empty where the kernel never came up), `origin` (the kernel's package, or null), `verdict`, `seconds` and `measurements`, an array of
/// `{"name", "unit", "value"}`. Every verdict but `conforms` adds `step` (from 1, or null where none had
/// begun), `action`, `expected`, `observed` and `log`, an array of the kernel log's last lines.
///
/// A key may be added without a new schema number; none is removed, renamed or given another meaning.
public enum JSONReport {
    public static let schema = 1

    /// One result, without a line feed.
    public static func line(_ result: FixtureResult) -> String {
        encode(Line(result: result))
    }

    /// All results, each on a line.
    public static func render(_ run: Run) -> String { run.results.map { line($0) + "\n" }.joined() }

    private static func encode(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        // Strings, numbers and arrays of them encode always; a floating-point value that JSON lacks is a string.
        guard let data = try? encoder.encode(value) else { preconditionFailure("a result does not encode as JSON") }
        return String(decoding: data, as: UTF8.self)
    }

    private struct Line: Encodable {
        var result: FixtureResult

        enum CodingKeys: String, CodingKey {
            case schema, fixture, variant, sabotage, kernel, release, origin, verdict, seconds, measurements
            case step, action, expected, observed, log
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(JSONReport.schema, forKey: .schema)
            try container.encode(result.fixture, forKey: .fixture)
            try container.encode(result.variant, forKey: .variant)
            try container.encode(result.sabotage, forKey: .sabotage)
            try container.encode(result.kernel, forKey: .kernel)
            try container.encode(result.release, forKey: .release)
            try container.encode(result.origin, forKey: .origin)
            try container.encode(result.verdict, forKey: .verdict)
            try container.encode((result.seconds * 1000).rounded() / 1000, forKey: .seconds)
            try container.encode(result.measurements, forKey: .measurements)
            guard result.verdict != .conforms else { return }
            try container.encode(result.deviation?.step, forKey: .step)
            try container.encode(result.deviation?.action ?? "", forKey: .action)
            try container.encode(result.deviation?.expected ?? "", forKey: .expected)
            try container.encode(result.deviation?.observed ?? "", forKey: .observed)
            try container.encode(result.deviation?.log ?? [], forKey: .log)
        }
    }
}
