/// The number of runs in a random order of marks of two kinds (Wald & Wolfowitz 1940), exact and given how many
/// there are of each.
enum RunsDistribution {
    static func tails(_ runs: Int, above: Int, below: Int) -> Tails {
        guard above > 0, below > 0 else { return Tails(lower: 1, upper: 1) }
        let most = above == below ? 2 * above : 2 * min(above, below) + 1
        let point = probability(runs, above: above, below: below)
        let n = Double(above + below)
        let mean = 1 + 2 * Double(above) * Double(below) / n
        let outwards = Double(runs) >= mean ? 1 : -1
        var sum = point
        var r = runs + outwards
        while r >= 2, r <= most {
            let term = probability(r, above: above, below: below)
            sum += term
            if term <= sum * 1e-17 { break }
            r += outwards
        }
        return outwards > 0
            ? Tails(lower: 1 - sum + point, upper: sum) : Tails(lower: sum, upper: 1 - sum + point)
    }

    /// C(a, k) C(b, j) / C(n, above), written with binomial probabilities, whose logarithms are never large.
    private static func probability(_ runs: Int, above: Int, below: Int) -> Double {
        let half = runs / 2
        if runs % 2 == 0 { return 2 * ways(half - 1, half - 1, above: above, below: below) }
        return ways(half, half - 1, above: above, below: below) + ways(half - 1, half, above: above, below: below)
    }

    private static func ways(_ k: Int, _ j: Int, above: Int, below: Int) -> Double {
        guard k >= 0, j >= 0, k < above, j < below else { return 0 }
        let n = Double(above + below)
        let (p, q) = (Double(above) / n, Double(below) / n)
        // q to the power 1 + j − k and p to the power 1 − j + k, where j − k is −1, 0 or 1.
        let rest = j > k ? q * q : j < k ? p * p : p * q
        return BinomialDistribution.probability(k, trials: above - 1, probability: q)
            * BinomialDistribution.probability(j, trials: below - 1, probability: p) * rest
            / BinomialDistribution.probability(above, trials: above + below, probability: p)
    }
}
