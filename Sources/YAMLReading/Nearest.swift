/// The candidate that a misspelt `text` most likely means; nil where none is near.
public func nearest(to text: String, among candidates: some Sequence<String>) -> String? {
    // A third of the letters may be wrong: more than that and the guess would be noise.
    let limit = max(2, text.count / 3)
    var best: (candidate: String, distance: Int)?
    for candidate in candidates {
        // Of equally near ones the one of the same length: 6.13 is meant as 6.12 rather than as 6.1.
        let distance = 2 * editDistance(text, candidate) + (text.count == candidate.count ? 0 : 1)
        if distance <= 2 * limit + 1, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.candidate
}

/// `; did you mean X?`, or nothing where no candidate is near.
public func suggestion(for text: String, among candidates: some Sequence<String>) -> String {
    nearest(to: text, among: candidates).map { "; did you mean \($0)?" } ?? ""
}

/// The number of insertions, deletions, replacements and swaps of neighbours between two texts.
func editDistance(_ left: String, _ right: String) -> Int {
    let (left, right) = (Array(left.lowercased()), Array(right.lowercased()))
    if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for (row, leftCharacter) in left.enumerated() {
        var current = [row + 1]
        for (column, rightCharacter) in right.enumerated() {
            var distance = min(
                last[column] + (leftCharacter == rightCharacter ? 0 : 1), last[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, leftCharacter == right[column - 1], left[row - 1] == rightCharacter {
                distance = min(distance, beforeLast[column - 1] + 1)
            }
            current.append(distance)
        }
        (beforeLast, last) = (last, current)
    }
    return last[right.count]
}
