import Glibc

/// The distribution of D, the largest distance between the distribution of n uniforms and the diagonal, either side.
enum KolmogorovDistribution {
    /// Both tails of D = `distance` for `count` uniforms.
    ///
    /// | where | method | relative error of the smaller tail |
    /// |---|---|---|
    /// | n D² ≥ 4 | twice Smirnov's one-sided tail, which is exact (Birnbaum & Tingey 1951) | < 1e-10 |
    /// | n D < 12 or n ≤ 200, and n D² < 4 | Durbin's matrix (Marsaglia, Tsang & Wang 2003) | < 1e-9 |
    /// | n D² ≥ 2.2 otherwise | twice Smirnov's tail; both sides at once are less likely by e^(-6 n D²) | < 1e-5 |
    /// | the middle of n > 200 | expansion in 1/√n to the third order (Pelz & Good 1976) | < 1e-4 |
    static func tails(_ distance: Double, count: Int) -> Tails {
        let n = Double(count)
        let scaled = n * distance
        if scaled <= 0.5 { return Tails(lower: 0, upper: 1) }
        if distance >= 1 { return Tails(lower: 1, upper: 0) }
        let matrixFits = scaled < 12 || count <= 200
        if scaled * distance >= (matrixFits ? 4 : 2.2) {
            let upper = min(1, 2 * oneSidedTail(distance, count: count))
            return Tails(lower: 1 - upper, upper: upper)
        }
        let lower =
            matrixFits
            ? durbin(distance, count: count) : pelzGood(n.squareRoot() * distance, root: n.squareRoot())
        return Tails(lower: lower, upper: 1 - lower)
    }

    /// P(D⁺ ≥ d): each term is d / q times the probability of j successes of n with q = d + j / n.
    private static func oneSidedTail(_ distance: Double, count: Int) -> Double {
        let n = Double(count)
        var sum = 0.0
        var j = 0
        while Double(j) <= n * (1 - distance), j < count {
            let q = distance + Double(j) / n
            sum += distance / q * BinomialDistribution.probability(j, trials: count, probability: q)
            j += 1
        }
        return sum
    }

    /// P(D < d) as an element of the n-th power of a matrix of 2⌈nd⌉ − 1 rows.
    private static func durbin(_ distance: Double, count: Int) -> Double {
        let n = Double(count)
        let k = Int((n * distance).rounded(.up))
        let size = 2 * k - 1
        let h = Double(k) - n * distance
        var inverseFactorial = [1.0]
        for i in 1...size + 1 { inverseFactorial.append(inverseFactorial[i - 1] / Double(i)) }
        var matrix = SquareMatrix(size: size)
        for row in 0..<size {
            for column in 0..<min(size, row + 2) {
                var element = 1.0
                if column == 0 { element -= pow(h, Double(row + 1)) }
                if row == size - 1 { element -= pow(h, Double(size - column)) }
                if column == 0, row == size - 1, h > 0.5 { element += pow(2 * h - 1, Double(size)) }
                matrix[row, column] = element * inverseFactorial[row - column + 1]
            }
        }
        let power = matrix.power(count)
        // n! / nⁿ = √(2πn) e^(-n + δ(n))
        let factor = (2 * Double.pi * n).squareRoot()
        let exponent = Gamma.stirlingError(n) - n + Double(power.exponent) * log(2)
        return min(1, factor * exp(exponent + log(power.matrix[k - 1, k - 1])))
    }

    /// P(D√n < z) to the order of n^(-3/2).
    private static func pelzGood(_ z: Double, root: Double) -> Double {
        let z2 = z * z
        let z4 = z2 * z2
        let z6 = z4 * z2
        let square = Double.pi * Double.pi
        var (k0, k1, k2, k3) = (0.0, 0.0, 0.0, 0.0)
        var (k2Whole, k3Whole) = (0.0, 0.0)
        for k in 0..<40 {
            // Sums over all whole k are twice those over k ≥ 0 (halves) and k ≥ 1 (wholes).
            let half = square * (Double(k) + 0.5) * (Double(k) + 0.5)
            let e = 2 * exp(-half / (2 * z2))
            k0 += e
            k1 += (half - z2) * e
            k2 += (6 * z6 + 2 * z4 + half * (2 * z4 - 5 * z2) + half * half * (1 - 2 * z2)) * e
            let third = half * half * half * (5 - 30 * z2) + half * half * (212 * z4 - 60 * z2)
            k3 += (third + half * (135 * z4 - 96 * z6) - 30 * z6 - 90 * z6 * z2) * e
            let whole = square * Double(k * k)
            let w = 2 * exp(-whole / (2 * z2))
            k2Whole += whole * w
            k3Whole += (3 * whole * z2 - whole * whole) * w
            if e < 1e-300 { break }
        }
        let front = (Double.pi / 2).squareRoot()
        let first = k0 / z
        let second = k1 / (6 * z4)
        let third = k2 / (72 * z6 * z) - k2Whole / (36 * z2 * z)
        let fourth = k3 / (6480 * z6 * z4) + k3Whole / (108 * z6)
        let sum = first + (second + (third + fourth / root) / root) / root
        return min(1, max(0, front * sum))
    }
}

/// A matrix of doubles, with powers that carry their scale apart.
private struct SquareMatrix {
    let size: Int
    private var elements: [Double]

    init(size: Int) {
        self.size = size
        elements = [Double](repeating: 0, count: size * size)
    }

    subscript(row: Int, column: Int) -> Double {
        get { elements[row * size + column] }
        set { elements[row * size + column] = newValue }
    }

    /// The `exponent`-th power, as a matrix times 2^exponent.
    func power(_ exponent: Int) -> (matrix: SquareMatrix, exponent: Int) {
        var result = self
        var scale = 0
        // From the highest bit down: square, and multiply where the bit is set.
        var bit = Int.bitWidth - exponent.leadingZeroBitCount - 2
        while bit >= 0 {
            result = result.times(result)
            scale *= 2
            if exponent >> bit & 1 == 1 { result = result.times(self) }
            let middle = result[size / 2, size / 2]
            if middle > 0 {
                let shift = Int(middle.exponent)
                let factor = scalbn(1.0, -shift)
                for index in result.elements.indices { result.elements[index] *= factor }
                scale += shift
            }
            bit -= 1
        }
        return (result, scale)
    }

    private func times(_ other: SquareMatrix) -> SquareMatrix {
        var product = SquareMatrix(size: size)
        var row = 0
        while row < size {
            var inner = 0
            while inner < size {
                let factor = elements[row * size + inner]
                if factor != 0 {
                    var column = 0
                    while column < size {
                        product.elements[row * size + column] += factor * other.elements[inner * size + column]
                        column += 1
                    }
                }
                inner += 1
            }
            row += 1
        }
        return product
    }
}
