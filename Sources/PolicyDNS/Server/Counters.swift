import CLinux
import Synchronization

/// What one worker counts: only that worker writes, and anybody may read at any time.
///
/// The types and codes that are told apart are fixed, so that no client can make the metrics grow.
public final class Counters: Sendable {
    // Single-writer counters, read and written by relaxed atomic operations only; freed with this object. The
    // pointer itself never changes.
    private nonisolated(unsafe) let values: UnsafeMutablePointer<UInt64>
    private let policies: Mutex<Policies>

    private struct Policies {
        var current = PolicyCounters(names: [])
        /// What was counted under configurations before, by name.
        var retired: [String: UInt64] = [:]
    }

    public init() {
        values = .allocate(capacity: Counter.count)
        values.initialize(repeating: 0, count: Counter.count)
        policies = Mutex(Policies())
    }

    deinit { values.deallocate() }

    /// To be called by the worker only.
    @inline(__always)
    func add(_ counter: Counter, _ amount: UInt64 = 1) { clinux_counter_add(values + counter.index, amount) }

    func value(_ counter: Counter) -> UInt64 { clinux_counter_load(values + counter.index) }

    /// Counters for policies of these names, which the worker counts in from now on.
    func adopt(policies names: [String]) -> PolicyCounters {
        let fresh = PolicyCounters(names: names)
        policies.withLock {
            for (name, value) in $0.current.all { $0.retired[name, default: 0] += value }
            $0.current = fresh
        }
        return fresh
    }

    /// Answers by policy, of this configuration and those before it.
    var policyAnswers: [String: UInt64] {
        policies.withLock { $0.retired.merging($0.current.all, uniquingKeysWith: +) }
    }
}

/// The answers of each policy of one configuration, counted by one worker.
final class PolicyCounters: Sendable {
    private let names: [String]
    // As in Counters.
    private nonisolated(unsafe) let values: UnsafeMutablePointer<UInt64>

    init(names: [String]) {
        self.names = names
        values = .allocate(capacity: names.count)
        values.initialize(repeating: 0, count: names.count)
    }

    deinit { values.deallocate() }

    @inline(__always)
    func add(_ policy: Int) {
        if names.indices.contains(policy) { clinux_counter_add(values + policy, 1) }
    }

    fileprivate var all: [String: UInt64] {
        [String: UInt64](
            names.indices.map { (names[$0], clinux_counter_load(values + $0)) }, uniquingKeysWith: +)
    }
}

/// A thing that is counted.
struct Counter: Hashable {
    let index: Int

    private init(_ index: Int) { self.index = index }

    /// Batches of UDP queries, by size: 1, up to 2, up to 4, … up to 64.
    static let batchBounds = [1, 2, 4, 8, 16, 32, 64]

    private static let singles = 12 + Response.Silence.allCases.count + batchBounds.count
    private static let queriesStart = singles
    private static let responsesStart = queriesStart + 2 * QueryTypeName.count
    static let count = responsesStart + 2 * ResponseCodeName.count

    static let truncated = Counter(0)
    static let udpSendErrors = Counter(1)
    static let udpReceiveErrors = Counter(2)
    static let tcpAccepted = Counter(3)
    static let tcpClosed = Counter(4)
    /// Ended for a newer one.
    static let tcpLimitedInAll = Counter(5)
    /// Refused for those that its client has.
    static let tcpLimitedPerClient = Counter(6)
    static let tcpIdle = Counter(7)
    static let tcpLifetime = Counter(8)
    static let tcpMalformed = Counter(9)
    static let acceptErrors = Counter(10)
    static let batchedQueries = Counter(11)

    static func silence(_ reason: Response.Silence) -> Counter {
        let position =
            switch reason {
            case .notAMessage: 0
            case .isAResponse: 1
            case .rateLimited: 2
            }
        return Counter(12 + position)
    }

    /// The bucket of a batch of `size` queries, 1–64.
    static func batch(size: Int) -> Counter {
        batch(bucket: size <= 1 ? 0 : Int.bitWidth - (size - 1).leadingZeroBitCount)
    }

    static func batch(bucket: Int) -> Counter {
        Counter(12 + Response.Silence.allCases.count + min(bucket, batchBounds.count - 1))
    }

    static func queries(tcp: Bool, _ type: QueryTypeName) -> Counter {
        Counter(queriesStart + (tcp ? QueryTypeName.count : 0) + type.index)
    }

    static func responses(tcp: Bool, _ code: ResponseCodeName) -> Counter {
        Counter(responsesStart + (tcp ? ResponseCodeName.count : 0) + code.index)
    }
}

/// A query type as metrics name it: by its mnemonic, `other`, or `none` where no question could be read.
struct QueryTypeName {
    let index: Int

    private static let known: [(type: UInt16, name: String)] = [
        (1, "A"), (2, "NS"), (5, "CNAME"), (6, "SOA"), (12, "PTR"), (13, "HINFO"), (15, "MX"), (16, "TXT"),
        (28, "AAAA"), (33, "SRV"), (35, "NAPTR"), (39, "DNAME"), (43, "DS"), (44, "SSHFP"), (46, "RRSIG"),
        (47, "NSEC"), (48, "DNSKEY"), (50, "NSEC3"), (51, "NSEC3PARAM"), (52, "TLSA"), (59, "CDS"), (60, "CDNSKEY"),
        (61, "OPENPGPKEY"), (64, "SVCB"), (65, "HTTPS"), (99, "SPF"), (251, "IXFR"), (252, "AXFR"), (255, "ANY"),
        (257, "CAA"),
    ]
    static let names = known.map(\.name) + ["other", "none"]
    static let count = names.count
    private static let other = names.count - 2
    private static let none = names.count - 1
    private static let indices: [UInt8] = {
        var table = [UInt8](repeating: UInt8(other), count: 258)
        for (index, entry) in known.enumerated() { table[Int(entry.type)] = UInt8(index) }
        return table
    }()

    init(index: Int) { self.index = index }

    init(_ type: UInt16?) {
        if let type {
            index =
                Int(type) < QueryTypeName.indices.count ? Int(QueryTypeName.indices[Int(type)]) : QueryTypeName.other
        } else {
            index = QueryTypeName.none
        }
    }
}

/// A response code as metrics name it: by its mnemonic, or `other`.
struct ResponseCodeName {
    let index: Int

    // RFC 6895 §2.3; BADVERS is 16, and BADCOOKIE 23.
    static let names = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
        "NOTAUTH", "NOTZONE", "BADVERS", "BADCOOKIE", "other",
    ]
    static let count = names.count

    init(index: Int) { self.index = index }

    init(_ code: UInt16) {
        index =
            switch code {
            case 0...10: Int(code)
            case 16: 11
            case 23: 12
            default: 13
            }
    }
}
