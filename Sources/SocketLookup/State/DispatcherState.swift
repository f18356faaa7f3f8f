import Addressing
import CLinux
import Glibc
import SystemPackage

/// A dispatcher that is pinned in a BPF file system, and so outlives the processes that change it.
///
/// There is one for each network namespace, in a directory that its inode names. A value of this type has the
/// directory locked: others that change the same dispatcher wait for its end, so keep it for one change or a few.
///
/// Every change takes effect in one step, whether it is one binding or a million, and one socket or several: each
/// lookup sees all of it, or nothing. A process that is killed leaves the old state or the new one.
///
/// ```swift
/// let location = try StateLocation()
/// try DispatcherState.load("dispatch.bpf.o", at: location)
/// let dispatcher = try DispatcherState(at: location)
/// try dispatcher.register([listener], under: "web")
/// try dispatcher.bind([Binding(Match(.tcp, Prefix(text: "192.0.2.0/24"), .all), to: "web")])
/// ```
public struct DispatcherState: ~Copyable {
    /// What a dispatcher is opened for.
    public enum Access: Sendable {
        /// Alone.
        case changing
        /// With others that look. Enough of it works for members of the state's group.
        case looking
    }

    /// Where it is pinned.
    public let location: StateLocation
    let access: Access
    let maps: DispatchMaps
    let names: LabelNames
    private let lock: StateLock

    /// Opens a dispatcher that was loaded, and removes what an interrupted change has left there.
    ///
    /// - Parameters:
    ///   - location: Where it was loaded.
    ///   - access: Only with `.changing` do the methods that change anything work; else the kernel refuses (EPERM).
    ///   - waiting: Whether to wait while others have it locked.
    /// - Throws: ``SocketLookupError/notLoaded(path:)``, ``SocketLookupError/incompatible(path:because:)``,
    ///   ``SocketLookupError/busy(path:)``.
    public init(
        at location: StateLocation, for access: Access = .changing, waiting: Bool = true
    ) throws(SocketLookupError) {
        let lock = try StateLock(location, exclusive: access == .changing, waiting: waiting)
        if access == .changing { try Recovery.perform(at: location) }
        guard try Recovery.isLoaded(at: location) else { throw .notLoaded(path: location.directory.string) }
        let readOnly = access == .looking
        try StateInformation.check(in: location.state)
        let maps = try DispatchMaps(pinnedIn: location.state, readOnly: readOnly)
        let names = try LabelNames(pinnedIn: location.state, readOnly: readOnly)
        if access == .changing { try Recovery.retireGeneration(notInForce: maps, in: location.state) }
        self.maps = maps
        self.names = names
        self.location = location
        self.access = access
        self.lock = lock
    }

    /// Loads the program, attaches it to the location's namespace, and pins it there, without bindings.
    ///
    /// - Parameters:
    ///   - object: The compiled `dispatch.bpf.c`.
    ///   - location: The namespace, and where in a BPF file system.
    /// - Throws: ``SocketLookupError/alreadyLoaded(path:)``, ``SocketLookupError/noFileSystem(path:)``.
    public static func load(_ object: FilePath, at location: StateLocation) throws(SocketLookupError) {
        try location.requireFileSystem()
        let program = try Program(object: object)
        let maps = try DispatchMaps(program)
        // An unload at the same time may remove the directory before it is locked here.
        while true {
            try location.makeDirectories()
            do throws(SocketLookupError) {
                let lock = try StateLock(location, exclusive: true, waiting: true)
                try load(program, maps, at: location)
                return withExtendedLifetime(lock) {}
            } catch {
                if case .notLoaded = error { continue }
                throw error
            }
        }
    }

    private static func load(
        _ program: Program, _ maps: DispatchMaps, at location: StateLocation
    ) throws(SocketLookupError) {
        try Recovery.perform(at: location)
        guard !Pins.exists(location.state) else { throw .alreadyLoaded(path: location.directory.string) }
        try Pins.makeDirectory(location.new)
        ControlStep.loadMadeDirectory.done()
        var random = SystemRandomNumberGenerator()
        try maps.seed(UInt32.random(in: 0 ... .max, using: &random))
        for name in DispatchMaps.Name.allCases {
            try Pins.pin(maps[name], at: location.new.appending(name.rawValue))
        }
        try StateInformation.pin(in: location.new)
        try LabelNames.pin(in: location.new)
        let records = try BindingRecords.make([], numbers: [:])
        defer { close(records) }
        try Pins.pin(records, at: location.new.appending("records-0"))
        try Pins.pin(program.descriptor, at: location.new.appending("program"))
        ControlStep.loadPinnedMaps.done()
        let link = try program.attach(toNamespaceAt: location)
        try link.pin(at: location.new.appending("link"))
        try Pins.share(location.new.appending("link"), mode: Pins.fileMode)
        ControlStep.loadPinnedLink.done()
        try Pins.rename(location.new, to: location.state)
        ControlStep.loadRenamedDirectory.done()
    }

    /// Detaches the dispatcher, and removes its state.
    ///
    /// This works whatever of the state is missing, or of another version.
    /// - Throws: ``SocketLookupError/notLoaded(path:)``.
    public static func unload(at location: StateLocation, waiting: Bool = true) throws(SocketLookupError) {
        let lock = try StateLock(location, exclusive: true, waiting: waiting)
        try Recovery.perform(at: location)
        guard Pins.exists(location.state) else {
            try Recovery.removeEmptyDirectory(of: location)
            throw .notLoaded(path: location.directory.string)
        }
        if Pins.exists(location.state.appending("link")) {
            try Link(pinnedAt: location.state.appending("link")).detach()
        }
        ControlStep.unloadDetachedLink.done()
        try Pins.rename(location.state, to: location.old)
        ControlStep.unloadRenamedDirectory.done()
        try Pins.removeDirectory(location.old)
        ControlStep.unloadRemovedDirectory.done()
        try Recovery.removeEmptyDirectory(of: location)
        withExtendedLifetime(lock) {}
    }

    /// Puts another version of the program in the place of the one that runs, from one lookup to the next; bindings,
    /// sockets and counters stay.
    ///
    /// - Returns: whether the program is another one than before.
    /// - Throws: ``SocketLookupError/incompatible(path:because:)`` if its maps are laid out differently. Whatever is
    ///   thrown, the program that ran goes on.
    @discardableResult
    public func upgrade(to object: FilePath) throws(SocketLookupError) -> Bool {
        let link = try Link(pinnedAt: location.state.appending("link"))
        var pinned: [String: Int32] = [:]
        for name in DispatchMaps.Name.allCases { pinned[name.rawValue] = maps[name] }
        let program = try Program(object: object, sharing: pinned)
        let old = try Pins.open(location.state.appending("program"))
        defer { close(old) }
        let before = try ProgramIdentity(of: old)
        let next = location.state.appending("program-new")
        try Pins.pin(program.descriptor, at: next)
        ControlStep.upgradePinnedProgram.done()
        do throws(SocketLookupError) {
            try link.update(to: program)
        } catch {
            try Pins.remove(next)
            throw error
        }
        ControlStep.upgradeUpdatedLink.done()
        try Pins.rename(next, to: location.state.appending("program"))
        ControlStep.upgradeRenamedProgram.done()
        let identity = try ProgramIdentity(of: program.descriptor)
        return identity.tag != before.tag
    }
}

extension Program {
    fileprivate func attach(toNamespaceAt location: StateLocation) throws(SocketLookupError) -> Link {
        if let namespace = location.namespace { return try attach(to: namespace) }
        let own = FileDescriptor(
            rawValue: try checked("open", "opening this thread's network namespace") {
                clinux_current_network_namespace()
            })
        defer { try? own.close() }
        return try attach(to: own)
    }
}

/// Which program it is.
public struct ProgramIdentity: Hashable, Sendable {
    /// Unique while it is loaded.
    public var number: UInt32
    /// The kernel's hash of its instructions, in hexadecimal: the same for the same version.
    public var tag: String

    init(of program: Int32) throws(SocketLookupError) {
        var number: UInt32 = 0
        var bytes = [UInt8](repeating: 0, count: 8)
        try checked("bpf(BPF_OBJ_GET_INFO_BY_FD)", "examining a program") {
            clinux_bpf_program_tag(program, &number, &bytes)
        }
        self.number = number
        tag = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
