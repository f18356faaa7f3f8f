#!/usr/bin/env python3
"""Prints Oracle.swift: p-values from other people's code, and by other methods, for the tests of Statistics.

    pip install scipy==1.17.1 numpy==2.4.6 mpmath==1.4.1
    ./make-oracle.py > Oracle.swift

SciPy is the oracle wherever it has the distribution. mpmath (50 digits) and exact fractions stand in where it has
none (Anderson-Darling, coupons, collisions, runs), by a method other than the one that Statistics uses, and check
SciPy in the tails: a value on which the two differ by more than 1e-9 stops the script, unless mpmath is named as the
source.
"""
import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import scipy
from scipy import stats

mp.mp.dps = 50


def agree(name, ours, theirs, tolerance=1e-9):
    if theirs > 1e-290 and abs(float(ours) / float(theirs) - 1) > tolerance:
        raise SystemExit(f"{name}: SciPy {ours!r}, mpmath {theirs!r}")
    return float(ours)


def table(name, comment, rows):
    print(f"\n    /// {comment}")
    print(f"    static let {name}: [[Double]] = [")
    for row in rows:
        print("        [" + ", ".join(repr(float(value)) for value in row) + "],")
    print("    ]")


class SplitMix64:
    """The generator of the tests (G. Steele, D. Lea, C. Flood 2014)."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def words(self, count, bits):
        return [self.next() >> (64 - bits) for _ in range(count)]


def chi_squared():
    rows = []
    for df in (1, 2, 3, 15, 255, 4095, 65535):
        for sf in (1 - 1e-15, 1 - 1e-9, 1 - 1e-3, 0.5, 1e-3, 1e-9, 1e-15, 1e-60):
            cdf = {1 - 1e-15: 1e-15, 1 - 1e-9: 1e-9, 1 - 1e-3: 1e-3}.get(sf)
            x = float(stats.chi2.ppf(cdf, df) if cdf else stats.chi2.isf(sf, df))
            if x < 1e-20:
                continue
            a, z = mp.mpf(df) / 2, mp.mpf(x) / 2
            upper = mp.gammainc(a, z, mp.inf, regularized=True)
            lower = 1 - upper
            rows.append((x, df, agree("chi2.cdf", stats.chi2.cdf(x, df), lower),
                         agree("chi2.sf", stats.chi2.sf(x, df), upper)))
    return rows


def poisson():
    rows = []
    for mean, k in ((0.01, 0), (0.01, 3), (4, 0), (4, 4), (4, 20), (16, 0), (16, 2), (16, 16), (16, 50), (64, 10),
                    (64, 64), (64, 140), (1000, 700), (1000, 1300)):
        upper = mp.gammainc(k, 0, mean, regularized=True) if k > 0 else mp.mpf(1)
        lower = mp.gammainc(k + 1, mean, mp.inf, regularized=True)
        rows.append((k, mean, agree("poisson.cdf", stats.poisson.cdf(k, mean), lower),
                     agree("poisson.sf", stats.poisson.sf(k - 1, mean), upper)))
    return rows


def binomial():
    rows = []
    for n, p, ks in ((1, 0.5, (0, 1)), (10, 0.5, (0, 1, 5, 10)), (1000, 0.5, (350, 400, 500, 501, 650)),
                     (16384, 0.5, (7600, 8000, 8192, 8500, 8800)), (16384, 1 / 256, (5, 30, 64, 100, 160)),
                     (1_000_000, 0.5, (496_000, 500_000, 504_000))):
        for k in ks:
            total, success = mp.mpf(0), mp.mpf(p)
            # The shorter side, term by term.
            low = k <= n * p
            term = mp.binomial(n, k) * success**k * (1 - success) ** (n - k)
            point, j = term, k
            while term > total * mp.mpf(10) ** -40 and 0 <= j <= n:
                total += term
                term *= mp.mpf(j) / (n - j + 1) * (1 - success) / success if low else \
                    mp.mpf(n - j) / (j + 1) * success / (1 - success)
                j += -1 if low else 1
            lower, upper = (total, 1 - total + point) if low else (1 - total + point, total)
            rows.append((k, n, p, agree("binom.cdf", stats.binom.cdf(k, n, p), lower),
                         agree("binom.sf", stats.binom.sf(k - 1, n, p), upper)))
    return rows


def durbin(n, d):
    """P(D < d) in exact fractions, d a fraction (J. Durbin 1973)."""
    k = -((-n * d.numerator) // d.denominator)
    size, h = 2 * k - 1, k - n * d
    matrix = [[Fraction(0)] * size for _ in range(size)]
    for i in range(size):
        for j in range(min(size, i + 2)):
            value = Fraction(1)
            if j == 0:
                value -= h ** (i + 1)
            if i == size - 1:
                value -= h ** (size - j)
            if j == 0 and i == size - 1:
                value += max(Fraction(0), 2 * h - 1) ** size
            matrix[i][j] = value / math.factorial(i - j + 1)
    row = [Fraction(int(j == k - 1)) for j in range(size)]
    for _ in range(n):
        row = [sum(row[i] * matrix[i][j] for i in range(size) if row[i]) for j in range(size)]
    return row[k - 1] * math.factorial(n) / Fraction(n) ** n


def kolmogorov():
    rows = []
    # Small n: exact.
    for n, ds in ((1, ("0.6", "0.75", "0.99")), (2, ("0.3", "0.5", "0.9")), (5, ("0.12", "0.3", "0.6", "0.9")),
                  (10, ("0.06", "0.1", "0.25", "0.5", "0.8")), (20, ("0.03", "0.1", "0.2", "0.4", "0.7"))):
        for d in ds:
            lower = durbin(n, Fraction(d))
            rows.append((float(d), n, float(lower), float(1 - lower)))
    # SciPy agrees with them.
    for d, n, lower, upper in rows:
        agree("kstwo.cdf", stats.kstwo.cdf(d, n), lower)
        agree("kstwo.sf", stats.kstwo.sf(d, n), upper)
    for n in (100, 128, 200, 1000, 16384):
        for z in (0.25, 0.35, 0.5, 0.8, 1.2, 1.6, 1.95, 2.1, 3.3, 4.3, 6):
            d = z / math.sqrt(n)
            if d >= 1:
                continue
            # SciPy is exact in the upper tail; in the middle of large n it takes an expansion, which Durbin's matrix
            # in doubles replaces here.
            lower, upper = stats.kstwo.cdf(d, n), stats.kstwo.sf(d, n)
            if n * d * d < 4:
                exact = durbin_in_doubles(n, d)
                agree("kstwo.cdf", lower, exact, 2e-5)
                lower, upper = exact, 1 - exact
            else:
                lower = 1 - upper
            rows.append((d, n, lower, upper))
    return rows


def durbin_in_doubles(n, d):
    """The same as durbin, one row vector times the matrix n times."""
    k = math.ceil(n * d)
    size, h = 2 * k - 1, k - n * d
    inverse = [1.0]
    for i in range(1, size + 2):
        inverse.append(inverse[-1] / i)
    matrix = np.zeros((size, size))
    for i in range(size):
        for j in range(min(size, i + 2)):
            value = 1.0 - (h ** (i + 1) if j == 0 else 0) - (h ** (size - j) if i == size - 1 else 0)
            if j == 0 and i == size - 1:
                value += max(0.0, 2 * h - 1) ** size
            matrix[i, j] = value * inverse[i - j + 1]
    row = np.zeros(size)
    row[k - 1] = 1
    # n! / n^n, a factor i / n at each step; doubles do not underflow then.
    scale = 0
    for i in range(1, n + 1):
        row = (row @ matrix) * (i / n)
        mantissa, exponent = math.frexp(row.max())
        row = np.ldexp(row, -exponent)
        scale += exponent
    return math.ldexp(row[k - 1], scale)


def anderson_darling():
    rows = []
    for z in ("0.03", "0.06", "0.1", "0.2", "0.3", "0.5", "0.9", "1", "1.2", "2", "3", "6", "12", "20", "35"):
        z = mp.mpf(z)

        # The distribution function of the limit by Anderson and Darling's series, at 50 digits.
        def term(j):
            odd = 4 * j + 1
            decay = odd**2 * mp.pi**2 / (8 * z)
            points = [0, 1, 2, 4, 8, 16] if decay < 1 else [0, 0.25, 0.5, 1, 2, 4]
            integral = mp.quad(lambda w: mp.exp(z / (8 * (w * w + 1)) - decay * (w * w + 1)), points + [mp.inf])
            return mp.binomial(mp.mpf(-1) / 2, j) * odd * integral

        lower = mp.sqrt(2 * mp.pi) / z * mp.nsum(term, [0, 60], method="direct")
        rows.append((z, lower, 1 - lower))
    return rows


def coupons():
    rows = []
    for cells, draws in ((2, 2), (2, 10), (6, 6), (6, 15), (6, 60), (64, 100), (64, 304), (64, 800), (256, 700),
                         (256, 1568), (256, 6725)):
        def not_all(t):  # P(some cell is empty after t), by inclusion and exclusion
            mp.mp.dps = 200
            total = mp.mpf(0)
            for j in range(1, cells + 1):
                total += (-1) ** (j + 1) * mp.binomial(cells, j) * (1 - mp.mpf(j) / cells) ** t
            return total

        rows.append((draws, cells, 1 - not_all(draws), not_all(draws - 1)))
        mp.mp.dps = 50
    return rows


def collisions():
    rows = []
    for balls, cells, observed in ((10, 365, (0, 1, 4)), (100, 1024, (0, 1, 4, 5, 20)), (300, 4096, (0, 2, 10, 11, 40))):
        # Surjections: S(n, k) k! ways onto k given cells.
        stirling = [1]
        for n in range(1, balls + 1):
            row = [0] * (n + 1)
            for k in range(1, n + 1):
                row[k] = (k * stirling[k] if k < n else 0) + stirling[k - 1]
            stirling = row
        mass = {}
        falling = 1
        for occupied in range(1, balls + 1):
            falling *= cells - occupied + 1
            mass[balls - occupied] = Fraction(stirling[occupied] * falling, cells**balls)
        for c in observed:
            lower = sum((p for k, p in mass.items() if k <= c), Fraction(0))
            upper = sum((p for k, p in mass.items() if k >= c), Fraction(0))
            rows.append((c, balls, cells, float(lower), float(upper)))
    return rows


def runs():
    rows = []
    for above, below, observed in ((5, 5, (2, 6, 10)), (10, 20, (2, 3, 14, 15, 21)), (500, 500, (2, 400, 501, 502, 640)),
                                   (1000, 1010, (800, 1006, 1250))):
        total = math.comb(above + below, above)

        def mass(r):
            k = r // 2
            if r % 2 == 0:
                return 2 * math.comb(above - 1, k - 1) * math.comb(below - 1, k - 1)
            return (math.comb(above - 1, k) * math.comb(below - 1, k - 1)
                    + math.comb(above - 1, k - 1) * math.comb(below - 1, k))

        for r in observed:
            lower = Fraction(sum(mass(i) for i in range(2, r + 1)), total)
            upper = Fraction(sum(mass(i) for i in range(r, above + below + 1)), total)
            rows.append((r, above, below, float(lower), float(upper)))
    return rows


def whole_tests():
    """Statistics and p-values of whole tests on words of SplitMix64: seed, number of words, bits first."""
    generator = SplitMix64(1)
    words = generator.words(4096, 6)
    counts = np.bincount(words, minlength=64)
    n = len(words)
    expected = n / 64

    chi = stats.chisquare(counts)
    g, _ = stats.power_divergence(counts, lambda_="log-likelihood")
    g /= 1 + (64 * 64 - 1) / (6 * n * 63)
    weights = np.arange(301, 365) / sum(range(301, 365))
    weighted = stats.chisquare(counts, weights * n)

    cross = np.zeros((8, 8))
    for word in words:
        cross[word >> 3, word & 7] += 1
    contingency = stats.chi2_contingency(cross, correction=False)

    pairs = np.zeros(64)
    low = [word & 7 for word in words]
    for block in range(0, n, 4):
        for i in (block, block + 1):
            pairs[low[i] * 8 + low[i + 2]] += 1
    serial = stats.chisquare(pairs)

    uniforms = np.array([(word >> 12) * 2.0**-52 + 2.0**-53 for word in SplitMix64(2).words(1000, 64)])
    ks = stats.kstest(uniforms, "uniform", method="exact")
    ordered = np.sort(uniforms)
    i = np.arange(1, 1001)
    a2 = -1000 - np.mean((2 * i - 1) * (np.log(ordered) + np.log1p(-ordered[::-1])))

    gaps, last = [], None
    for index, value in enumerate(low):
        if value == 0:
            if last is not None:
                gaps.append(index - last - 1)
            last = index
    tails = [1.0]
    while tails[-1] * 7 / 8 * len(gaps) >= 10:
        tails.append(tails[-1] * 7 / 8)
    cells = np.bincount(np.minimum(gaps, len(tails) - 1), minlength=len(tails))
    gap = stats.chisquare(cells, np.append(-np.diff(tails), tails[-1]) * len(gaps))

    lengths, start = [], 0
    while start < n:
        end = start + 1
        while end < n and words[end] > words[end - 1]:
            end += 1
        if end < n:
            lengths.append(end - start)
        start = end + 1
    tails = [math.comb(64, r) / 64**r for r in range(1, 20)]
    tails = [t for t in tails if t * len(lengths) >= 10]
    cells = np.bincount(np.minimum(lengths, len(tails)), minlength=len(tails) + 1)[1:]
    ascending = stats.chisquare(cells, np.append(-np.diff(tails), tails[-1]) * len(lengths))

    return {
        "chiSquared": (chi.statistic, chi.pvalue), "likelihoodRatio": (g, stats.chi2.sf(g, 63)),
        "weighted": (weighted.statistic, weighted.pvalue),
        "contingency": (contingency.statistic, contingency.pvalue),
        "serial": (serial.statistic, serial.pvalue),
        "kolmogorovSmirnov": (ks.statistic, ks.pvalue), "andersonDarling": (a2, float("nan")),
        "gaps": (gap.statistic, gap.pvalue), "ascendingRuns": (ascending.statistic, ascending.pvalue),
        "maximumLoad": (counts.max(), min(1, 64 * stats.binom.sf(counts.max() - 1, n, 1 / 64))),
        "minimumLoad": (counts.min(), stats.binom.sf(counts.min() - 1, n, 1 / 64) ** 64),
    }


print("// swift-format-ignore-file")
print("// Made by make-oracle.py, which see; do not edit.")
print(f"// SciPy {scipy.__version__}, NumPy {np.__version__}, mpmath {mp.__version__}.")
print("\n/// Values that Statistics must reproduce.")
print("enum Oracle {")
print(f'    static let scipyVersion = "{scipy.__version__}"')
table("chiSquared", "statistic, degrees of freedom, lower, upper tail (SciPy)", chi_squared())
table("poisson", "events, mean, lower, upper tail (SciPy)", poisson())
table("binomial", "successes, trials, probability, lower, upper tail (SciPy)", binomial())
table("kolmogorov", "distance, count, lower, upper tail (exact for count ≤ 20; else SciPy in the tail, and Durbin's matrix)", kolmogorov())
table("andersonDarling", "A², lower, upper tail of the limit (mpmath)", anderson_darling())
table("coupons", "draws, cells, lower, upper tail (mpmath, inclusion and exclusion)", coupons())
table("collisions", "collisions, balls, cells, lower, upper tail (exact, Stirling numbers)", collisions())
table("runs", "runs, above, below, lower, upper tail (exact)", runs())
print("\n    /// The statistic and the upper tail of whole tests of known words (SciPy).")
print("    static let wholeTests: [String: (statistic: Double, upper: Double)] = [")
for name, (statistic, upper) in whole_tests().items():
    upper = ".nan" if math.isnan(upper) else repr(float(upper))
    print(f'        "{name}": ({float(statistic)!r}, {upper}),')
print("    ]")
print("}")
