/// A named scenario with its expectations: what is done to a kernel, and what the kernel should do.
public struct Fixture: Hashable, Sendable, Codable {
    /// `family/name`, kebab-case.
    public var name: String
    /// What distinguishes this variant of the behaviour, such as `udp-ipv6`; nil where there is only one.
    public var variant: String?
    /// One sentence that states the behaviour.
    public var summary: String
    /// The paper's section, RFC, man page or commit that makes it so.
    public var because: [String]
    public var tags: [String]
    /// The kernel features without which the behaviour cannot be asked about.
    public var requires: [Feature]
    public var steps: [Step]
    /// Changed worlds in which the fixture must not conform.
    public var sabotages: [Sabotage]

    public init(
        name: String, variant: String? = nil, summary: String, because: [String], tags: [String] = [],
        requires: [Feature] = [], steps: [Step], sabotages: [Sabotage] = []
    ) {
        self.name = name
        self.variant = variant
        self.summary = summary
        self.because = because
        self.tags = tags
        self.requires = requires
        self.steps = steps
        self.sabotages = sabotages
    }

    /// `family/name`, or `family/name:variant`: what the command line selects by.
    public var id: String { variant.map { "\(name):\($0)" } ?? name }

    public var family: String { String(name.prefix { $0 != "/" }) }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        variant = try container.decodeIfPresent(String.self, forKey: .variant)
        summary = try container.decode(String.self, forKey: .summary)
        because = try container.decodeIfPresent([String].self, forKey: .because) ?? []
        tags = try container.decodeIfPresent([String].self, forKey: .tags) ?? []
        requires = try container.decodeIfPresent([Feature].self, forKey: .requires) ?? []
        steps = try container.decode([Step].self, forKey: .steps)
        sabotages = try container.decodeIfPresent([Sabotage].self, forKey: .sabotages) ?? []
    }
}

/// A changed world in which a fixture must deviate: some of its labelled steps left out or replaced.
///
/// The changed steps are for preparing the world; the expectations that must fail stay as they are.
public struct Sabotage: Hashable, Sendable, Codable {
    /// Kebab-case, such as `program-not-attached`.
    public var name: String
    /// The labels of the steps to leave out.
    public var omit: [String]
    /// The labels of the steps to replace, and by what.
    public var replace: [String: [Step]]

    public init(_ name: String, omit: [String] = [], replace: [String: [Step]] = [:]) {
        self.name = name
        self.omit = omit
        self.replace = replace
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        omit = try container.decodeIfPresent([String].self, forKey: .omit) ?? []
        replace = try container.decodeIfPresent([String: [Step]].self, forKey: .replace) ?? [:]
    }
}

extension Fixture {
    /// The fixture in the world of `sabotage`.
    ///
    /// - Throws: ``FixtureError/unknownLabel(fixture:sabotage:label:)`` for a label that no step has: a
    ///   sabotage that changes nothing would prove nothing.
    public func sabotaged(by sabotage: Sabotage) throws(FixtureError) -> Fixture {
        let labels = Set(steps.compactMap(\.label))
        for label in sabotage.omit + sabotage.replace.keys.sorted() where !labels.contains(label) {
            throw .unknownLabel(fixture: id, sabotage: sabotage.name, label: label)
        }
        var changed = self
        changed.sabotages = []
        changed.steps = steps.flatMap { step -> [Step] in
            guard let label = step.label else { return [step] }
            if sabotage.omit.contains(label) { return [] }
            return sabotage.replace[label] ?? [step]
        }
        return changed
    }

    /// Checks what the types cannot: the fixture's name, labels, and names that no step made, or made twice.
    public func validate() throws(FixtureError) {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        let kebab = { (part: Substring) in
            !part.isEmpty && part.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "-") }
        }
        guard parts.count == 2, parts.allSatisfy(kebab) else { throw .badName(name) }
        guard !steps.isEmpty else { throw .noSteps(name) }
        var seen: Set<String> = []
        for label in steps.compactMap(\.label) where !seen.insert(label).inserted {
            throw .duplicateLabel(fixture: id, label: label)
        }
        try checkNames()
        for sabotage in sabotages { try sabotaged(by: sabotage).checkNames(includingExpectations: false) }
    }
}

/// What is wrong with a fixture as it is written.
public enum FixtureError: Error, Hashable, Sendable, CustomStringConvertible {
    case badName(String)
    case noSteps(String)
    case duplicateLabel(fixture: String, label: String)
    case unknownLabel(fixture: String, sabotage: String, label: String)
    case unknownName(fixture: String, step: Int, kind: String, name: String, known: [String])
    case duplicateName(fixture: String, step: Int, kind: String, name: String)
    /// A step that nobody could perform, whatever the kernel.
    case impossible(fixture: String, step: Int, because: String)
    case expectationsForVersion(step: String, version: KernelVersion, count: Int)

    /// The step, from 1, that is at fault; nil where it is the whole fixture.
    public var step: Int? {
        switch self {
        case .unknownName(_, let step, _, _, _), .duplicateName(_, let step, _, _),
            .impossible(_, let step, _):
            step
        default: nil
        }
    }

    public var description: String {
        switch self {
        case .badName(let name): "'\(name)' is not a fixture name: write family/name in lower-case words joined by -"
        case .noSteps(let name): "\(name) has no steps"
        case .duplicateLabel(let fixture, let label): "\(fixture): two steps have the label '\(label)'"
        case .unknownLabel(let fixture, let sabotage, let label):
            "\(fixture): sabotage '\(sabotage)' names the label '\(label)', which no step has"
        case .unknownName(let fixture, let step, let kind, let name, let known):
            "\(fixture), step \(step): no \(kind) is called '\(name)' here; "
                + (known.isEmpty ? "no step before has made one" : "there are \(known.joined(separator: ", "))")
        case .duplicateName(let fixture, let step, let kind, let name):
            "\(fixture), step \(step): there is a \(kind) called '\(name)' already"
        case .impossible(let fixture, let step, let because): "\(fixture), step \(step): \(because)"
        case .expectationsForVersion(let step, let version, let count):
            "\(step): \(count) expectations apply to kernel \(version); make since and until cover it exactly once"
        }
    }
}
