import Glibc

/// The regularised incomplete gamma function, and the parts from which discrete probabilities are built.
enum Gamma {
    /// ln Γ(n + 1) less Stirling's (n + ½) ln n − n + ½ ln 2π, for n > 0.
    static func stirlingError(_ n: Double) -> Double {
        if n < 16 {
            let (logGamma, _) = lgamma(n + 1)
            return logGamma - ((n + 0.5) * log(n) - n + 0.918_938_533_204_672_74)
        }
        // The next term of the series is below 2e-16 here.
        let square = 1 / (n * n)
        return (1 / 12.0 - (1 / 360.0 - (1 / 1260.0 - (1 / 1680.0 - square / 1188) * square) * square) * square) / n
    }

    /// x ln(x / mean) + mean − x, the exponent of a Poisson probability, without the cancellation of its terms when
    /// x is near the mean. Both above 0.
    ///
    /// The series in (x − mean) / (x + mean) is from C. Loader, Fast and Accurate Computation of Binomial
    /// Probabilities, 2000.
    static func deviance(_ x: Double, _ mean: Double) -> Double {
        let difference = x - mean
        guard abs(difference) < 0.1 * (x + mean) else { return x * log(x / mean) - difference }
        let ratio = difference / (x + mean)
        var sum = difference * ratio
        var power = 2 * x * ratio
        var odd = 3.0
        while true {
            power *= ratio * ratio
            let next = sum + power / odd
            if next == sum { return sum }
            sum = next
            odd += 2
        }
    }

    /// The lower and upper regularised incomplete gamma functions P(a, x) and Q(a, x), a > 0.
    ///
    /// The smaller of the two has a relative error below 1e-11 down to 1e-60 and more (measured against SciPy
    /// and mpmath for a from 0.5 to 33,000).
    static func regularized(_ a: Double, _ x: Double) -> (lower: Double, upper: Double) {
        guard x > 0 else { return (0, 1) }
        guard x < .infinity else { return (1, 0) }
        // x^a e^-x / Γ(a + 1)
        let front = exp(-deviance(a, x) - stirlingError(a)) / (2 * Double.pi * a).squareRoot()
        if x < a + 1 {
            var term = 1.0
            var sum = 1.0
            var step = a
            repeat {
                step += 1
                term *= x / step
                sum += term
            } while term > sum * 1e-17
            let lower = min(1, front * sum)
            return (lower, 1 - lower)
        }
        // Legendre's continued fraction, evaluated from the front (Lentz).
        var b = x + 1 - a
        var c = Double.infinity
        var d = 1 / b
        var fraction = d
        var i = 1.0
        while true {
            let numerator = -i * (i - a)
            b += 2
            d = 1 / (b + numerator * d)
            c = b + numerator / c
            let factor = c * d
            fraction *= factor
            if abs(factor - 1) < 1e-16 || i > 1_000_000 { break }
            i += 1
        }
        let upper = min(1, front * a * fraction)
        return (1 - upper, upper)
    }
}
