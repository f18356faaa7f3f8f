import Addressing
import Glibc

/// All sockets of a server: those that its configuration names, and those that it was given.
///
/// Not copyable, so that a socket that a server gives up is closed, instead of collecting queries in a copy.
public struct ServerSockets: ~Copyable, Sendable {
    /// The number of workers that sockets are opened for.
    public let workers: Int
    public let given: [ServerSocket]
    /// For each listener of the configuration, the sockets of each worker.
    private var opened: [(listener: Configuration.Listener, sockets: [[ServerSocket]])]
    private var configuredMetrics: Endpoint?
    private(set) var metrics: MetricsSocket?

    /// Opens what a configuration names. Do this before privileges are dropped.
    ///
    /// - Parameter given: sockets that were handed over. Every worker serves every one of them.
    /// - Throws: ``ServerError/call(_:errno:doing:)``, or ``ServerError/nothingToServe``; nothing stays open then but
    ///   what the caller holds.
    public static func open(
        _ configuration: Configuration, given: [ServerSocket] = []
    ) throws(ServerError) -> ServerSockets {
        let workers = max(1, configuration.workers ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        return try ServerSockets(workers: workers, given: given, opened: []).changed(to: configuration)
    }

    /// The sockets for another configuration. Those that both name are the same; new ones are open, and may have been
    /// for some time when the first query is read from them.
    ///
    /// - Throws: as ``open(_:given:)``. Without privileges, ports below 1024 are refused (EACCES).
    func changed(to configuration: Configuration) throws(ServerError) -> ServerSockets {
        var next = ServerSockets(workers: workers, given: given, opened: [])
        var left = opened
        for listener in configuration.listeners {
            if let index = left.firstIndex(where: { $0.listener.address == listener.address }) {
                let same = left.remove(at: index)
                let label = listener.label ?? Configuration.Listener.defaultLabel
                next.opened.append(
                    (
                        listener,
                        same.sockets.map {
                            $0.map { socket in
                                var socket = socket
                                socket.label = label
                                return socket
                            }
                        }
                    ))
            } else {
                next.opened.append((listener, try ServerSocket.open(listener, workers: workers)))
            }
        }
        guard !next.opened.isEmpty || !given.isEmpty else { throw .nothingToServe }
        next.configuredMetrics = configuration.metrics
        if let address = configuration.metrics {
            next.metrics = address == configuredMetrics ? metrics : try MetricsSocket.open(address)
        }
        return next
    }

    private init(
        workers: Int, given: [ServerSocket], opened: [(listener: Configuration.Listener, sockets: [[ServerSocket]])]
    ) {
        self.workers = workers
        self.given = given
        self.opened = opened
    }

    /// What one worker serves.
    func sockets(of worker: Int) -> [ServerSocket] { opened.flatMap { $0.sockets[worker] } + given }

    /// Every socket, each once.
    var all: [ServerSocket] { opened.flatMap { $0.sockets.flatMap(\.self) } + given }

    /// What is served, and under which label: each once, however many workers serve it.
    public var places: [Place] {
        all.reduce(into: []) { places, socket in
            let place = Place(transport: socket.transport, address: socket.address, label: socket.label)
            if !places.contains(place) { places.append(place) }
        }
    }

    /// A transport and address, and the label that queries there have.
    public struct Place: Hashable, Sendable {
        public let transport: TransportProtocol
        public let address: Endpoint
        public let label: String
    }

    /// Where metrics are served.
    public var metricsAddress: Endpoint? { metrics?.address }
}
