import CLinux
import Glibc
import SystemPackage

/// What makes an interrupted change whole, or undoes it. Whoever calls this has the location locked.
enum Recovery {
    /// Removes what is no state any more, or never became one.
    static func perform(at location: StateLocation) throws(SocketLookupError) {
        try discard(location.old)
        try discard(location.new)
        guard Pins.exists(location.state) else { return }
        // An unload that was interrupted; or the inode is another namespace's now.
        if try !isLoaded(at: location), Pins.exists(location.state.appending("link")) {
            try Pins.rename(location.state, to: location.old)
            return try discard(location.old)
        }
        let next = location.state.appending("program-new")
        if try upgradeTookEffect(at: location) == true {
            try Pins.rename(next, to: location.state.appending("program"))
        } else {
            try Pins.remove(next)
        }
    }

    /// Removes a directory with its link detached: a link whose last name is gone stays attached until the kernel comes
    /// round to it, some time after (seen on 5.10).
    private static func discard(_ directory: FilePath) throws(SocketLookupError) {
        let link = directory.appending("link")
        if Pins.exists(link) { try Link(pinnedAt: link).detach() }
        try Pins.removeDirectory(directory)
    }

    /// Whether there is a state, and a link that is attached.
    static func isLoaded(at location: StateLocation) throws(SocketLookupError) -> Bool {
        let path = location.state.appending("link")
        guard Pins.exists(path) else { return false }
        do throws(SocketLookupError) {
            return try Link(pinnedAt: path).information().namespace != 0
        } catch {
            // Links open only for writing, so somebody who may only look takes it for attached.
            guard case .call(_, EACCES, _, _) = error else { throw error }
            return true
        }
    }

    /// Whether the link has the program that an interrupted upgrade pinned; nil if there was none.
    static func upgradeTookEffect(at location: StateLocation) throws(SocketLookupError) -> Bool? {
        guard let next = try Pins.openIfPresent(location.state.appending("program-new")) else { return nil }
        defer { close(next) }
        guard Pins.exists(location.state.appending("link")) else { return false }
        let attached = try Link(pinnedAt: location.state.appending("link")).information().program
        return try ProgramIdentity(of: next).number == attached
    }

    /// Whether an interrupted replacement has left anything of the generation that is not in force.
    static func hasOtherGeneration(_ maps: DispatchMaps, in state: FilePath) throws(SocketLookupError) -> Bool {
        let other = 1 - (try maps.generation())
        if Pins.exists(state.appending("records-\(other)")) { return true }
        if try maps.element(other, of: .tables, size: 4) != nil { return true }
        return try maps.element(other, of: .ranges, size: 4) != nil
    }

    static func retireGeneration(
        notInForce maps: DispatchMaps, in state: FilePath
    ) throws(SocketLookupError) {
        guard try hasOtherGeneration(maps, in: state) else { return }
        let other = 1 - (try maps.generation())
        // A lookup that began before the change may still be there.
        try maps.waitForLookups()
        try maps.clear(other, of: .tables)
        try maps.clear(other, of: .ranges)
        ControlStep.replaceRetiredTable.done()
        try Pins.remove(state.appending("records-\(other)"))
        ControlStep.replaceRemovedRecords.done()
    }

    static func removeEmptyDirectory(of location: StateLocation) throws(SocketLookupError) {
        guard rmdir(location.directory.string) != 0, errno != ENOENT, errno != ENOTEMPTY else { return }
        throw .call("rmdir", errno: errno, doing: "removing \(location.directory)", log: nil)
    }
}
