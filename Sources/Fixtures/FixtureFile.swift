import Lab
import YAMLReading

/// The YAML form of a fixture: one file, one fixture.
public enum FixtureFile {
    /// Reads the fixture that a file holds, and validates it.
    public static func read(_ path: String) throws(YAMLFileError) -> Fixture {
        try decode(YAMLFile.text(of: path), file: path)
    }

    /// Reads a fixture and validates it.
    ///
    /// - Parameter file: what errors call the text.
    public static func decode(_ text: String, file: String) throws(YAMLFileError) -> Fixture {
        try YAMLFile.decode(text, file: file, as: "fixture") { (fixture: Fixture) in
            do throws(FixtureError) {
                try fixture.validate()
                return nil
            } catch {
                return YAMLFile.Complaint(
                    error.description, at: error.step.map { ["steps", String($0 - 1)] } ?? [])
            }
        }
    }

    /// Reads the form alone, and does not ask whether the fixture makes sense.
    static func parse(_ text: String, file: String) throws(YAMLFileError) -> Fixture {
        try YAMLFile.decode(text, file: file, as: "fixture")
    }
}
