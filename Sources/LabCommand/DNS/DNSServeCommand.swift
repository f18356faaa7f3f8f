import Addressing
import ArgumentParser
import Foundation
import Logging
import PolicyDNS
import Synchronization
import YAMLReading

struct DNSServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Answer queries from a configuration.",
        discussion: """
            It opens the listeners that the configuration names, and serves sockets that a service manager hands \
            over (LISTEN_FDS; a socket's name is its label) or that --socket names. With `user` in the configuration \
            it gives its privileges up before it reads the first query.

            SIGHUP reads the configuration again: a good one takes effect without losing a query, a bad one is \
            refused, and the old one stays. SIGTERM and SIGINT end it when what has come is answered.
            """)

    @OptionGroup var configuration: ConfigurationOption

    @Option(help: "Serve this descriptor, too: FD, or FD:LABEL. May be repeated.")
    var socket: [HandedOver] = []

    @Option(help: "The number of threads, whatever the configuration says.")
    var workers: Int?

    @Option(help: "How long to finish what has come when told to end, in milliseconds.")
    var drain = 5000

    @Option(help: "What is logged: trace, debug, info, notice, warning, error or critical, and what is worse.")
    var logLevel = Logger.Level.info

    /// A descriptor that this process was started with.
    struct HandedOver: ExpressibleByArgument {
        var descriptor: Int32
        var label: String

        init?(argument: String) {
            let parts = argument.split(separator: ":", maxSplits: 1)
            guard let first = parts.first, let descriptor = Int32(first), descriptor >= 0 else { return nil }
            self.descriptor = descriptor
            label = parts.count == 2 ? String(parts[1]) : Configuration.Listener.defaultLabel
        }
    }

    func validate() throws {
        if let workers, workers < 1 { throw ValidationError("--workers must be 1 or more") }
        if drain < 0 { throw ValidationError("--drain must be 0 or more") }
    }

    func run() async throws {
        var logger = Logger(label: "lab.dns", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = logLevel
        let log = logger

        // Before anything else is opened: descriptors are numbers that something else could get.
        var given = try InheritedSockets.take(from: ProcessInfo.processInfo.environment)
        for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(variable) }
        for socket in socket {
            guard !given.contains(where: { $0.descriptor == socket.descriptor }) else {
                throw Misuse("descriptor \(socket.descriptor) is handed over twice: name it once")
            }
            given.append(try ServerSocket(taking: socket.descriptor, label: socket.label))
        }

        // From here on, so that a reload asked for early is one, and not the end.
        let signals = Interruption.divert()
        let file = configuration.file
        let first = try service(from: file)
        let sockets = try ServerSockets.open(first.configuration, given: given)
        if let user = first.configuration.user {
            try Privileges.drop(to: try Identity(named: user))
            log.info("gave privileges up", metadata: ["user": "\(user)"])
        }
        let failure = Mutex<ServerError?>(nil)
        let tell: @Sendable (ServerEvent) -> Void = { event in
            log.tell(event)
            guard case .workerEnded(_, let because?) = event else { return }
            // Its sockets are open, and nobody reads them: better no server, which whoever started this one notices.
            failure.withLock { $0 = because }
            kill(getpid(), SIGTERM)
        }
        try await Server.run(first, on: sockets, tell: tell) { server in
            for await signal in signals {
                guard signal == SIGHUP else {
                    log.info("told to end", metadata: ["signal": "\(signal)"])
                    server.drain(within: drain)
                    return
                }
                reload(server, from: file, log)
            }
        }
        if let failure = failure.withLock(\.self) { throw failure }
    }

    private func service(from file: ConfigurationFile, after before: Service? = nil) throws(YAMLFileError) -> Service {
        try file.service(after: before) { configuration in
            if let workers { configuration.workers = workers }
        }
    }

    private func reload(_ server: Server, from file: ConfigurationFile, _ log: Logger) {
        do throws(YAMLFileError) {
            let next = try service(from: file, after: server.service)
            // What the server refuses, it tells.
            try? server.reload(next)
        } catch {
            log.error("reload refused, the configuration stays", metadata: ["reason": "\(error)"])
        }
    }
}

// Its names are what the option takes.
extension Logger.Level: @retroactive ExpressibleByArgument {}

extension Logger {
    fileprivate func tell(_ event: ServerEvent) {
        switch event {
        case .listening(let transport, let address, let label, let isGiven):
            info(
                "listening",
                metadata: [
                    "transport": "\(transport)", "address": "\(address)", "label": "\(label)",
                    "socket": isGiven ? "handed over" : "opened",
                ])
        case .closed(let transport, let address):
            info("closed", metadata: ["transport": "\(transport)", "address": "\(address)"])
        case .reloaded: notice("reloaded")
        case .reloadRefused(let reason):
            error("reload refused, the configuration stays", metadata: ["reason": "\(reason)"])
        case .acceptFailed(let address, let errno):
            warning("connections cannot be accepted", metadata: ["address": "\(address)", "errno": "\(errno)"])
        case .draining(let worker): info("draining", metadata: ["worker": "\(worker)"])
        case .workerEnded(let worker, let because):
            if let because {
                critical("worker failed", metadata: ["worker": "\(worker)", "reason": "\(because)"])
            } else {
                info("worker ended", metadata: ["worker": "\(worker)"])
            }
        }
    }
}
