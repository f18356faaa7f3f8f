import Addressing
import CLinux
import Glibc
import SocketLookup
import SystemPackage

/// A change to a pinned dispatcher that another process makes: this program, started anew with the change as its
/// arguments. It ends with the change, or is killed in the middle of it.
public enum DispatcherProcess {
    private static let flag = "--change-dispatcher"
    /// Of ``ControlStep``, whose name is in no public interface.
    private static let killVariable = "BINDING_LAB_KILL_AFTER"

    /// Makes the change that a program's arguments tell of; nil if they do not.
    ///
    /// Programs that perform fixtures call this before all else.
    /// - Returns: the exit status. What came of it is on standard output.
    public static func perform(_ arguments: [String]) -> Int32? {
        guard arguments.dropFirst().first == flag else { return nil }
        do {
            let order = try Order(arguments: Array(arguments.dropFirst(2)))
            let namespace = try FileDescriptor.open(FilePath(order.namespace), .readOnly)
            let location = try StateLocation(base: FilePath(order.base), namespace: namespace)
            let sockets = try ProcessSockets(of: order.parent, descriptors: order.descriptors)
            let facts = try DispatcherOrder(
                operation: order.operation, location: location, programs: FilePath(order.programs),
                descriptors: sockets.sockets.map(\.descriptor)
            ).perform()
            for (name, value) in facts { print("\(name): \(value)") }
            return 0
        } catch SocketLookupError.call(let call, let errno, _, _) {
            print("\(call): \(errno)")
            return 2
        } catch {
            print("\(error)")
            return 1
        }
    }

    /// Has another process make a change, and waits for its end.
    ///
    /// - Parameters:
    ///   - executable: A program that calls ``perform(_:)``.
    ///   - step: After which it kills itself; then the fact is `killed`.
    static func perform(
        _ order: DispatcherOrder, by executable: FilePath, base: String, namespace: String,
        killedAfter step: String?, deadline: ContinuousClock.Instant
    ) throws -> [String: String] {
        let words = Order(
            base: base, namespace: namespace, programs: order.programs.string, parent: getpid(),
            descriptors: order.descriptors.map(\.rawValue), operation: order.operation)
        let raw = clinux_memory_file("output")
        guard raw >= 0 else {
            throw ExecutorError.call("memfd_create", errno: ErrorNumber(returned: raw), doing: "starting a process")
        }
        let output = Descriptor(raw)
        let process = try spawn(
            executable, ["lab", flag] + words.arguments, environment: step.map { ["\(killVariable)=\($0)"] } ?? [],
            output: output)
        let status = try wait(for: process, until: deadline)
        let text = try output.contents()
        // The macros of wait(2) are none of Swift's: the low seven bits are the signal.
        if status & 0x7F == SIGKILL { return ["killed": "yes"] }
        let lines = text.split(separator: "\n").map { line in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), String((parts.dropFirst().first ?? "").drop { $0 == " " }))
        }
        if status == 0 { return Dictionary(lines, uniquingKeysWith: { $1 }) }
        if status == 2 << 8, let (call, number) = lines.last, let errno = Int32(number) {
            throw KernelRefusal(call, ErrorNumber(rawValue: errno))
        }
        throw ExecutorError.commandFailed(
            command: order.operation.summary, status: "wait status \(status)", output: text)
    }

    private static func spawn(
        _ executable: FilePath, _ arguments: [String], environment: [String], output: Descriptor
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        // Both fail only for want of memory, and destroying is right either way.
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawn_file_actions_adddup2(&actions, output.raw, 1)
        posix_spawn_file_actions_adddup2(&actions, output.raw, 2)
        var process = pid_t()
        let errno = withArguments(arguments) { arguments in
            withArguments(environment) {
                posix_spawn(&process, executable.string, &actions, &attributes, arguments, $0)
            }
        }
        guard errno == 0 else {
            throw ExecutorError.call("posix_spawn", errno: ErrorNumber(rawValue: errno), doing: "starting a process")
        }
        return process
    }

    /// The status of a process once it has ended. It has ended when this throws, too.
    private static func wait(for process: pid_t, until deadline: ContinuousClock.Instant) throws -> Int32 {
        var status: Int32 = 0
        func collect() { while waitpid(process, &status, 0) < 0, errno == EINTR {} }
        let raw = clinux_pidfd_open(process)
        guard raw >= 0 else {
            kill(process, SIGKILL)
            collect()
            throw ExecutorError.call("pidfd_open", errno: ErrorNumber(returned: raw), doing: "waiting for a process")
        }
        let handle = Descriptor(raw)
        var event = pollfd(fd: handle.raw, events: Int16(POLLIN), revents: 0)
        while true {
            let left = max(0, (deadline - .now) / .milliseconds(1))
            let count = poll(&event, 1, Int32(left))
            if count < 0, errno == EINTR { continue }
            if count <= 0 { kill(process, SIGKILL) }
            collect()
            guard count > 0 else { throw ExecutorError.deadline("another process that changes a dispatcher") }
            return status
        }
    }
}

extension DispatcherProcess {
    /// What a process is told, as its arguments.
    private struct Order {
        var base: String
        var namespace: String
        var programs: String
        var parent: pid_t
        /// The parent's numbers.
        var descriptors: [Int32]
        var operation: DispatcherOperation

        var arguments: [String] {
            let (name, rest) = operation.words
            return [
                base, namespace, programs, "\(parent)", descriptors.map(String.init).joined(separator: ","), name,
            ] + rest
        }

        init(
            base: String, namespace: String, programs: String, parent: pid_t, descriptors: [Int32],
            operation: DispatcherOperation
        ) {
            self.base = base
            self.namespace = namespace
            self.programs = programs
            self.parent = parent
            self.descriptors = descriptors
            self.operation = operation
        }

        init(arguments: [String]) throws(ExecutorError) {
            guard arguments.count >= 6, let parent = pid_t(arguments[3]),
                let operation = DispatcherOperation(words: arguments[5], Array(arguments[6...]))
            else { throw .unsuitable("no change to a dispatcher: \(arguments)") }
            self.init(
                base: arguments[0], namespace: arguments[1], programs: arguments[2], parent: parent,
                descriptors: arguments[4].split(separator: ",").compactMap { Int32($0) }, operation: operation)
        }
    }
}

extension DispatcherOperation {
    /// As arguments of a command; `tell` and `unpin` change nothing that a process could be killed in.
    fileprivate var words: (String, [String]) {
        switch self {
        case .load(let object): ("load", [object])
        case .unload: ("unload", [])
        case .upgrade(let object): ("upgrade", [object])
        case .bind(let bindings): ("bind", bindings.map(\.description))
        case .unbind(let bindings): ("unbind", bindings.map(\.description))
        case .replace(let bindings): ("replace", bindings.map(\.description))
        case .register(let sockets): ("register", [sockets.label])
        case .join(let sockets): ("join", [sockets.label])
        case .unregister(let sockets): ("unregister", [sockets.label])
        case .drain(let sockets): ("drain", [sockets.label])
        case .tell, .unpin: ("", [])
        }
    }

    fileprivate init?(words name: String, _ rest: [String]) {
        let bindings = rest.compactMap { DispatcherBinding(text: $0) }
        let sockets = DispatcherSockets(rest.first ?? "")
        switch name {
        case "load": self = .load(rest.first ?? "")
        case "unload": self = .unload
        case "upgrade": self = .upgrade(rest.first ?? "")
        case "bind": self = .bind(bindings)
        case "unbind": self = .unbind(bindings)
        case "replace": self = .replace(bindings)
        case "register": self = .register(sockets)
        case "join": self = .join(sockets)
        case "unregister": self = .unregister(sockets)
        case "drain": self = .drain(sockets)
        default: return nil
        }
    }
}

extension Descriptor {
    /// All of a file, from its beginning.
    fileprivate func contents() throws(ExecutorError) -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = pread(raw, &buffer, buffer.count, off_t(bytes.count))
            guard count >= 0 else { throw .call("pread", errno: .current, doing: "reading what a process said") }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}

/// Calls `body` with the strings as C has them, with a null pointer at the end.
private func withArguments<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers = strings.map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    return body(&pointers)
}
