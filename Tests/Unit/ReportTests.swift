import Foundation
import FoundationXML
import Lab
import Report
import Testing

/// Two kernels, every verdict, a measurement, and text that a terminal or XML would act upon.
private enum Sample {
    static func fixture(_ name: String, _ variant: String? = nil) -> Fixture {
        Fixture(name: name, variant: variant, summary: "", because: [], steps: [])
    }

    static func result(
        _ name: String, _ variant: String? = nil, on kernel: String = "6.12", _ verdict: Verdict = .conforms,
        _ deviation: Deviation? = nil, _ measurements: [Lab.Measurement] = []
    ) -> FixtureResult {
        FixtureResult(
            fixture: fixture(name, variant), kernel: kernel,
            release: verdict == .broken ? "" : "\(kernel).9-cloud-amd64", verdict: verdict, seconds: 0.2504,
            deviation: deviation, measurements: measurements)
    }

    static let deviation = Deviation(
        step: 7, action: "udp probe from client to 192.0.2.1:53", expected: "reaches web, and no other socket",
        observed: "refused (ECONNREFUSED), nothing received")
    static let unsupported = Deviation(
        step: nil, action: "requires sk-lookup-test-run", expected: "", observed: "not in this kernel, as declared")
    static let panic = Deviation(
        step: 2, action: "load program dispatch", expected: "succeeds", observed: "kernel panic",
        log: ["[    1.5] BUG: \u{1B}[31munable", "[    1.6] <end> & \"trace\"\u{0}"])

    static let run = Run(
        results: [
            result("ranges/two-dns", "udp-ipv4"),
            result("ranges/two-dns", "udp-ipv6", .deviates, deviation),
            result(
                "scale/one-socket", nil, .conforms, nil, [.init("sockets", 1, ""), .init("bind", 0.25, "ms")]),
            result("ranges/two-dns", "udp-ipv4", on: "5.10"),
            result("ranges/two-dns", "udp-ipv6", on: "5.10"),
            result("ranges/test-run", on: "5.10", .unsupported, unsupported),
            result("ranges/panics", on: "5.10", .crashed, panic),
        ],
        kernels: ["5.10", "6.12"], origins: ["6.12": "linux-image 6.12.9-1 from trixie"],
        missing: [MissingKernel("6.16", reason: "gone", isRequired: false)], seconds: 72.4,
        repetition: Repetition(files: ["ranges/panics": "my bug.yaml"]))
}

private let plain = TextReport(style: TextStyle(hasColor: false, hasUnicode: true))

@Test("the text report shows a grid, explains what fails, and sums up")
func textReport() {
    let expected = """
        kernel 5.10  5.10.9-cloud-amd64
        kernel 6.12  6.12.9-cloud-amd64  linux-image 6.12.9-1 from trixie

                      5.10         6.12
        ranges/
          two-dns     ✓ 2/2        deviates 1/2
          test-run    unsupported  .
          panics      crashed      .
        scale/
          one-socket  .            ✓

        DEVIATES ranges/two-dns:udp-ipv6 on 6.12 (6.12.9-cloud-amd64)
          step      7: udp probe from client to 192.0.2.1:53
          expected  reaches web, and no other socket
          observed  refused (ECONNREFUSED), nothing received
          repeat    lab run ranges/two-dns:udp-ipv6 --kernel 6.12

        CRASHED ranges/panics on 5.10 (5.10.9-cloud-amd64)
          step      2: load program dispatch
          expected  succeeds
          observed  kernel panic
          log, last lines
            [    1.5] BUG: ␛[31munable
            [    1.6] <end> & "trace"␀
          repeat    lab run 'my bug.yaml' --kernel 5.10

        UNSUPPORTED requires sk-lookup-test-run: not in this kernel, as declared, on 5.10 (1)

        Measured
          scale/one-socket  6.12  sockets 1, bind 0.25 ms

        MISSING kernel 6.16: gone
        7 trials on 2 kernels in 1 min 12 s: 4 conform, 1 deviates, 1 unsupported, 1 crashed

        """
    #expect(plain.render(Sample.run) == expected)
}

@Test("an interrupted run says how far it came, and a lost trial is told")
func incompleteRuns() {
    var run = Run(results: [Sample.result("ranges/two-dns")], planned: 3, seconds: 0.5, interrupted: true)
    #expect(plain.render(run).contains("\nINTERRUPTED after 1 of 3 trials\n"))
    run.interrupted = false
    #expect(plain.render(run).contains("\nBROKEN 2 trials of 3 ended without a result\n"))
}

@Test("one cause that shows in many fixtures is explained once")
func sharedCause() {
    let deviation = Deviation(step: nil, action: "boot", expected: "it answers", observed: "silence")
    let results = (1...11).map { Sample.result("a/b", "v\($0)", .broken, deviation) }
    let report = plain.render(Run(results: results, seconds: 1))
    #expect(
        report.contains(
            """
            BROKEN a/b:v1 on 6.12
              step      boot
              expected  it answers
              observed  silence
              repeat    lab run a/b:v1 --kernel 6.12
              likewise  a/b:v2
                        a/b:v3

            """))
    #expect(report.contains("a/b:v9\n            … and 2 more\n\n11 trials"))
}

@Test("what an exec printed is shown line by line, and cannot act on the terminal")
func severalLines() {
    let deviation = Deviation(step: 1, action: "run in a: x", expected: "y", observed: "one\ntwo\u{1B}[2J\r\n")
    let report = plain.render(Run(results: [Sample.result("a/b", nil, .deviates, deviation)], seconds: 1))
    #expect(report.contains("  observed  one\n            two␛[2J␍\n  repeat"))
}

@Test(
    "colours are for terminals that want them",
    arguments: [
        (true, ["LANG": "C.UTF-8"], true, true), (true, ["LANG": "C.UTF-8", "NO_COLOR": "1"], false, true),
        (true, ["NO_COLOR": ""], true, false), (true, ["TERM": "dumb"], false, false), (false, [:], false, true),
        (true, ["LC_ALL": "C", "LANG": "en_US.utf8"], true, false),
    ] as [(Bool, [String: String], Bool, Bool)])
func styles(isTerminal: Bool, environment: [String: String], hasColor: Bool, hasUnicode: Bool) {
    let style = TextStyle(isTerminal: isTerminal, environment: environment)
    #expect(style == TextStyle(hasColor: hasColor, hasUnicode: hasUnicode))
    let report = TextReport(style: style).render(Sample.run)
    #expect(report.contains("\u{1B}[") == hasColor)
    #expect(report.contains("✓") == hasUnicode)
}

@Test("colours do not move the columns")
func coloredColumns() {
    let colored = TextReport(style: TextStyle(hasColor: true, hasUnicode: true)).render(Sample.run)
    let stripped = colored.replacing(/\u{1B}\[[0-9]+m/, with: "")
    #expect(stripped == plain.render(Sample.run))
}

@Test("a JSON line has the documented keys, sorted, and the evidence of what does not conform")
func jsonLines() {
    let lines = JSONReport.render(Sample.run).split(separator: "\n")
    #expect(lines.count == 7)
    #expect(
        lines[0] == """
            {"fixture":"ranges/two-dns","kernel":"6.12","measurements":[],"origin":null,"release":"6.12.9-cloud-amd64",\
            "sabotage":null,"schema":1,"seconds":0.25,"variant":"udp-ipv4","verdict":"conforms"}
            """)
    #expect(
        lines[1] == """
            {"action":"udp probe from client to 192.0.2.1:53","expected":"reaches web, and no other socket",\
            "fixture":"ranges/two-dns","kernel":"6.12","log":[],"measurements":[],\
            "observed":"refused (ECONNREFUSED), nothing received","origin":null,"release":"6.12.9-cloud-amd64","sabotage":null,\
            "schema":1,"seconds":0.25,"step":7,"variant":"udp-ipv6","verdict":"deviates"}
            """)
    #expect(lines[2].contains(#""measurements":[{"name":"sockets","unit":"","value":1},"#))
    #expect(lines[5].contains(#""step":null,"#) && lines[5].contains(#""variant":null,"#))
    #expect(lines[6].contains(#"[    1.5] BUG: \u001b[31munable"#))
}

/// Counts elements and keeps attributes, of a document that must be well-formed.
private final class Reader: NSObject, XMLParserDelegate {
    var elements: [String: Int] = [:]
    var attributes: [String: [[String: String]]] = [:]
    var text = ""

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        elements[name, default: 0] += 1
        self.attributes[name, default: []].append(attributes)
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
}

@Test("the JUnit report is well-formed and counts as CI systems do")
func junit() throws {
    var run = Sample.run
    run.results.append(
        Sample.result(
            "ranges/broken", "a<b", .broken,
            Deviation(step: nil, action: "x", expected: "y", observed: "]]>\n\tz\u{FFFE}")))
    run.missing.append(MissingKernel("7.9", reason: "no \"such\" series", isRequired: true))
    let reader = Reader()
    let parser = XMLParser(data: Data(JUnitReport.render(run).utf8))
    parser.delegate = reader
    #expect(parser.parse(), "\(String(describing: parser.parserError))")
    #expect(
        reader.elements == [
            "testsuites": 1, "testsuite": 4, "properties": 2, "property": 3, "testcase": 10, "failure": 2, "error": 2,
            "skipped": 2,
        ])
    let suites = try #require(reader.attributes["testsuite"])
    #expect(suites.map { $0["name"] } == ["5.10", "6.12", "6.16", "7.9"])
    #expect(
        suites[0].filter { $0.key != "name" } == [
            "tests": "4", "failures": "1", "errors": "0", "skipped": "1", "time": "1.002",
        ])
    #expect(reader.attributes["failure"]?.map { $0["type"] } == ["crashed", "deviates"])
    #expect(reader.attributes["error"]?[0]["message"] == "expected y, observed ]]>\n\tz\u{FFFD}")
    #expect(reader.attributes["error"]?[1]["message"] == "no \"such\" series")
    #expect(reader.attributes["testcase"]?.contains { $0["name"] == "ranges/broken:a<b" } == true)
    #expect(reader.text.contains("[    1.5] BUG: ␛[31munable\n[    1.6] <end> & \"trace\"␀"))
}

@Test(
    "the exit status is that of the worst verdict, and a broken lab wins",
    arguments: [
        ([.conforms], .conforms), ([.conforms, .unsupported], .conforms), ([.unsupported], .conforms),
        ([.conforms, .deviates], .deviates), ([.crashed], .deviates), ([.hung, .unsupported], .deviates),
        ([.broken], .broken), ([.deviates, .broken, .conforms], .broken), ([], .broken),
    ] as [([Verdict], Report.ExitStatus)])
func exitStatus(verdicts: [Verdict], expected: Report.ExitStatus) {
    let results = verdicts.enumerated().map { Sample.result("a/b", "\($0)", $1) }
    #expect(Report.ExitStatus(of: Run(results: results, seconds: 1)) == expected)
}

@Test("a kernel asked for by name must be had, and every trial must have a result")
func exitStatusOfIncompleteRuns() {
    let results = [Sample.result("a/b")]
    let optional = MissingKernel("6.16", reason: "", isRequired: false)
    let required = MissingKernel("6.16", reason: "", isRequired: true)
    #expect(Report.ExitStatus(of: Run(results: results, missing: [optional], seconds: 1)) == .conforms)
    #expect(Report.ExitStatus(of: Run(results: results, missing: [required], seconds: 1)) == .broken)
    #expect(Report.ExitStatus(of: Run(results: results, planned: 2, seconds: 1)) == .broken)
    #expect(Report.ExitStatus(of: Run(results: results, planned: 2, seconds: 1, interrupted: true)) == .conforms)
    #expect(Report.ExitStatus.allCases.map(\.rawValue) == [0, 1, 2, 3])
}

@Test("the command that repeats a result names its file, kernel and sabotage as sh reads them")
func repetition() {
    let repetition = Repetition(
        files: ["a/b": "it's.yaml"], kernelOptions: ["host": ["--host"], "bzImage": ["--kernel", "/tmp/a b/bzImage"]])
    var result = Sample.result("a/b", on: "host")
    #expect(repetition.command(for: result) == #"lab run 'it'\''s.yaml' --host"#)
    result = Sample.result("c/d", "udp-ipv4", on: "bzImage")
    result.sabotage = "stuck"
    #expect(repetition.command(for: result) == "lab run c/d:udp-ipv4 --kernel '/tmp/a b/bzImage' --sabotage")
}
