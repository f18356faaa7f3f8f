import Addressing
import CLinux

/// Buffers for datagrams that are received, answered and sent many at a time.
struct DatagramBatch: ~Copyable {
    /// More do not make a system call cheaper, and all of them should stay in the cache.
    static let capacity = 64
    /// Bytes of a query; a longer one is cut. No well-formed query without padding comes near.
    private static let queryCapacity = 4096
    /// Bytes of an answer, the most that ``Configuration/Limits/udpPayload`` may be.
    private static let answerCapacity = 4096

    private let batch: UnsafeMutablePointer<clinux_batch>

    init() throws(ServerError) {
        guard
            let batch = clinux_batch_create(
                Int32(DatagramBatch.capacity), UInt32(DatagramBatch.queryCapacity), UInt32(DatagramBatch.answerCapacity)
            )
        else { throw .outOfMemory(doing: "making buffers for datagrams") }
        self.batch = batch
    }

    deinit { clinux_batch_destroy(batch) }

    /// Receives what is there; the number of datagrams, or -errno.
    func receive(on descriptor: Int32) -> Int { Int(clinux_batch_receive(batch, descriptor)) }

    /// Answers the first `count` datagrams.
    ///
    /// The buffers are valid for the call of `body` only, which returns the number of bytes that it wrote.
    func answer(
        _ count: Int,
        _ body: (_ source: Endpoint, _ query: UnsafeRawBufferPointer, _ answer: UnsafeMutableRawBufferPointer) -> Int
    ) {
        for index in 0..<count {
            // In bounds: at most `capacity` are received. The buffers belong to the batch, which outlives this call.
            let datagram = batch.pointee.datagrams + index
            guard let source = Endpoint(sourceOf: datagram.pointee) else { continue }
            let written = body(
                source,
                UnsafeRawBufferPointer(start: datagram.pointee.query, count: Int(datagram.pointee.query_length)),
                UnsafeMutableRawBufferPointer(start: datagram.pointee.answer, count: DatagramBatch.answerCapacity))
            datagram.pointee.answer_length = UInt32(truncatingIfNeeded: written)
        }
    }

    /// Sends the answers to the first `count` datagrams, waiting for nothing; the number that the kernel refused.
    ///
    /// - Parameter bound: what the socket is bound to.
    func send(on descriptor: Int32, bound: IPAddress, _ count: Int) -> Int {
        var refused: Int32 = 0
        var address = clinux_bound(
            high: UInt64(truncatingIfNeeded: bound.bits >> 64), low: UInt64(truncatingIfNeeded: bound.bits),
            family: bound.family == .ipv4 ? 4 : 6)
        clinux_batch_send(batch, descriptor, &address, Int32(count), &refused)
        return Int(refused)
    }
}

extension Endpoint {
    fileprivate init?(sourceOf datagram: clinux_datagram) {
        switch datagram.source_family {
        case 4: self.init(.v4(UInt32(truncatingIfNeeded: datagram.source_low)), datagram.source_port)
        case 6:
            self.init(
                .v6(UInt128(datagram.source_high) << 64 | UInt128(datagram.source_low)), datagram.source_port)
        default: return nil
        }
    }
}
