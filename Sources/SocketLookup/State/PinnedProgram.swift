import Glibc

/// The program of a pinned dispatcher, to be asked what it decides about packets that are not sent.
public final class PinnedProgram {
    private let descriptor: Int32

    /// Opens the program that the state has now; an upgrade later on puts another in its place.
    ///
    /// - Throws: ``SocketLookupError`` if it cannot be opened.
    public init(of state: borrowing DispatcherState) throws(SocketLookupError) {
        descriptor = try Pins.open(state.location.state.appending("program"))
    }

    deinit { close(descriptor) }

    /// Has it look a packet up; its counters count that, too.
    ///
    /// The errno is the kernel's: 524 (ENOTSUPP) if it cannot test-run these programs, EOPNOTSUPP if the program
    /// selects a socket of a reuseport group.
    public func testRun(_ context: LookupContext) throws(SocketLookupError) -> LookupResult {
        try SocketLookup.testRun(descriptor, context)
    }
}
