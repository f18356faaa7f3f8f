import Addressing
import CLinux
import Glibc

/// The server's end of a TCP connection.
///
/// While it is idle it has no buffers: what is read goes to one that the worker's connections share, and only a message
/// that has not come as a whole, or that waits for the client to read answers, is kept here.
final class Connection {
    let descriptor: Int32
    let source: Endpoint
    let label: String
    /// When it was accepted, in monotonic nanoseconds.
    let accepted: UInt64
    /// When its last query was answered, or it was accepted.
    var lastQuery: UInt64
    /// Received and not answered: at most what the shared buffer holds.
    var unread: [UInt8] = []
    /// Answers that the client did not take yet.
    var unsent: [UInt8] = []
    /// Whether the client has sent all that it will.
    var ended = false
    var watched = CLINUX_READABLE

    // Its place in the table.
    fileprivate(set) var slot: UInt32 = 0
    fileprivate(set) var generation: UInt32 = 0
    // The neighbours in the order of idleness. Not retained: the table holds every connection that is linked, and
    // unlinks it before letting go.
    fileprivate unowned(unsafe) var older: Connection?
    fileprivate unowned(unsafe) var newer: Connection?

    init(descriptor: Int32, source: Endpoint, label: String, now: UInt64) {
        self.descriptor = descriptor
        self.source = source
        self.label = label
        accepted = now
        lastQuery = now
    }

    deinit { close(descriptor) }

    /// Whether a whole message is waiting.
    var hasMessage: Bool {
        unread.count >= 2 && unread.count - 2 >= Int(unread[0]) << 8 | Int(unread[1])
    }
}

/// The connections of one worker, in the order of their last query.
struct ConnectionTable: ~Copyable {
    /// Those who share a bound on connections: an IPv4 address, or an IPv6 /64, which is what one customer has.
    struct Client: Hashable {
        private let network: IPAddress

        init(_ address: IPAddress) {
            switch address {
            case .v4: network = address
            // The /64 without its host bits.
            case .v6(let bits): network = .v6((bits >> 64) << 64)
            }
        }
    }

    private var slots: [Connection?] = []
    private var free: [UInt32] = []
    private var generations: [UInt32] = []
    private var perClient: [Client: Int] = [:]
    private(set) var count = 0
    private(set) unowned(unsafe) var longestIdle: Connection?
    private unowned(unsafe) var latest: Connection?

    func count(of client: Client) -> Int { perClient[client] ?? 0 }

    mutating func insert(_ connection: Connection) {
        if let slot = free.popLast() {
            connection.slot = slot
            slots[Int(slot)] = connection
        } else {
            connection.slot = UInt32(slots.count)
            slots.append(connection)
            generations.append(0)
        }
        connection.generation = generations[Int(connection.slot)]
        perClient[Client(connection.source.address), default: 0] += 1
        count += 1
        link(connection)
    }

    mutating func remove(_ connection: Connection) {
        unlink(connection)
        let client = Client(connection.source.address)
        if let left = perClient[client] { perClient[client] = left > 1 ? left - 1 : nil }
        count -= 1
        // An event for it that was fetched already must not find the connection that has the slot next.
        generations[Int(connection.slot)] = (connection.generation + 1) & 0xFF_FFFF
        free.append(connection.slot)
        slots[Int(connection.slot)] = nil
    }

    /// Notes that a connection was used just now.
    mutating func touch(_ connection: Connection) {
        if latest === connection { return }
        unlink(connection)
        link(connection)
    }

    func find(slot: UInt32, generation: UInt32) -> Connection? {
        guard Int(slot) < slots.count, generations[Int(slot)] == generation else { return nil }
        return slots[Int(slot)]
    }

    var all: [Connection] { slots.compactMap(\.self) }

    private mutating func link(_ connection: Connection) {
        connection.older = latest
        connection.newer = nil
        latest?.newer = connection
        latest = connection
        if longestIdle == nil { longestIdle = connection }
    }

    private mutating func unlink(_ connection: Connection) {
        if let older = connection.older { older.newer = connection.newer } else { longestIdle = connection.newer }
        if let newer = connection.newer { newer.older = connection.older } else { latest = connection.older }
        connection.older = nil
        connection.newer = nil
    }
}
