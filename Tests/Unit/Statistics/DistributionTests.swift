import Testing

@testable import Statistics

/// Checks a value against the oracle's, relative to it: the tails are worthless if only their absolute error is small.
private func agrees(_ value: Double, _ oracle: Double, within tolerance: Double) -> Bool {
    // Below this a double has no digits left.
    if oracle < 1e-290 { return value < 1e-290 }
    return abs(value / oracle - 1) <= tolerance
}

@Suite("Distributions against SciPy")
struct DistributionTests {
    private func check(
        _ tails: Tails, _ row: [Double], within tolerance: Double, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let (lower, upper) = (row[row.count - 2], row[row.count - 1])
        #expect(agrees(tails.lower, lower, within: tolerance), "\(row): \(tails)", sourceLocation: sourceLocation)
        #expect(agrees(tails.upper, upper, within: tolerance), "\(row): \(tails)", sourceLocation: sourceLocation)
    }

    @Test("both tails of χ² are right to 11 digits from 1e-60 up, for 1 to 65,535 degrees of freedom")
    func chiSquared() {
        for row in Oracle.chiSquared {
            check(ChiSquaredDistribution.tails(row[0], degreesOfFreedom: Int(row[1])), row, within: 1e-11)
        }
    }

    @Test("both tails of a Poisson count are right to 11 digits")
    func poisson() {
        for row in Oracle.poisson { check(PoissonDistribution.tails(Int(row[0]), mean: row[1]), row, within: 1e-11) }
    }

    @Test("both tails of a binomial count are right to 11 digits, for up to a million trials")
    func binomial() {
        for row in Oracle.binomial {
            check(
                BinomialDistribution.tails(Int(row[0]), trials: Int(row[1]), probability: row[2]), row, within: 1e-11)
        }
    }

    @Test("Kolmogorov's distribution is right to 9 digits for up to 200 values, and for more in its far tails")
    func kolmogorov() {
        for row in Oracle.kolmogorov {
            let tails = KolmogorovDistribution.tails(row[0], count: Int(row[1]))
            let exact = row[1] <= 200 || row[1] * row[0] * row[0] >= 4 || row[1] * row[0] < 12
            // The expansion in the middle of many is as good as a verdict needs.
            check(tails, row, within: exact ? 1e-9 : 1e-4)
        }
    }

    @Test("Anderson's and Darling's distribution is right to 11 digits from 1e-15 to 1 - 1e-15")
    func andersonDarling() {
        for row in Oracle.andersonDarling { check(AndersonDarlingDistribution.tails(row[0]), row, within: 1e-11) }
    }

    @Test("the coupon collector's time is right to 11 digits")
    func coupons() {
        for row in Oracle.coupons {
            let tails = Occupancy.coupons(balls: Int(row[0]), complete: true, cells: Int(row[1]))
            check(tails, row, within: 1e-11)
            // "Not yet complete after t" is "t + 1 or later".
            let later = Occupancy.coupons(balls: Int(row[0]) - 1, complete: false, cells: Int(row[1]))
            #expect(agrees(later.upper, row[3], within: 1e-11))
        }
    }

    @Test("the number of collisions is right to 11 digits")
    func collisions() {
        for row in Oracle.collisions {
            check(Occupancy.collisions(Int(row[0]), balls: Int(row[1]), cells: row[2]), row, within: 1e-11)
        }
    }

    @Test("the number of runs is right to 11 digits")
    func runs() {
        for row in Oracle.runs {
            check(RunsDistribution.tails(Int(row[0]), above: Int(row[1]), below: Int(row[2])), row, within: 1e-11)
        }
    }

    @Test("collisions far beyond any chance are bounded, and do not take the time to be counted out")
    func manyCollisions() {
        let tails = Occupancy.collisions(9_000, balls: 10_000, cells: 0x1p40)
        #expect(tails.upper < 1e-100)
        #expect(tails.lower > 1 - 1e-12)
    }
}
