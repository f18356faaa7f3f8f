import Addressing

/// What is known of a query besides its bytes.
public struct Arrival: Sendable {
    /// The client's address and port.
    public var source: Endpoint
    /// The index of the listener's label in ``Service/labels``.
    public var label: Int
    public var transport: TransportProtocol
    /// Seconds since 1970, for cookies (RFC 9018).
    public var unixTime: UInt32
    /// Nanoseconds of a clock that never goes back, for rates.
    public var monotonicTime: UInt64

    public init(
        source: Endpoint, label: Int, transport: TransportProtocol, unixTime: UInt32, monotonicTime: UInt64
    ) {
        self.source = source
        self.label = label
        self.transport = transport
        self.unixTime = unixTime
        self.monotonicTime = monotonicTime
    }
}

/// What became of a query: what to send, and what metrics and logs want to know of it.
public struct Response: Hashable, Sendable {
    /// The number of bytes to send; 0 for silence.
    public var length: Int
    /// The RCODE with its EDNS bits, 0–4095; of a query that gets silence, that which it would have had.
    public var rcode: UInt16 = 0
    /// The QTYPE; nil where no question could be read.
    public var type: UInt16?
    /// The index in ``Service/policies`` of the policy that answered.
    public var policy: Int?
    public var truncated = false
    /// Why nothing is sent; nil if something is.
    public var silence: Silence?

    public enum Silence: String, Hashable, Sendable, CaseIterable {
        /// Shorter than a header.
        case notAMessage = "not-a-message"
        /// QR is set: answering answers would make a loop.
        case isAResponse = "is-a-response"
        /// Over the client's rate.
        case rateLimited = "rate-limited"
    }

    public static func silence(_ reason: Silence) -> Response {
        Response(length: 0, silence: reason)
    }

    public init(length: Int, silence: Silence? = nil) {
        self.length = length
        self.silence = silence
    }
}
