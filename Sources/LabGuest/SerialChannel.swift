import Channel
import Glibc
import Lab

/// The guest's end of the channel: a serial port that carries frames and nothing else.
final class SerialChannel {
    private let descriptor: Int32
    private var reader = FrameReader()

    /// Opens `path` and makes it a plain pipe of bytes: no echo, no line editing, no translation.
    init(path: String) throws(GuestError) {
        descriptor = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .cannot("open", path, .current) }
        var settings = termios()
        guard tcgetattr(descriptor, &settings) == 0 else { throw .cannot("read the settings of", path, .current) }
        cfmakeraw(&settings)
        // QEMU's port takes bytes as fast as they come; the rate only has to be one.
        cfsetspeed(&settings, speed_t(B115200))
        settings.c_cflag |= tcflag_t(CLOCAL | CREAD)
        guard tcsetattr(descriptor, TCSAFLUSH, &settings) == 0 else { throw .cannot("set up", path, .current) }
    }

    deinit { close(descriptor) }

    func send(_ notice: Notice) throws(GuestError) {
        let frame: [UInt8]
        do {
            frame = try Frame.encode(message: notice)
        } catch {
            throw .channel(error)
        }
        var sent = 0
        while sent < frame.count {
            let count = frame[sent...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .cannot("write to", "the host", .current) }
            sent += count
        }
    }

    /// The next request; waits for it.
    func receive() throws(GuestError) -> Request {
        while true {
            do {
                if let request = try reader.next(Request.self) { return request }
            } catch {
                throw .channel(error)
            }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .cannot("read from", "the host", .current) }
            reader.append(buffer.prefix(count))
        }
    }
}

/// Why the agent cannot go on.
enum GuestError: Error, CustomStringConvertible {
    case cannot(String, String, ErrorNumber)
    case channel(FrameError)

    var description: String {
        switch self {
        case .cannot(let what, let on, let errno): "cannot \(what) \(on): \(errno)"
        case .channel(let error): error.description
        }
    }
}
