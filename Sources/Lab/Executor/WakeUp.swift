import CLinux
import Glibc

/// Tells whether the kernel announced that a socket has something to read, which is more than that it has.
///
/// epoll(7) looks at a socket when that is added, and from then on only when it is told to: one that was never woken
/// stays unknown to it, whatever waits there.
struct WakeUp {
    private let epoll: Descriptor

    init(of socket: Descriptor) throws(ExecutorError) {
        let raw = clinux_epoll_create()
        guard raw >= 0 else {
            throw .call("epoll_create1", errno: ErrorNumber(returned: raw), doing: "watching a socket")
        }
        epoll = Descriptor(raw)
        let added = clinux_epoll_add(raw, socket.raw, CLINUX_READABLE, 0)
        guard added == 0 else {
            throw .call("epoll_ctl", errno: ErrorNumber(returned: added), doing: "watching a socket")
        }
    }

    func happened() throws(ExecutorError) -> Bool {
        var event = clinux_event()
        let count = clinux_epoll_wait(epoll.raw, &event, 1, 0)
        guard count >= 0 else {
            throw .call("epoll_wait", errno: ErrorNumber(returned: count), doing: "asking about a socket")
        }
        return count > 0
    }
}
