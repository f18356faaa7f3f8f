/// The tests of this module. Each asks one question of a sequence of host parts.
public enum StatisticalTest: String, CaseIterable, Hashable, Sendable {
    /// Is every value drawn equally often (Pearson's statistic)?
    case chiSquared = "chi-squared"
    /// Is every value drawn equally often (likelihood ratio)?
    case likelihoodRatio = "G"
    /// Is the busiest value as busy as chance makes it?
    case maximumLoad = "max-load"
    /// Is the least used value as idle as chance makes it?
    case minimumLoad = "min-load"
    /// Does each bit fall on both sides equally often?
    case monobit = "monobit"
    /// Is the parity of each two bits of a word balanced?
    case bitPairs = "bit-pairs"
    /// Do the values, as fractions of their range, follow the uniform distribution (largest distance)?
    case kolmogorovSmirnov = "KS"
    /// Do the values, as fractions of their range, follow the uniform distribution (weight on the ends)?
    case andersonDarling = "AD"
    /// Do words repeat as often as chance makes them?
    case collisions = "collisions"
    /// Do distances between sorted words repeat as often as chance makes them?
    case birthdaySpacings = "birthdays"
    /// How long does it take to see every value?
    case couponCollector = "coupons"
    /// Is each bit independent of the same bit some draws earlier?
    case bitLags = "bit-lags"
    /// Is each value independent of a value some draws earlier?
    case serial = "serial"
    /// Are there as many runs above and below the middle as chance makes?
    case runs = "runs"
    /// Are ascending runs as long as chance makes them?
    case ascendingRuns = "ascending"
    /// Is the wait between two visits to a value geometric?
    case gaps = "gaps"
    /// Are two attributes of the same observation independent?
    case contingency = "table"
    /// Are the bits of two words of the same observation independent?
    case crossBits = "cross-bits"
    /// Are the p-values of many small tests uniform?
    case twoLevel = "two-level"
}

extension StatisticalTest: CustomStringConvertible {
    public var description: String { rawValue }
}
