import Glibc

/// The tails of a distribution at an observed value, which both include.
struct Tails: Hashable, Sendable {
    /// P(X ≤ x).
    let lower: Double
    /// P(X ≥ x).
    let upper: Double
}

/// A χ² variable.
enum ChiSquaredDistribution {
    static func tails(_ x: Double, degreesOfFreedom: Int) -> Tails {
        let (lower, upper) = Gamma.regularized(Double(degreesOfFreedom) / 2, x / 2)
        return Tails(lower: lower, upper: upper)
    }

    /// The tails of a statistic that counts make, whose next larger value is about `step` away.
    ///
    /// Four counts of 64 are all 16 once in 600 times: a statistic of 0, which a χ² variable never has. So the lower
    /// tail is taken at the next value. The upper tail, where a step matters little, is χ²'s own.
    static func tails(ofCounts x: Double, degreesOfFreedom: Int, step: Double) -> Tails {
        Tails(
            lower: tails(x + step, degreesOfFreedom: degreesOfFreedom).lower,
            upper: tails(x, degreesOfFreedom: degreesOfFreedom).upper)
    }
}

/// The number of events with a given mean.
enum PoissonDistribution {
    static func tails(_ events: Int, mean: Double) -> Tails {
        // P(X ≤ k) = Q(k + 1, mean) and P(X ≥ k) = P(k, mean).
        Tails(
            lower: Gamma.regularized(Double(events) + 1, mean).upper,
            upper: events == 0 ? 1 : Gamma.regularized(Double(events), mean).lower)
    }
}

/// The number of successes in independent trials.
enum BinomialDistribution {
    /// The probability of exactly `successes`, in Loader's form: relative error below 1e-13 where ln n! alone would
    /// lose five digits.
    static func probability(_ successes: Int, trials: Int, probability: Double) -> Double {
        let (n, k, p) = (Double(trials), Double(successes), probability)
        if p <= 0 { return successes == 0 ? 1 : 0 }
        if p >= 1 { return successes == trials ? 1 : 0 }
        if successes == 0 { return exp(n * log1p(-p)) }
        if successes == trials { return exp(n * log(p)) }
        let rest = n - k
        let exponent =
            Gamma.stirlingError(n) - Gamma.stirlingError(k) - Gamma.stirlingError(rest)
            - Gamma.deviance(k, n * p) - Gamma.deviance(rest, n * (1 - p))
        return exp(exponent) * (n / (2 * Double.pi * k * rest)).squareRoot()
    }

    /// Both tails; the smaller is summed from the observed value outwards, so it keeps its relative precision.
    static func tails(_ successes: Int, trials: Int, probability: Double) -> Tails {
        if probability >= 1 { return Tails(lower: 1, upper: 1) }
        let point = self.probability(successes, trials: trials, probability: probability)
        let odds = probability / (1 - probability)
        var term = point
        var sum = point
        var k = Double(successes)
        let n = Double(trials)
        if k >= n * probability {
            while k < n, term > sum * 1e-17 {
                term *= (n - k) / (k + 1) * odds
                sum += term
                k += 1
            }
            return Tails(lower: 1 - sum + point, upper: sum)
        }
        while k > 0, term > sum * 1e-17 {
            term *= k / ((n - k + 1) * odds)
            sum += term
            k -= 1
        }
        return Tails(lower: sum, upper: 1 - sum + point)
    }
}
