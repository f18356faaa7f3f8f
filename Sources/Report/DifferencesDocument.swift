import Lab

/// Where kernels differ, as the catalogue's expectations say: a Markdown document.
public struct DifferencesDocument: Sendable {
    public var fixtures: [Fixture]
    /// The series that the matrix has a column for, such as 6.12; oldest first.
    public var series: [KernelVersion]

    public init(_ fixtures: [Fixture], series: [KernelVersion]) {
        self.fixtures = fixtures
        self.series = series
    }

    public func markdown() -> String {
        var names: [String] = []
        for fixture in fixtures where !names.contains(fixture.name) { names.append(fixture.name) }
        let alike = Dictionary(grouping: fixtures, by: \.name)
        let details = names.flatMap { detail(alike[$0] ?? []) }
        return (heading + overview() + details).joined(separator: "\n") + "\n"
    }

    private var heading: [String] {
        [
            "# Where kernels differ", "",
            "Every expectation of a built-in fixture that does not hold for all kernels, with its boundary and the reason.",
            "Printed from the catalogue by `make differences` (`lab list --format differences`), and not to be edited: a",
            "test compares it. A version is mainline's first that has a change, or the point release in which a stable",
            "series took it; –: a series without it. Series that are not in the lab's catalogue may be left out.", "",
        ]
    }

    // MARK: by version

    /// Each change once, oldest first, with the fixtures that show it.
    private func overview() -> [String] {
        struct Change: Hashable {
            var versions: VersionSet
            var because: String
        }
        var changes: [Change] = []
        var shownBy: [Change: [String]] = [:]
        for fixture in fixtures {
            for expectation in fixture.steps.flatMap(\.expect) {
                // One that has two bounds names both reasons; its neighbours name one each.
                let bounds = [expectation.since, expectation.until].compactMap { $0 }
                guard bounds.count == 1, let versions = bounds.first else { continue }
                let change = Change(versions: versions, because: expectation.because ?? "")
                if shownBy[change] == nil { changes.append(change) }
                if !shownBy[change, default: []].contains(fixture.name) {
                    shownBy[change, default: []].append(fixture.name)
                }
            }
        }
        let sorted = changes.enumerated().sorted { left, right in
            let (first, second) = (mainline(left.element.versions), mainline(right.element.versions))
            return first == second ? left.offset < right.offset : first < second
        }
        let header = ["change", "mainline"] + series.map(\.series) + ["shown by"]
        return ["## By version", "", row(header), "|" + String(repeating: "---|", count: header.count)]
            + features()
            + sorted.map { _, change in
                row(
                    [change.because] + presence(change.versions)
                        + [(shownBy[change] ?? []).map { "`\($0)`" }.joined(separator: ", ")])
            } + ["", "## By fixture", ""]
    }

    /// Mainline's first version, and for each series whether it has the change, or since which point release.
    private func presence(_ versions: VersionSet) -> [String] {
        let mainline = mainline(versions)
        return ["\(mainline)"]
            + series.map { series in
                if series >= mainline { return "yes" }
                return versions.first.first { $0.series == series.series }?.description ?? "–"
            }
    }

    private func features() -> [String] {
        Feature.allCases.compactMap { feature in
            guard let declared = feature.declared else { return nil }
            let count = fixtures.count { $0.requires.contains(feature) }
            guard count > 0 else { return nil }
            return row(
                ["the feature `\(feature.rawValue)`, which is probed for"] + presence(declared)
                    + ["\(count) fixtures require it"])
        }
    }

    private func mainline(_ versions: VersionSet) -> KernelVersion { versions.first.max() ?? KernelVersion(0, 0) }

    // MARK: by fixture

    /// The variants of one fixture; those that differ alike are shown once.
    private func detail(_ variants: [Fixture]) -> [String] {
        var groups: [(rows: [Difference], variants: [Fixture])] = []
        for variant in variants {
            let rows = Difference.all(of: variant)
            if rows.isEmpty { continue }
            if let index = groups.firstIndex(where: { $0.rows.elementsEqual(rows, by: { $0.isLike($1) }) }) {
                groups[index].variants.append(variant)
            } else {
                groups.append((rows, [variant]))
            }
        }
        guard let first = groups.first?.variants.first else { return [] }
        var lines = ["### \(first.name)", "", first.summary, ""]
        for group in groups {
            let names = group.variants.compactMap(\.variant).map { "`\($0)`" }
            if !names.isEmpty { lines += ["\(names.joined(separator: ", ")):", ""] }
            lines += ["| step | kernels | what holds | because |", "|---|---|---|---|"]
            for difference in group.rows {
                for (index, expectation) in difference.expectations.enumerated() {
                    lines.append(
                        row([
                            index == 0 ? difference.step : "", kernels(expectation),
                            difference.outcomes[index], reference(expectation.because ?? ""),
                        ]))
                }
            }
            lines.append("")
        }
        return lines
    }

    private func kernels(_ expectation: Expectation) -> String {
        switch (expectation.since, expectation.until) {
        case (let since?, let until?): "since \(since), before \(until)"
        case (let since?, nil): "since \(since)"
        case (nil, let until?): "before \(until)"
        case (nil, nil): "all"
        }
    }

    /// The commits that a reason names; the whole reason where it names none.
    private func reference(_ because: String) -> String {
        let commits = because.matches(of: #/\b[0-9a-f]{12}\b/#).map { String($0.output) }
        return commits.isEmpty ? because : commits.joined(separator: ", ")
    }

    private func row(_ cells: [String]) -> String {
        let cells = cells.map {
            $0.replacing("|", with: "\\|").replacing("\n", with: " ").replacing("\t", with: " ")
        }
        return "| " + cells.joined(separator: " | ") + " |"
    }
}

/// One step whose expectations are for different kernels.
private struct Difference {
    /// The step's number and what it does.
    var step: String
    var expectations: [Expectation]
    /// What each asks for; of many facts, those that the expectations do not agree on.
    var outcomes: [String]

    static func all(of fixture: Fixture) -> [Difference] {
        fixture.steps.enumerated().compactMap { index, step in
            guard step.expect.contains(where: { $0.since != nil || $0.until != nil }) else { return nil }
            return Difference(
                step: "\(index + 1). \(step.action.summary)", expectations: step.expect,
                outcomes: step.expect.map { describe($0.outcome, beside: step.expect.map(\.outcome)) })
        }
    }

    /// Whether the same holds on the same kernels, whatever addresses the step names.
    func isLike(_ other: Difference) -> Bool {
        outcomes == other.outcomes
            && expectations.elementsEqual(other.expectations) {
                $0.since == $1.since && $0.until == $1.until && $0.because == $1.because
            }
    }

    private static func describe(_ outcome: Outcome, beside all: [Outcome]) -> String {
        guard case .facts(let facts) = outcome else { return outcome.description }
        let tables = all.compactMap { outcome -> [String: String]? in
            if case .facts(let facts) = outcome { facts } else { nil }
        }
        let differing = facts.filter { fact in tables.contains { $0[fact.key] != fact.value } }
        return Outcome.facts(differing.isEmpty ? facts : differing).description
    }
}
