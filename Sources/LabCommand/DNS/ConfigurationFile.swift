import ArgumentParser
import PolicyDNS
import YAMLReading

/// A policy DNS configuration in a file: read anew for every reload.
struct ConfigurationFile {
    let path: String

    /// Reads and checks the file.
    ///
    /// - Parameters:
    ///   - before: the service that this one replaces, whose secret goes on: else clients' cookies become invalid.
    ///   - adjust: makes changes that the command line asks for.
    /// - Throws: ``YAMLFileError`` with file, line and column.
    func service(
        after before: Service? = nil, adjust: (inout Configuration) -> Void = { _ in }
    ) throws(YAMLFileError) -> Service {
        var service: Service?
        let _: Configuration = try YAMLFile.decode(
            YAMLFile.text(of: path), file: path, as: "configuration",
            check: { configuration in
                var configuration = configuration
                adjust(&configuration)
                do throws(ConfigurationError) {
                    service = try Service(configuration, secret: before?.secret ?? .random())
                    return nil
                } catch {
                    return ConfigurationFile.complaint(error)
                }
            })
        guard let service else { preconditionFailure("a configuration was decoded and not checked") }
        return service
    }

    private static func complaint(_ error: ConfigurationError) -> YAMLFile.Complaint {
        guard case .undefined(let kind, let name, let candidates) = error.problem,
            let nearest = nearest(to: name, among: candidates)
        else { return YAMLFile.Complaint("\(error.problem)", at: error.path) }
        return YAMLFile.Complaint("there is no \(kind) '\(name)'; did you mean '\(nearest)'?", at: error.path)
    }
}

/// The option that names a configuration.
struct ConfigurationOption: ParsableArguments {
    @Option(name: .customLong("config"), help: "The configuration: zones, pools and policies, as YAML.")
    var path: String

    var file: ConfigurationFile { ConfigurationFile(path: path) }
}
