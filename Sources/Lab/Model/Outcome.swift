import Addressing

/// What an expectation asks for.
public enum Outcome: Hashable, Sendable {
    /// The action succeeds.
    case succeeds
    /// A system call of the action fails with this errno; `call` nil accepts any call.
    case fails(ErrorNumber, call: String?)
    /// This socket, and no other, gets the packet, and its answer comes back from the address asked.
    case reaches(String)
    /// Refused (RST or ICMP port unreachable: ECONNREFUSED), and no socket got anything.
    case refused
    /// No answer, no error, and no socket got anything, once the probe's fence was answered.
    case silent
    /// Who answers over a sweep or a test-run, as spans in the order asked.
    case answers([AnswerSpan])
    /// A counter or the number of received messages.
    case count(Bounds)
    /// The number of messages received from each flood; a flood that is not named must have none.
    case received([String: Bounds])
    /// The exit status of a command, and a line its output must have.
    case exits(Int32, output: String?)
    /// These facts, and perhaps others, are as stated.
    case facts([String: String])
}

/// Consecutive endpoints with one answer.
///
/// `answer` is a socket's name, `refused`, `silent`, `pass` or `drop` (of a test-run), or an errno. The
/// name `web[=]` stands for the one of a range of sockets that is bound to the very address asked.
public struct AnswerSpan: Hashable, Sendable, Codable {
    public var first: Endpoint
    public var last: Endpoint
    public var answer: String

    public init(_ first: Endpoint, through last: Endpoint, _ answer: String) {
        self.first = first
        self.last = last
        self.answer = answer
    }
}

/// A range of counts, both ends included.
public struct Bounds: Hashable, Sendable, Codable {
    public var atLeast: Int
    /// nil is no upper bound.
    public var atMost: Int?

    public init(atLeast: Int, atMost: Int? = nil) {
        self.atLeast = atLeast
        self.atMost = atMost
    }

    public static func exactly(_ count: Int) -> Bounds { Bounds(atLeast: count, atMost: count) }

    public func contains(_ count: Int) -> Bool { count >= atLeast && count <= atMost ?? .max }

    private enum CodingKeys: String, CodingKey {
        case atLeast = "at-least"
        case atMost = "at-most"
    }
}

/// What the kernel did in one step.
public struct Observation: Hashable, Sendable, Codable {
    public var event: Event
    /// Figures that are reported and not judged.
    public var measurements: [Measurement]
    /// The last lines of what libbpf and the verifier said of a program that they refused.
    public var log: [String]

    public init(_ event: Event, measurements: [Measurement] = [], log: [String] = []) {
        self.event = event
        self.measurements = measurements
        self.log = log
    }
}

public struct Measurement: Hashable, Sendable, Codable {
    public var name: String
    public var value: Double
    public var unit: String

    public init(_ name: String, _ value: Double, _ unit: String) {
        self.name = name
        self.value = value
        self.unit = unit
    }
}

public enum Event: Hashable, Sendable, Codable {
    case succeeded
    case failed(call: String, errno: ErrorNumber)
    /// The named socket answered, from this source; `received` names every server socket that got something.
    case answered(by: String, from: Endpoint, received: [String])
    case refused(received: [String])
    /// The fence answered and the probe did not.
    case silent(received: [String])
    /// The deadline passed. Never expected: silence is concluded by a fence.
    case timedOut(received: [String])
    case answers([AnswerSpan])
    case counted(Int)
    case received([String: Int])
    case exited(Int32, output: String)
    /// What was found, by name.
    case facts([String: String])
}

extension Outcome {
    /// Whether `event`, observed when `asked` was asked, is what this outcome asks for.
    ///
    /// `asked` is the destination of a probe: an answer must come from its address.
    public func matches(_ event: Event, asked: Endpoint? = nil) -> Bool {
        switch (self, event) {
        case (.succeeds, .succeeded): true
        // What a pinned dispatcher refuses is told as a fact.
        case (.succeeds, .facts(let facts)): facts["refusal"] == nil
        case (.fails(let errno, let call), .failed(let failedCall, let observed)):
            errno == observed && (call == nil || call == failedCall)
        case (.reaches(let name), .answered(let answerer, let source, let received)):
            answerer == name && received == [name] && (asked == nil || source.address == asked?.address)
        case (.refused, .refused(let received)): received.isEmpty
        case (.silent, .silent(let received)): received.isEmpty
        case (.answers(let expected), .answers(let observed)): expected == observed
        case (.count(let bounds), .counted(let count)): bounds.contains(count)
        case (.received(let expected), .received(let observed)):
            expected.allSatisfy { $0.value.contains(observed[$0.key] ?? 0) }
                && observed.allSatisfy { expected[$0.key] != nil || $0.value == 0 }
        case (.exits(let status, let line), .exited(let observed, let output)):
            status == observed && (line.map { output.split(separator: "\n").map(String.init).contains($0) } ?? true)
        case (.facts(let expected), .facts(let observed)): expected.allSatisfy { observed[$0.key] == $0.value }
        default: false
        }
    }

    /// How this outcome and an event that does not match it are told apart: of many facts, those that differ.
    func difference(from event: Event) -> (expected: String, observed: String) {
        guard case .facts(let expected) = self, case .facts(let observed) = event else {
            return (description, event.description)
        }
        let differing = expected.filter { observed[$0.key] != $0.value }
        let found = differing.map { ($0.key, observed[$0.key] ?? "nothing known") }
        // A fact that is not known at all may be misspelt: all that are known show what was meant.
        let all = differing.keys.allSatisfy { observed[$0] != nil } ? "" : " (known: \(describe(observed)))"
        return (describe(differing), describe(Dictionary(uniqueKeysWithValues: found)) + all)
    }
}

extension Outcome: CustomStringConvertible {
    public var description: String {
        switch self {
        case .succeeds: "succeeds"
        case .fails(let errno, let call): call.map { "\($0)() fails with \(errno)" } ?? "fails with \(errno)"
        case .reaches(let name): "reaches \(name), and no other socket"
        case .refused: "refused, and no socket receives anything"
        case .silent: "silence, and no socket receives anything"
        case .answers(let spans): describe(spans)
        case .count(let bounds): bounds.description
        case .received(let counts):
            "received " + counts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        case .exits(let status, let line): "exit status \(status)" + (line.map { ", a line '\($0)'" } ?? "")
        case .facts(let facts): describe(facts)
        }
    }
}

extension Event: CustomStringConvertible {
    public var description: String {
        switch self {
        case .succeeded: "succeeded"
        case .failed(let call, let errno): "\(call)() failed with \(errno)"
        case .answered(let name, let source, let received):
            "\(name) answered from \(source)" + (received == [name] ? "" : "; received by \(list(received))")
        case .refused(let received): "refused (ECONNREFUSED)" + but(received)
        case .silent(let received): "silence" + but(received)
        case .timedOut(let received): "no answer within the deadline" + but(received)
        case .answers(let spans): describe(spans)
        case .counted(let count): "\(count)"
        case .received(let counts):
            counts.isEmpty
                ? "received nothing"
                : "received "
                    + counts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        case .exited(let status, let output): "exit status \(status), output: \(output)"
        case .facts(let facts): describe(facts)
        }
    }

    private func but(_ received: [String]) -> String {
        received.isEmpty ? ", nothing received" : ", but \(list(received)) received it"
    }

    private func list(_ names: [String]) -> String { names.isEmpty ? "nobody" : names.joined(separator: ", ") }
}

extension Bounds: CustomStringConvertible {
    public var description: String {
        switch atMost {
        case .some(atLeast): "exactly \(atLeast)"
        case .some(let most): "\(atLeast) to \(most)"
        case nil: "at least \(atLeast)"
        }
    }
}

/// Long sweeps are shown by their first spans: the first that differs is what one needs.
private func describe(_ spans: [AnswerSpan]) -> String {
    let shown = spans.prefix(8).map {
        $0.first == $0.last ? "\($0.first) → \($0.answer)" : "\($0.first)…\($0.last) → \($0.answer)"
    }
    return shown.joined(separator: "; ") + (spans.count > 8 ? "; … (\(spans.count) spans)" : "")
}

/// Facts in the order of their names; of many the first.
private func describe(_ facts: [String: String]) -> String {
    let sorted = facts.sorted { $0.key < $1.key }
    return sorted.prefix(12).map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        + (sorted.count > 12 ? ", … (\(sorted.count) in all)" : "")
}
