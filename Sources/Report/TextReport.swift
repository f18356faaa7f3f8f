import Lab

/// The report for people: grid, explanations, measurements, summary.
public struct TextReport: Sendable {
    public var style: TextStyle

    public init(style: TextStyle) { self.style = style }

    public func render(_ run: Run) -> String {
        let sections = [
            legend(run), grid(run), explanations(run), unsupported(run), measurements(run), summary(run),
        ]
        return sections.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
    }

    /// Which release each kernel of the grid's header is.
    private func legend(_ run: Run) -> [String] {
        Table(
            rows: run.kernels.map { kernel in
                let release =
                    run.release(of: kernel)
                    ?? (run.results.contains { $0.kernel == kernel } ? "never came up" : "not run")
                return [
                    .init("kernel \(kernel.printable())"), .init(release.printable()),
                    .init(
                        style.paint((run.origins[kernel] ?? "").printable(), .dim),
                        width: run.origins[kernel]?.count ?? 0),
                ]
            }
        ).lines()
    }

    private func grid(_ run: Run) -> [String] {
        guard !run.results.isEmpty else { return [] }
        struct Place: Hashable {
            var fixture: String
            var kernel: String
        }
        let cells = Dictionary(grouping: run.results) { Place(fixture: $0.fixture, kernel: $0.kernel) }
        var names: [String] = []
        var seen: Set<String> = []
        for name in run.results.map(\.fixture) where seen.insert(name).inserted { names.append(name) }
        var families: [String] = []
        for family in names.map(family) where !families.contains(family) { families.append(family) }

        var table = Table()
        table.rows.append([.init("")] + run.kernels.map { header($0) })
        for family in families {
            table.rows.append([painted("\(family)/", .bold)])
            for name in names where self.family(name) == family {
                let title = Table.Cell("  " + name.dropFirst(family.count + 1))
                table.rows.append(
                    [title] + run.kernels.map { cell(cells[Place(fixture: name, kernel: $0)] ?? []) })
            }
        }
        var lines = table.lines()
        if run.results.contains(where: { $0.sabotage != nil }) {
            lines.insert("Under sabotage: \(style.mark(.conforms)) is a fixture that noticed it.", at: 0)
        }
        return lines
    }

    private func family(_ name: String) -> String { String(name.prefix { $0 != "/" }) }

    private func painted(_ text: String, _ color: TextStyle.Color) -> Table.Cell {
        Table.Cell(style.paint(text, color), width: text.count)
    }

    private func header(_ kernel: String) -> Table.Cell {
        // A path's last component is enough here: the legend has the whole.
        painted(String(kernel.split(separator: "/").last ?? "?").printable(), .bold)
    }

    private func cell(_ results: [FixtureResult]) -> Table.Cell {
        guard let worst = results.map(\.verdict).max(by: { $0.severity < $1.severity }) else {
            return painted(".", .dim)
        }
        let number = results.count { $0.verdict == worst }
        let text = results.count == 1 ? style.mark(worst) : "\(style.mark(worst)) \(number)/\(results.count)"
        return painted(text, style.color(of: worst))
    }

    private func explanations(_ run: Run) -> [String] {
        let failed = run.results.filter { $0.verdict != .conforms && $0.verdict != .unsupported }
        // One cause often shows in many fixtures: a kernel that does not boot shows in all of them.
        struct Cause: Hashable {
            var kernel: String
            var verdict: Verdict
            var action: String?
            var expected: String?
            var observed: String?
        }
        var causes: [Cause] = []
        var results: [Cause: [FixtureResult]] = [:]
        for result in failed {
            let deviation = result.deviation
            let cause = Cause(
                kernel: result.kernel, verdict: result.verdict, action: deviation?.action,
                expected: deviation?.expected, observed: deviation?.observed)
            if results[cause] == nil { causes.append(cause) }
            results[cause, default: []].append(result)
        }
        return causes.compactMap { results[$0] }.enumerated().flatMap { index, same in
            (index == 0 ? [] : [""]) + explain(same[0], run.repetition) + others(same.dropFirst().map(\.trial))
        }
    }

    /// The trials to which the same explanation applies.
    private func others(_ trials: [String]) -> [String] {
        if trials.isEmpty { return [] }
        let shown = trials.prefix(8).joined(separator: "\n")
        let rest = trials.count > 8 ? "\n… and \(trials.count - 8) more" : ""
        return field("likewise", shown + (style.hasUnicode ? rest : rest.replacing("…", with: "...")))
    }

    private func explain(_ result: FixtureResult, _ repetition: Repetition) -> [String] {
        let release = result.release.isEmpty ? "" : " (\(result.release.printable()))"
        var lines = [
            style.paint(result.verdict.rawValue.uppercased(), style.color(of: result.verdict))
                + " \(style.paint(result.trial, .bold)) on \(result.kernel.printable())\(release)"
        ]
        if let deviation = result.deviation {
            lines += field("step", deviation.step.map { "\($0): \(deviation.action)" } ?? deviation.action)
            if !deviation.expected.isEmpty { lines += field("expected", deviation.expected) }
            lines += field("observed", deviation.observed)
            if !deviation.log.isEmpty {
                lines.append("  log, last lines")
                lines += deviation.log.suffix(20).map { "    \($0.printable())" }
            }
        }
        lines += field("repeat", repetition.command(for: result))
        return lines
    }

    private func field(_ name: String, _ text: String) -> [String] {
        let parts = text.printable(keepingLines: true).split(separator: "\n", omittingEmptySubsequences: true)
        let title = "  " + name + String(repeating: " ", count: max(1, 10 - name.count))
        let indent = String(repeating: " ", count: title.count)
        return parts.isEmpty
            ? [title + "(nothing)"] : parts.enumerated().map { ($0 == 0 ? title : indent) + $1 }
    }

    /// What was not asked of a kernel, and why: a line per reason.
    private func unsupported(_ run: Run) -> [String] {
        struct Reason: Hashable {
            var action: String
            var observed: String
        }
        let skipped = run.results.filter { $0.verdict == .unsupported }
        let groups = Dictionary(grouping: skipped) {
            Reason(action: $0.deviation?.action ?? "", observed: $0.deviation?.observed ?? "no reason given")
        }
        let ordered = groups.sorted { ($0.key.action, $0.key.observed) < ($1.key.action, $1.key.observed) }
        return ordered.map { reason, results in
            let kernels = run.kernels.compactMap { kernel -> String? in
                let number = results.count { $0.kernel == kernel }
                return number == 0 ? nil : "\(kernel.printable()) (\(number))"
            }
            let text = [reason.action, reason.observed].filter { !$0.isEmpty }.joined(separator: ": ")
            return style.paint("UNSUPPORTED", .dim) + " \(text.printable()), on \(kernels.joined(separator: ", "))"
        }
    }

    private func measurements(_ run: Run) -> [String] {
        let measured = run.results.filter { !$0.measurements.isEmpty }
        guard !measured.isEmpty else { return [] }
        var table = Table()
        for result in measured {
            let figures = result.measurements.map { measurement in
                ([measurement.name, figure(measurement.value), measurement.unit].filter { !$0.isEmpty })
                    .joined(separator: " ").printable()
            }
            table.rows.append([
                .init(result.trial), .init(result.kernel.printable()), .init(figures.joined(separator: ", ")),
            ])
        }
        return ["Measured"] + table.lines(indent: "  ")
    }

    private func summary(_ run: Run) -> [String] {
        var lines = run.missing.map { kernel in
            style.paint("MISSING", kernel.isRequired ? .yellow : .dim)
                + " kernel \(kernel.name.printable()): \(kernel.reason.printable())"
        }
        if run.interrupted {
            lines.append(
                style.paint("INTERRUPTED", .yellow)
                    + " after \(run.results.count) of \(count(run.planned, "trial"))")
        }
        if run.lost > 0 {
            lines.append(
                style.paint("BROKEN", .yellow) + " \(count(run.lost, "trial")) of \(run.planned) ended without a result"
            )
        }
        let verdicts = Verdict.allCases.compactMap { verdict -> String? in
            let number = run.results.count { $0.verdict == verdict }
            return number == 0 ? nil : style.paint("\(number) \(verdict.counted(number))", style.color(of: verdict))
        }
        let ran = Set(run.results.map(\.kernel)).count
        lines.append(
            "\(count(run.results.count, "trial")) on \(count(ran, "kernel")) in \(duration(run.seconds))"
                + (verdicts.isEmpty ? "" : ": \(verdicts.joined(separator: ", "))"))
        return lines
    }
}

extension Verdict {
    /// Which of several verdicts a cell shows: the one that needs attention first.
    fileprivate var severity: Int {
        switch self {
        case .conforms: 0
        case .unsupported: 1
        case .deviates: 2
        case .hung: 3
        case .crashed: 4
        case .broken: 5
        }
    }

    fileprivate func counted(_ number: Int) -> String {
        switch self {
        case .conforms: number == 1 ? "conforms" : "conform"
        case .deviates: number == 1 ? "deviates" : "deviate"
        case .unsupported, .crashed, .hung, .broken: rawValue
        }
    }
}
