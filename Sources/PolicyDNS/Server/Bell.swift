import CLinux
import Glibc

/// Wakes a thread that waits for it, from any other.
final class Bell: Sendable {
    let descriptor: Int32

    init() throws(ServerError) {
        descriptor = clinux_eventfd()
        guard descriptor >= 0 else { throw .call("eventfd", errno: -descriptor, doing: "making a server") }
    }

    deinit { close(descriptor) }

    func ring() {
        var one: UInt64 = 1
        // Fails only with 2^64 rings unheard.
        while write(descriptor, &one, 8) < 0, errno == EINTR {}
    }

    /// How often it rang since this was last asked.
    func rings() -> UInt64 {
        var count: UInt64 = 0
        while read(descriptor, &count, 8) < 0 {
            if errno != EINTR { return 0 }
        }
        return count
    }

    /// Waits until it has rung so often.
    func wait(for count: Int) {
        var heard = UInt64(0)
        while heard < count {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, -1)
            heard += rings()
        }
    }
}
