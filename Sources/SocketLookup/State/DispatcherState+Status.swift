import Addressing
import CLinux
import Glibc
import SystemPackage

/// What is known of a namespace's dispatcher without changing it.
public struct DispatcherStatus: Hashable, Sendable {
    /// What an interrupted change has left, which the next change removes. Packets do not notice it.
    public enum Leftover: String, Hashable, Sendable, Codable, CaseIterable {
        /// A load that had not taken effect.
        case load
        /// An unload that had taken effect.
        case unload
        /// A replacement of bindings, before or after it took effect.
        case replacement
        /// An upgrade that had not taken effect.
        case upgradeNotDone
        /// One that had.
        case upgradeDone
    }

    /// What is attached, and what it has.
    public struct Loaded: Hashable, Sendable {
        /// The program that runs; nil for somebody who may not open links.
        public var program: ProgramIdentity?
        /// The link's number; nil likewise.
        public var link: UInt32?
        /// Of its maps. Another than ``DispatcherStatus/layout`` cannot be changed by this version, only unloaded.
        public var layout: UInt32
        /// How many bindings are in force; 0 for another layout, as with the next two.
        public var bindings: Int
        /// How many labels are bound, or have sockets.
        public var labels: Int
        /// How many sockets are registered, a dual-stack one counted once, and closed ones not.
        public var sockets: Int
    }

    /// Of this version of the library.
    public static let layout = DispatchLayout.version

    /// Where the dispatcher is, or would be.
    public var location: StateLocation
    /// Nil if no dispatcher is attached.
    public var loaded: Loaded?
    /// What the next change will remove.
    public var leftovers: Set<Leftover>
}

/// What a dispatcher has counted since it was loaded.
public struct DispatcherMetrics: Hashable, Sendable {
    /// A binding, and what it has counted since it was first led to its label.
    public struct OfBinding: Hashable, Sendable {
        /// The binding, which is in force.
        public var binding: Binding
        /// Its own counters.
        public var counters: BindingCounters
    }

    /// Times that the program ran.
    public var lookups: UInt64
    /// Of all bindings, those that are gone included. Lookups that are neither hits nor misses matched no binding.
    public var all: BindingCounters
    /// Those of each binding in force.
    public var bindings: [OfBinding]
}

extension DispatcherState {
    /// What a location has, be it nothing. Waits while others change it.
    public static func status(at location: StateLocation) throws(SocketLookupError) -> DispatcherStatus {
        var status = DispatcherStatus(location: location, loaded: nil, leftovers: [])
        try location.requireFileSystem()
        guard Pins.exists(location.directory) else {
            // Somebody who may not look knows nothing, least of all that there is none.
            guard errno == ENOENT else {
                throw .call("access", errno: errno, doing: "looking into \(location.base)", log: nil)
            }
            return status
        }
        do throws(SocketLookupError) {
            let lock = try StateLock(location, exclusive: false, waiting: true)
            try examine(location, &status)
            withExtendedLifetime(lock) {}
        } catch {
            // Unloaded meanwhile.
            guard case .notLoaded = error else { throw error }
        }
        return status
    }

    private static func examine(
        _ location: StateLocation, _ status: inout DispatcherStatus
    ) throws(SocketLookupError) {
        if Pins.exists(location.new) { status.leftovers.insert(.load) }
        if Pins.exists(location.old) { status.leftovers.insert(.unload) }
        guard Pins.exists(location.state) else { return }
        guard try Recovery.isLoaded(at: location) else {
            status.leftovers.insert(.unload)
            return
        }
        var loaded = DispatcherStatus.Loaded(
            layout: try StateInformation.layout(in: location.state), bindings: 0, labels: 0, sockets: 0)
        do throws(SocketLookupError) {
            let link = try Link(pinnedAt: location.state.appending("link")).information()
            loaded.link = link.identifier
            for name in ["program", "program-new"] {
                guard let program = try Pins.openIfPresent(location.state.appending(name)) else { continue }
                defer { close(program) }
                let identity = try ProgramIdentity(of: program)
                if identity.number == link.program { loaded.program = identity }
            }
            if let tookEffect = try Recovery.upgradeTookEffect(at: location) {
                status.leftovers.insert(tookEffect ? .upgradeDone : .upgradeNotDone)
            }
        } catch {
            guard case .call(_, EACCES, _, _) = error else { throw error }
        }
        if loaded.layout == DispatchLayout.version {
            let state = try DispatcherState(at: location, for: .looking)
            let bindings = try state.bindings()
            let sockets = try state.sockets()
            loaded.bindings = bindings.count
            loaded.labels = Set(bindings.map(\.label)).union(sockets.map(\.label)).count
            loaded.sockets = Set(sockets.compactMap(\.cookie)).count
            if try Recovery.hasOtherGeneration(state.maps, in: location.state) {
                status.leftovers.insert(.replacement)
            }
        }
        status.loaded = loaded
    }

    /// What lookups came to. A packet that is on its way may be counted in one of the numbers and not yet in another.
    public func metrics() throws(SocketLookupError) -> DispatcherMetrics {
        let processors = try CounterChunk.processors()
        let total = try CounterChunk.sums(
            maps[.totals], 0, size: DispatchLayout.totalSize, processors: processors)
        var metrics = DispatcherMetrics(
            lookups: total[0], all: BindingCounters(hits: total[1], misses: total[2], errors: total[3]), bindings: [])
        var chunks = CounterChunks(maps, in: location.state, readOnly: access == .looking)
        for (binding, counter) in try records(names: names.all()) {
            var counters = BindingCounters()
            if let map = try chunks.chunk(of: counter) {
                let sums = try CounterChunk.sums(
                    map, counter % chunks.size, size: DispatchLayout.counterSize, processors: processors)
                counters = BindingCounters(hits: sums[0], misses: sums[1], errors: sums[2])
            }
            metrics.bindings.append(DispatcherMetrics.OfBinding(binding: binding, counters: counters))
        }
        return metrics
    }
}
