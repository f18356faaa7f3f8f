import Lab

/// How to say on the command line what a result came from.
public struct Repetition: Hashable, Sendable {
    /// The files of fixtures that are not built in, by fixture id.
    public var files: [String: String]
    /// The options that name a kernel, by its name, where `--kernel NAME` does not.
    public var kernelOptions: [String: [String]]

    public init(files: [String: String] = [:], kernelOptions: [String: [String]] = [:]) {
        self.files = files
        self.kernelOptions = kernelOptions
    }

    /// The command that repeats `result`, and nothing else.
    public func command(for result: FixtureResult) -> String {
        let kernel = kernelOptions[result.kernel] ?? ["--kernel", result.kernel]
        let sabotage = result.sabotage == nil ? [] : ["--sabotage"]
        let words = ["lab", "run", files[result.id] ?? result.id] + kernel + sabotage
        return words.map(Repetition.quoted).joined(separator: " ")
    }

    /// `word` as sh(1) reads it back.
    private static func quoted(_ word: String) -> String {
        let isPlain =
            !word.isEmpty
            && word.unicodeScalars.allSatisfy {
                $0.properties.isAlphabetic || $0.properties.numericType != nil
                    || "-_./:=+@%".unicodeScalars.contains($0)
            }
        if isPlain { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
