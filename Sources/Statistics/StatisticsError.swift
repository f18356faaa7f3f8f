/// Why a test could not be made of what it was given.
public enum StatisticsError: Error, Hashable, Sendable {
    /// A sample does not fit the stated number of bits.
    case sampleTooWide(index: Int, sample: UInt64, bits: Int)
    /// A width that is no width: samples have 0–64 bits, digits 1–24 and no more than the samples.
    case widthOutOfRange(width: Int, allowed: ClosedRange<Int>)
    /// Fewer samples, cells or draws than the test needs.
    case tooFew(StatisticalTest, given: Int, needed: Int)
    /// A count below zero.
    case negativeCount(index: Int, count: Int)
    /// Two sequences or tables that belong together have unlike lengths.
    case unequalLengths(Int, Int)
    /// Probabilities that are negative, not finite, or do not sum to 1.
    case notProbabilities
    /// A number outside 0…1 where a uniform or a p-value belongs.
    case notAUniform(index: Int, value: Double)
    /// A digit that is none of the stated cells.
    case digitOutOfRange(index: Int, digit: Int, cells: Int)
    /// A lag that is not 1 or more.
    case lagOutOfRange(Int)
}

extension StatisticsError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .sampleTooWide(let index, let sample, let bits):
            "sample \(index) is \(sample), which does not fit \(bits) bits: state the true width, or mask the sample"
        case .widthOutOfRange(let width, let allowed):
            "a width of \(width) bits is outside \(allowed.lowerBound)–\(allowed.upperBound)"
        case .tooFew(let test, let given, let needed):
            "\(test) needs at least \(needed) values, not \(given): draw more, or leave the test out"
        case .negativeCount(let index, let count):
            "count \(index) is \(count): counts are 0 or more"
        case .unequalLengths(let first, let second):
            "lengths \(first) and \(second) should be equal: give one value of each per observation"
        case .notProbabilities:
            "the expected probabilities must be 0 or more and sum to 1"
        case .notAUniform(let index, let value):
            "value \(index) is \(value): uniforms and p-values lie in 0–1"
        case .digitOutOfRange(let index, let digit, let cells):
            "digit \(index) is \(digit), which is none of \(cells) cells numbered from 0"
        case .lagOutOfRange(let lag):
            "a lag of \(lag) is none: give 1 or more"
        }
    }
}
