import Glibc

/// The times that a worker goes by: read once per turn, not per query.
public struct ServerClock: Sendable {
    /// Nanoseconds, never going back.
    public var monotonic: @Sendable () -> UInt64
    /// Seconds since 1970.
    public var unix: @Sendable () -> UInt32

    public init(monotonic: @escaping @Sendable () -> UInt64, unix: @escaping @Sendable () -> UInt32) {
        self.monotonic = monotonic
        self.unix = unix
    }

    /// The kernel's CLOCK_MONOTONIC and CLOCK_REALTIME.
    public static let system = ServerClock(
        monotonic: {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        },
        // RFC 9018 §4.3 compares timestamps in serial number arithmetic, so that the overflow in 2106 is no matter.
        unix: { UInt32(truncatingIfNeeded: time(nil)) })
}
