/// Samples turned on their side: one bit string per bit of the word, 64 samples to a word, so that bits of all
/// samples are compared 64 at a time.
struct BitColumns {
    /// Column b holds bit b of sample i in bit i % 64 of word i / 64; bits past the last sample are 0.
    let columns: [[UInt64]]
    let count: Int

    init(_ samples: Samples) {
        let blocks = (samples.count + 63) / 64
        var columns = [[UInt64]](repeating: [UInt64](repeating: 0, count: blocks), count: samples.bits)
        var block = [UInt64](repeating: 0, count: 64)
        for number in 0..<blocks {
            var row = 0
            while row < 64 {
                let index = number * 64 + row
                block[row] = index < samples.count ? samples.words[index] : 0
                row += 1
            }
            BitColumns.transpose(&block)
            var bit = 0
            while bit < samples.bits {
                columns[bit][number] = block[bit]
                bit += 1
            }
        }
        self.columns = columns
        self.count = samples.count
    }

    /// Exchanges bit j of word i with bit i of word j, by halves: 32×32 quarters, then 16×16, … 1×1.
    private static func transpose(_ block: inout [UInt64]) {
        var half = 32
        var mask: UInt64 = 0x0000_0000_FFFF_FFFF
        while half > 0 {
            var row = 0
            while row < 64 {
                let exchanged = ((block[row] >> UInt64(half)) ^ block[row + half]) & mask
                block[row] ^= exchanged << UInt64(half)
                block[row + half] ^= exchanged
                row += 1
                if row & half != 0 { row += half }
            }
            half /= 2
            mask ^= mask << UInt64(half)
        }
    }

    func ones(_ bit: Int) -> Int {
        let column = columns[bit]
        var ones = 0
        var word = 0
        while word < column.count {
            ones += column[word].nonzeroBitCount
            word += 1
        }
        return ones
    }

    /// In how many samples the two bits differ.
    static func differences(_ first: [UInt64], _ second: [UInt64]) -> Int {
        var differences = 0
        var word = 0
        while word < first.count {
            differences += (first[word] ^ second[word]).nonzeroBitCount
            word += 1
        }
        return differences
    }

    /// In how many of the `count − lag` pairs (i, i + lag) bit i of `first` differs from bit i + lag of `second`.
    static func differences(_ first: [UInt64], _ second: [UInt64], lag: Int, count: Int) -> Int {
        let pairs = count - lag
        let words = lag / 64
        let shift = UInt64(lag % 64)
        var differences = 0
        var word = 0
        while word * 64 < pairs {
            var later = second[word + words] >> shift
            if shift > 0, word + words + 1 < second.count { later |= second[word + words + 1] << (64 - shift) }
            var differing = first[word] ^ later
            let left = pairs - word * 64
            if left < 64 { differing &= (UInt64(1) << UInt64(left)) - 1 }
            differences += differing.nonzeroBitCount
            word += 1
        }
        return differences
    }
}
