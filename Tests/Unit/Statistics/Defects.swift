import Testing

@testable import Statistics

/// A way to get address generation wrong, and who must notice.
struct Defect: Sendable, CustomTestStringConvertible {
    let source: AddressSource
    /// The tests which must refuse it, at the rate at which a good generator passes.
    let caughtBy: Set<StatisticalTest>
    /// What may be accused: a finding elsewhere would mislead whoever looks for the defect.
    let accuses: Set<AddressBattery.Aspect>

    var testDescription: String { source.name }
}

extension Defect {
    private typealias Parts = AddressSource.HostParts

    private static func make(
        _ name: String, caughtBy: Set<StatisticalTest>, accuses: Set<AddressBattery.Aspect>,
        worker: @escaping @Sendable (_ number: Int) -> (_ name: Int) -> AddressSource.HostParts
    ) -> Defect {
        Defect(source: AddressSource(name, worker: worker), caughtBy: caughtBy, accuses: accuses)
    }

    /// Workers with generators of their own.
    private static func generator(_ worker: Int) -> SplitMix64 { SplitMix64(seed: 0xDEFEC7 + UInt64(worker)) }

    /// A worker that draws from a good generator, whose answer is then spoilt.
    private static func spoilt(
        _ name: String, caughtBy: Set<StatisticalTest>, accuses: Set<AddressBattery.Aspect>,
        _ spoil:
            @escaping @Sendable (_ parts: AddressSource.HostParts, _ again: () -> UInt64) -> AddressSource.HostParts
    ) -> Defect {
        make(name, caughtBy: caughtBy, accuses: accuses) { number in
            var generator = generator(number)
            return { _ in
                let parts: Parts = (generator.next(bits: 8), generator.next())
                return spoil(parts) { generator.next() }
            }
        }
    }

    static let all: [Defect] = [
        spoilt(
            "modulo bias", caughtBy: [.chiSquared, .likelihoodRatio, .kolmogorovSmirnov, .andersonDarling],
            accuses: [.a]
        ) { parts, again in
            // 700 is no multiple of 256: hosts below 188 get three numbers of it, the others two.
            (v4: again() % 700 % 256, v6: parts.v6)
        },
        spoilt("stuck bit", caughtBy: [.monobit], accuses: [.aaaa, .workersAAAA]) { parts, _ in
            (v4: parts.v4, v6: parts.v6 & ~(1 << 17))
        },
        spoilt("64 bits from a double", caughtBy: [.monobit, .couponCollector], accuses: [.aaaa, .workersAAAA]) {
            parts, _ in (v4: parts.v4, v6: parts.v6 & ~0x7FF)
        },
        spoilt("one half of the word twice", caughtBy: [.bitPairs], accuses: [.aaaa]) { parts, _ in
            (v4: parts.v4, v6: parts.v6 << 32 | parts.v6 & 0xFFFF_FFFF)
        },
        spoilt(".0 and .255 left out", caughtBy: [.minimumLoad, .couponCollector], accuses: [.a]) { parts, again in
            var v4 = parts.v4
            while v4 == 0 || v4 == 255 { v4 = again() >> 56 }
            return (v4: v4, v6: parts.v6)
        },
        spoilt(
            "five excluded addresses answered as .5",
            caughtBy: [.maximumLoad, .minimumLoad, .couponCollector, .chiSquared], accuses: [.a, .aWithAAAA, .workersA]
        ) { parts, _ in
            (v4: parts.v4 < 5 ? 5 : parts.v4, v6: parts.v6)
        },
        make(
            "equal seeds in two workers", caughtBy: [.crossBits, .contingency, .collisions],
            accuses: [.workersA, .workersAAAA]
        ) { _ in
            var generator = generator(0)
            return { _ in (v4: generator.next(bits: 8), v6: generator.next()) }
        },
        make(
            "equal seeds, one worker three draws late", caughtBy: [.crossBits, .collisions],
            accuses: [.workersA, .workersAAAA]
        ) { number in
            var generator = generator(0)
            for _ in 0..<number * 6 { _ = generator.next() }
            return { _ in (v4: generator.next(bits: 8), v6: generator.next()) }
        },
        make(
            "round-robin",
            caughtBy: [
                .chiSquared, .likelihoodRatio, .maximumLoad, .minimumLoad, .andersonDarling, .kolmogorovSmirnov,
                .serial, .runs, .ascendingRuns, .gaps, .twoLevel, .birthdaySpacings, .couponCollector, .bitLags,
            ],
            accuses: Set(AddressBattery.Aspect.allCases)
        ) { _ in
            var counter: UInt64 = 0
            return { _ in
                counter += 1
                return (v4: counter & 255, v6: counter)
            }
        },
        make(
            "a golden-ratio sequence", caughtBy: [.chiSquared, .birthdaySpacings, .runs, .ascendingRuns, .serial],
            accuses: [.aaaa, .workersAAAA]
        ) { number in
            var generator = generator(number)
            var state = generator.next()
            return { _ in
                state &+= 0x9E37_79B9_7F4A_7C15
                return (v4: generator.next(bits: 8), v6: state)
            }
        },
        make("low bits of an LCG", caughtBy: [.bitLags, .serial, .gaps, .twoLevel], accuses: [.aaaa, .workersAAAA]) {
            number in
            var generator = generator(number)
            var state = generator.next()
            return { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return (v4: generator.next(bits: 8), v6: state)
            }
        },
        make(
            "the name's hash", caughtBy: [.contingency],
            accuses: [.a, .aaaa, .nameWithA, .nameWithAAAA, .workersA, .workersAAAA, .aWithAAAA]
        ) { _ in
            return { name in
                var hash = SplitMix64(seed: UInt64(name))
                return (v4: hash.next(bits: 8), v6: hash.next())
            }
        },
        make("even names prefer low addresses", caughtBy: [.contingency], accuses: [.nameWithA, .a]) { number in
            var generator = generator(number)
            return { name in
                let v4 = generator.next(bits: 8)
                // An eighth of the answers for even names lose their high bit, of those for odd names get it.
                let moved = generator.next(bits: 3) == 0
                return (v4: moved ? v4 & 127 | UInt64(name & 1) << 7 : v4, v6: generator.next())
            }
        },
        spoilt("A and AAAA share their low bits", caughtBy: [.crossBits, .contingency], accuses: [.aWithAAAA]) {
            parts, _ in (v4: parts.v6 & 255, v6: parts.v6)
        },
        make(
            "a cycle of 10,000 draws", caughtBy: [.collisions, .chiSquared],
            accuses: [.a, .aaaa, .aWithAAAA, .workersA, .workersAAAA]
        ) { number in
            var generator = generator(number)
            var drawn = 0
            return { _ in
                if drawn % 10_000 == 0 { generator = Self.generator(number) }
                drawn += 1
                return (v4: generator.next(bits: 8), v6: generator.next())
            }
        },
        make(
            "every answer given twice", caughtBy: [.serial, .bitLags, .runs, .collisions],
            accuses: [.a, .aaaa, .aWithAAAA, .workersA, .workersAAAA]
        ) {
            number in
            var generator = generator(number)
            var kept: Parts?
            return { _ in
                if let parts = kept {
                    kept = nil
                    return parts
                }
                let parts: Parts = (generator.next(bits: 8), generator.next())
                kept = parts
                return parts
            }
        },
        make("a deck, shuffled anew when empty", caughtBy: [.chiSquared, .maximumLoad, .twoLevel], accuses: [.a]) {
            number in
            var generator = generator(number)
            var deck: [UInt64] = []
            return { _ in
                if deck.isEmpty { deck = (0..<256).shuffled(using: &generator) }
                return (v4: deck.removeLast(), v6: generator.next())
            }
        },
    ]
}
