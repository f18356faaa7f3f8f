import Addressing

/// What server cookies are made with; the same for all workers, and across reloads.
public struct ServerSecret: Hashable, Sendable {
    private let key: SipHash.Key

    /// Seconds for which one key makes cookies. They are good for an hour, so those of the key before are still
    /// accepted then.
    private static let period: UInt32 = 86400

    /// A secret that nobody can guess.
    public static func random() -> ServerSecret { ServerSecret(.random()) }

    init(_ key: SipHash.Key) { self.key = key }

    /// The key for cookies made at a time: another one each day, so that what leaks of one is of no use later.
    @inline(__always)
    func key(at time: UInt32) -> SipHash.Key {
        func derive(_ number: UInt64) -> UInt64 {
            var hash = SipHash(key: key)
            hash.absorb(UInt64(time / ServerSecret.period))
            hash.absorb(number)
            return hash.finish(length: 16)
        }
        return SipHash.Key(first: derive(0), second: derive(1))
    }
}

/// Server cookies that several servers behind one address can agree on (RFC 9018 §4).
struct ServerCookie: Hashable {
    /// Version, reserved bits and timestamp, as they stand in the option.
    var head: UInt64
    var hash: UInt64

    static let size = 16
    private static let version: UInt64 = 1 << 56

    /// Makes the cookie of a client.
    static func make(_ client: UInt64, _ address: IPAddress, at time: UInt32, key: SipHash.Key) -> ServerCookie {
        let head = version | UInt64(time)
        return ServerCookie(head: head, hash: hash(client, head, address, key))
    }

    private static func hash(_ client: UInt64, _ head: UInt64, _ address: IPAddress, _ key: SipHash.Key) -> UInt64 {
        var state = SipHash(key: key)
        state.absorb(client.byteSwapped)
        state.absorb(head.byteSwapped)
        // SipHash reads little-endian words and cookies carry its result as such; all else is in network order.
        switch address {
        case .v4(let bits): return state.finish(tail: UInt64(bits.byteSwapped), length: 20).byteSwapped
        case .v6(let bits):
            state.absorb(UInt64(truncatingIfNeeded: bits >> 64).byteSwapped)
            state.absorb(UInt64(truncatingIfNeeded: bits).byteSwapped)
            return state.finish(length: 32).byteSwapped
        }
    }

    var time: UInt32 { UInt32(truncatingIfNeeded: head) }

    /// Whether this server, or one with the same secret, made the cookie for this client, at most an hour before `now`.
    ///
    /// Five minutes of the future are allowed for clocks that differ (RFC 9018 §4.3).
    func isValid(_ client: UInt64, _ address: IPAddress, now: UInt32, key: SipHash.Key) -> Bool {
        let age = self.age(now)
        return head >> 56 == 1 && age <= 3600 && age >= -300
            && hash == ServerCookie.hash(client, head, address, key)
    }

    /// Whether the client should get a new one: after half an hour.
    func isOld(now: UInt32) -> Bool { age(now) > 1800 }

    /// Seconds since the cookie was made, by serial number arithmetic (RFC 1982): the clock wraps in 2106.
    private func age(_ now: UInt32) -> Int32 { Int32(bitPattern: now &- time) }
}
