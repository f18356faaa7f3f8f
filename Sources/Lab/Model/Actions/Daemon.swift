/// A program that runs beside the steps, on sockets of the fixture, until the fixture ends.
public struct Daemon: Hashable, Sendable, Codable {
    public var name: String
    public var namespace: String
    /// A shell line that becomes the program. `$CONFIGURATION` is the path of a file with ``configuration``.
    public var run: String
    public var configuration: String
    /// Handed over as systemd does (sd_listen_fds(3)), and the lab's own no more.
    public var sockets: [String]

    public init(
        _ name: String, in namespace: String, run: String, configuration: String = "", sockets: [String] = []
    ) {
        self.name = name
        self.namespace = namespace
        self.run = run
        self.configuration = configuration
        self.sockets = sockets
    }
}

extension Daemon {
    var summary: String { "start \(name) in \(namespace): \(run)" }
}
