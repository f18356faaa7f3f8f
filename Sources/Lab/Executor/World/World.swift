import Addressing
import SocketLookup
import SystemPackage

/// All that a fixture has made, by name.
final class World {
    let programs: FilePath
    /// A program that makes a change to a dispatcher when it is told to by its arguments.
    let executable: FilePath
    let loop: SocketLoop
    var namespaces: [String: Namespace] = [:]
    var servers: [String: Server] = [:]
    var connections: [String: Client] = [:]
    var loaded: [String: Program] = [:]
    var dispatchers: [String: Dispatcher] = [:]
    /// Who got the flows of each endpoint, when they were spread last.
    var spreads: [Endpoint: [String]] = [:]
    var groupPrograms: [String: LoadedGroupProgram] = [:]
    var scripts: [String: LoadedScript] = [:]
    var links: [String: Link] = [:]
    var nameServices: [String: RunningNameService] = [:]
    var surveys: [String: SurveyAnswers] = [:]
    var visits: [String: [SiteVisit]] = [:]
    var daemons: [String: RunningDaemon] = [:]
    /// Made when the first link is pinned; its pins go with it.
    var bpfFileSystem: Descriptor?
    /// The programs that pinned dispatchers were seen with, in the order of their appearance.
    var programTags: [String] = []
    var deviceCount = 0
    /// Told now and then by steps that take long.
    var reportWork: () -> Void = {}

    /// How long a step may wait for a packet. Software emulation is 10 to 20 times slower than hardware.
    let patience: Duration = .seconds(30)

    init(programs: FilePath, executable: FilePath = "/proc/self/exe") throws(ExecutorError) {
        self.programs = programs
        self.executable = executable
        loop = try SocketLoop()
    }

    var deadline: ContinuousClock.Instant { .now + patience }

    func namespace(_ name: String) throws(ExecutorError) -> Namespace {
        try found(namespaces[name], "namespace", name)
    }

    func server(_ name: String) throws(ExecutorError) -> Server { try found(servers[name], "socket", name) }

    func dispatcher(_ name: String) throws(ExecutorError) -> Dispatcher {
        try found(dispatchers[name], "dispatcher", name)
    }

    func program(_ name: String) throws(ExecutorError) -> Program { try found(loaded[name], "program", name) }

    func link(_ name: String) throws(ExecutorError) -> Link { try found(links[name], "link", name) }

    func connection(_ name: String) throws(ExecutorError) -> Client {
        try found(connections[name], "connection", name)
    }

    func unused(_ used: Bool, _ kind: String, _ name: String) throws(ExecutorError) {
        if used { throw .exists(kind: kind, name: name) }
    }

    private func found<Value>(_ value: Value?, _ kind: String, _ name: String) throws(ExecutorError) -> Value {
        guard let value else { throw .unknown(kind: kind, name: name) }
        return value
    }
}
