import Glibc

/// Balls thrown into equally likely cells, as a Markov chain: exact, and of positive terms only, so both tails keep
/// their relative precision however small they are.
enum Occupancy {
    /// The tails of the number of collisions (balls less occupied cells) after `balls` balls in `cells` cells.
    ///
    /// Past 40 standard deviations and 100 above the mean the tail of that limit is given, an upper bound
    /// below 1e-100: the chain is as long as the number of collisions.
    static func collisions(_ collisions: Int, balls: Int, cells: Double) -> Tails {
        let mean = Double(balls) * Double(balls) / (2 * cells)
        let observed = min(collisions, Int(mean + 40 * mean.squareRoot()) + 100)
        // probability[c] of c collisions so far; everything from `observed` on is gathered in `upper`, and from
        // `observed + 1` on is left out of `lower`.
        var probability = [Double](repeating: 0, count: observed + 1)
        probability[0] = 1
        var atLeast = observed == 0 ? 1.0 : 0
        var thrown = 0
        while thrown < balls {
            var c = min(observed, thrown)
            if observed > 0, thrown >= observed - 1 {
                atLeast += probability[observed - 1] * (Double(thrown - observed + 1) / cells)
            }
            while c >= 0 {
                let occupied = Double(thrown - c) / cells
                let entering = c > 0 ? probability[c - 1] * (Double(thrown - c + 1) / cells) : 0
                probability[c] = probability[c] * (1 - occupied) + entering
                c -= 1
            }
            thrown += 1
        }
        var atMost = 0.0
        for term in probability { atMost += term }
        return Tails(lower: min(1, atMost), upper: min(1, atLeast))
    }

    /// The tails of the number of balls after which no cell is empty; with `complete` false it was not reached
    /// after `balls`, and the tails are those of "later".
    static func coupons(balls: Int, complete: Bool, cells: Int) -> Tails {
        var chain = OccupiedCells(cells: cells)
        chain.throwBalls(complete ? balls - 1 : balls)
        let upper = chain.someEmpty
        guard complete else { return Tails(lower: 1, upper: upper) }
        chain.throwBalls(1)
        return Tails(lower: chain.noneEmpty, upper: upper)
    }
}

/// The distribution of the number of occupied cells, ball by ball.
private struct OccupiedCells {
    private let cells: Int
    private var probability: [Double]
    /// The numbers that have a probability worth carrying.
    private var first = 0
    private var last = 0

    init(cells: Int) {
        self.cells = cells
        probability = [Double](repeating: 0, count: cells + 1)
        probability[0] = 1
    }

    var noneEmpty: Double { last == cells ? probability[cells] : 0 }

    var someEmpty: Double {
        var sum = 0.0
        for occupied in first...last where occupied < cells { sum += probability[occupied] }
        return sum
    }

    mutating func throwBalls(_ balls: Int) {
        let scale = 1 / Double(cells)
        var thrown = 0
        while thrown < balls {
            if last < cells { last += 1 }
            var occupied = last
            while occupied > first {
                probability[occupied] =
                    (probability[occupied] * Double(occupied)
                        + probability[occupied - 1] * Double(cells - occupied + 1)) * scale
                occupied -= 1
            }
            probability[first] *= Double(first) * scale
            while first < last, probability[first] < 1e-280 { first += 1 }
            thrown += 1
        }
    }
}
