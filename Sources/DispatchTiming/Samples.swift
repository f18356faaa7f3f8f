import SystemPackage

/// What was measured of each contestant, one value for each round.
struct Samples {
    private var values: [[Double]]

    init(_ count: Int) { values = Array(repeating: [], count: count) }

    mutating func add(_ value: Double, to index: Int) { values[index].append(value) }

    func median(_ index: Int) -> Double { DispatchTiming.median(values[index]) }

    func range(_ index: Int) -> String {
        "\(Int(values[index].min() ?? 0))–\(Int(values[index].max() ?? 0))"
    }

    /// The median of the ratios of a round: what disturbs a round disturbs both.
    func ratio(of one: Int, to other: Int) -> Double {
        DispatchTiming.median(zip(values[one], values[other]).map { $0 / $1 })
    }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

extension Contestant: CustomStringConvertible {
    var description: String { count == 0 ? shape.rawValue : "\(shape.rawValue), \(count)" }
}

extension BindingSet {
    /// Of sets with one kind each.
    init(joining sets: [BindingSet]) {
        bindings = sets.flatMap(\.bindings)
        bound = sets.reduce(into: [:]) { $0.merge($1.bound) { first, _ in first } }
        unbound = sets.reduce(into: [:]) { $0.merge($1.unbound) { first, _ in first } }
    }
}

/// One line of a table, at once, wherever standard output goes.
func line(_ cells: String...) { say(cells.joined(separator: " "), to: .standardOutput) }

func say(_ text: String, to descriptor: FileDescriptor) {
    // Without anybody to read it there is nobody to tell either.
    _ = try? descriptor.writeAll((text + "\n").utf8)
}

extension String {
    func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
    func aligned(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}

extension Double {
    var tenths: String { "\((self * 10).rounded() / 10)" }
    var hundredths: String { "\((self * 100).rounded() / 100)" }
    var thousandths: String { "\((self * 1000).rounded() / 1000)" }
}
