/// A test of two attributes of the same observations.
public enum ContingencyTable {
    /// Pearson's χ² of the table of `rows` by `columns`, against the products of its own margins: uneven margins pass,
    /// dependence does not. Rows and columns which never occur are left out.
    ///
    /// - Throws: ``StatisticsError/tooFew(_:given:needed:)`` below five observations per cell.
    public static func independence(
        _ rows: [Int], of rowCells: Int, _ columns: [Int], of columnCells: Int, subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        guard rows.count == columns.count else { throw .unequalLengths(rows.count, columns.count) }
        try Samples.check(rows, cells: rowCells)
        try Samples.check(columns, cells: columnCells)
        guard rowCells >= 2, columnCells >= 2 else {
            throw .tooFew(.contingency, given: min(rowCells, columnCells), needed: 2)
        }
        var table = [Int](repeating: 0, count: rowCells * columnCells)
        var index = 0
        while index < rows.count {
            table[rows[index] * columnCells + columns[index]] += 1
            index += 1
        }
        return try independence(table: table, columns: columnCells, subject: subject)
    }

    /// The same of a table that was counted before, row after row.
    public static func independence(
        table: [Int], columns: Int, subject: String = ""
    ) throws(StatisticsError) -> TestResult {
        guard columns >= 2, table.count >= 2 * columns else {
            throw .tooFew(.contingency, given: table.count, needed: 4)
        }
        guard table.count % columns == 0 else { throw .unequalLengths(table.count, columns) }
        let rows = table.count / columns
        var rowTotals = [Int](repeating: 0, count: rows)
        var columnTotals = [Int](repeating: 0, count: columns)
        for (index, count) in table.enumerated() {
            if count < 0 { throw .negativeCount(index: index, count: count) }
            rowTotals[index / columns] += count
            columnTotals[index % columns] += count
        }
        let total = rowTotals.reduce(0, +)
        guard total >= 5 * table.count else { throw .tooFew(.contingency, given: total, needed: 5 * table.count) }
        var statistic = 0.0
        var smallest = Double(total)
        for row in 0..<rows where rowTotals[row] > 0 {
            for column in 0..<columns where columnTotals[column] > 0 {
                let expected = Double(rowTotals[row]) * Double(columnTotals[column]) / Double(total)
                let difference = Double(table[row * columns + column]) - expected
                statistic += difference * difference / expected
                smallest = min(smallest, expected)
            }
        }
        let freedom = (rowTotals.count { $0 > 0 } - 1) * (columnTotals.count { $0 > 0 } - 1)
        // One row or one column only: there is nothing to depend on.
        guard freedom > 0 else { return TestResult(.contingency, subject, statistic: 0, lower: 1, upper: 1) }
        // The smallest change that keeps the margins changes four cells by one.
        let tails = ChiSquaredDistribution.tails(
            ofCounts: statistic, degreesOfFreedom: freedom, step: 4 / smallest)
        return TestResult(.contingency, subject, statistic: statistic, lower: tails.lower, upper: tails.upper)
    }
}
