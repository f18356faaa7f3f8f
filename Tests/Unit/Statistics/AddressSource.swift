@testable import Statistics

/// A generator of addresses, good or bad, as the battery sees it: host parts for the number of a name.
struct AddressSource: Sendable {
    typealias HostParts = (v4: UInt64, v6: UInt64)

    let name: String
    let v4Bits: Int
    let v6Bits: Int
    /// Makes worker 0 or 1 of a server: for the number of a name, the host parts of its next A and AAAA.
    let worker: @Sendable (_ number: Int) throws -> (_ name: Int) throws -> HostParts

    init(
        _ name: String, v4Bits: Int = 8, v6Bits: Int = 64,
        worker: @escaping @Sendable (_ number: Int) throws -> (_ name: Int) throws -> HostParts
    ) {
        self.name = name
        self.v4Bits = v4Bits
        self.v6Bits = v6Bits
        self.worker = worker
    }
}

/// The battery for address generation: all that must hold of the answers of a server with two workers.
enum AddressBattery {
    /// The rate at which a good generator is refused by one judgement: a set of findings by Holm's correction over its
    /// some thousand tests, or the calibration of one test.
    ///
    /// There are 71 judgements in the unit tests (14 of good generators, 18 of the project's own, 20 of spoilt ones, 19
    /// calibrations), so all of them together would refuse what is good in less than one of a million suites with
    /// other seeds. The χ² limit makes the rate of its 40 tests of these thousands a few times larger, which adds less
    /// than a tenth.
    static let familywiseRate = 1e-8

    static let draws = 16_384
    static let names = 1_000

    /// What can be found at fault: one sequence, or a dependence between two.
    enum Aspect: String, CaseIterable {
        case a = "A"
        case aaaa = "AAAA"
        case aWithAAAA = "A × AAAA"
        case nameWithA = "name × A"
        case nameWithAAAA = "name × AAAA"
        case workersA = "worker × worker A"
        case workersAAAA = "worker × worker AAAA"
    }

    struct Verdict {
        let source: String
        let findings: Findings

        /// The aspects whose tests failed.
        var accused: Set<Aspect> {
            Set(
                findings.failures.compactMap { failure in
                    Aspect.allCases.first { failure.subject.hasPrefix("\($0.rawValue):") }
                })
        }
    }

    /// Draws for names in a random order (each about 16 times) and judges the answers.
    static func examine(_ source: AddressSource, seed: UInt64 = 1) throws -> Verdict {
        var own = SplitMix64(seed: seed &* 0x5851_F42D_4C95_7F2D)
        var order: [Int] = []
        for _ in 0..<draws { order.append(Int(own.next() % UInt64(names))) }
        let first = try answers(source, worker: 0, order)
        let second = try answers(source, worker: 1, order)

        var results: [TestResult] = []
        func subject(_ aspect: Aspect) -> String { aspect.rawValue + ":" }
        results += try Battery.sequence(first.v4, subject: subject(.a), using: &own)
        results += try Battery.sequence(first.v6, subject: subject(.aaaa), using: &own)
        results += try Battery.independence(first.v4, first.v6, subject: subject(.aWithAAAA))
        results += try Battery.independence(ofNames: order, first.v4, subject: subject(.nameWithA))
        results += try Battery.independence(ofNames: order, first.v6, subject: subject(.nameWithAAAA))
        results += try Battery.workers(first.v4, second.v4, subject: subject(.workersA))
        results += try Battery.workers(first.v6, second.v6, subject: subject(.workersAAAA))
        return Verdict(source: source.name, findings: Findings(results, familywiseRate: familywiseRate))
    }

    private static func answers(
        _ source: AddressSource, worker: Int, _ order: [Int]
    ) throws -> (v4: Samples, v6: Samples) {
        let next = try source.worker(worker)
        var (v4, v6) = ([UInt64](), [UInt64]())
        for name in order {
            let parts = try next(name)
            v4.append(parts.v4)
            v6.append(parts.v6)
        }
        return (try Samples(v4, bits: source.v4Bits), try Samples(v6, bits: source.v6Bits))
    }
}
