import Addressing

/// What a client network may get over UDP as long as it has not shown that it is where it says: a sender of
/// forged queries must not be able to have the network flooded with answers.
///
/// Two accounts are kept for each network (IPv4: /24, IPv6: /56), in a table of fixed size.
///
/// - **Bytes.** A query earns 1.5 times its size, and its answer is charged; sizes are those of IPv4 packets with
///   their headers. The account holds ``allowance`` at most. So over any time a network gets at most 1.5 times what
///   came from it, the allowance once, and ``refill`` bytes per second. An answer for which there is not enough is
///   sent truncated, which is never larger than 1.5 times the query. A mixture of A, AAAA and absent types, as
///   resolvers send it with EDNS, earns what it costs.
/// - **Answers**, if a rate is configured: a token bucket of one second's answers.
///
/// Networks are told apart by a keyed hash of their prefix, and two with the same place share its accounts. Nothing is
/// ever displaced: a flood of forged sources cannot renew anybody's allowance.
struct RateLimiter: ~Copyable {
    /// What became of an answer.
    enum Outcome {
        case send, truncate, drop
    }

    private struct Account {
        /// Nanoseconds of the clock when all answers sent so far were earned.
        var answersEarned: UInt64 = 0
        /// Milliseconds of the clock when bytes were last added, modulo 2^32.
        var updated: UInt32 = 0
        /// Bytes missing from the allowance: 0 in an account that was never used.
        var debt: UInt16 = 0
        /// Answers over the rate, for slipping.
        var excess: UInt16 = 0
    }

    /// Bytes that an account holds at most.
    static let allowance = 4096
    /// Bytes per second that are added for nothing.
    static let refill = 1000
    /// IPv4 and UDP headers.
    static let packetHeader = 28
    private static let slots = 1 << 16

    // `slots` accounts, from init to deinit.
    private let accounts: UnsafeMutablePointer<Account>
    private let key = SipHash.Key.random()

    init() {
        accounts = .allocate(capacity: RateLimiter.slots)
        accounts.initialize(repeating: Account(), count: RateLimiter.slots)
    }

    deinit { accounts.deallocate() }

    /// Charges an answer.
    ///
    /// - Parameters:
    ///   - now: nanoseconds of a clock that never goes back.
    ///   - rate: answers per second; 0 for no limit.
    ///   - slip: one of so many answers over the rate is truncated; 0 for none.
    mutating func charge(
        query: Int, answer: Int, to client: IPAddress, now: UInt64, rate: Int, slip: Int
    ) -> Outcome {
        let place = slot(client)
        var account = accounts[place]
        defer { accounts[place] = account }
        if rate > 0 {
            let second: UInt64 = 1_000_000_000
            let cost = second / UInt64(rate)
            let earned = max(account.answersEarned, now &- min(now, second))
            guard earned + cost <= now else {
                account.excess &+= 1
                return slip > 0 && Int(account.excess) % slip == 0 ? .truncate : .drop
            }
            account.answersEarned = earned + cost
        }
        let milliseconds = UInt32(truncatingIfNeeded: now / 1_000_000)
        var debt = Int(account.debt)
        // The time between is taken modulo 49 days: an account may seem fuller or less full than it is, by the
        // allowance at most.
        let added = Int(milliseconds &- account.updated) * RateLimiter.refill / 1000
        if added > 0 {
            debt = max(0, debt - added)
            account.updated = milliseconds
        }
        let earned = (query + RateLimiter.packetHeader) * 3 / 2
        let after = max(0, debt + answer + RateLimiter.packetHeader - earned)
        guard after <= RateLimiter.allowance || after <= debt else {
            account.debt = UInt16(debt)
            return .truncate
        }
        account.debt = UInt16(after)
        return .send
    }

    @inline(__always)
    private func slot(_ client: IPAddress) -> Int {
        var hash = SipHash(key: key)
        switch ClientNetwork(client).address {
        case .v4(let bits): hash.absorb(UInt64(bits >> 8))
        case .v6(let bits): hash.absorb(UInt64(truncatingIfNeeded: bits >> 72) | 1 << 63)
        }
        return Int(truncatingIfNeeded: hash.finish(length: 8) % UInt64(RateLimiter.slots))
    }
}
