import Channel
import Synchronization

/// What arrived from a guest and has not been looked at.
final class Mailbox: Sendable {
    enum Delivery: Sendable {
        case notice(Notice)
        case damaged(FrameError)
        /// QEMU has ended, or closed the channel. It stays so.
        case closed
    }

    private struct State {
        var deliveries: [Delivery] = []
        var isClosed = false
        var waiter: CheckedContinuation<Delivery?, Never>?
    }

    private let state = Mutex(State())

    func put(_ delivery: Delivery) {
        let waiter = state.withLock { state -> CheckedContinuation<Delivery?, Never>? in
            if case .closed = delivery { state.isClosed = true }
            guard let waiter = state.waiter else {
                if case .closed = delivery {} else { state.deliveries.append(delivery) }
                return nil
            }
            state.waiter = nil
            return waiter
        }
        waiter?.resume(returning: delivery)
    }

    /// Whether nothing more will come.
    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// The next delivery; nil when `limit` has passed without one. One caller at a time.
    func next(within limit: Duration) async throws -> Delivery? {
        let delivery = await withTaskGroup(of: Delivery?.self) { group in
            group.addTask { await self.take() }
            group.addTask {
                // The deadline itself; cancelled as soon as a delivery is there.
                try? await Task.sleep(for: limit)
                return nil
            }
            var delivery = await group.next() ?? nil
            group.cancelAll()
            // One that arrives together with the deadline has still arrived.
            for await other in group { delivery = delivery ?? other }
            return delivery
        }
        if delivery == nil { try Task.checkCancellation() }
        return delivery
    }

    private func take() async -> Delivery? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state -> Delivery?? in
                    if !state.deliveries.isEmpty { return state.deliveries.removeFirst() }
                    if state.isClosed { return .closed }
                    // Cancelled before this point: the handler has found no waiter.
                    if Task.isCancelled { return .some(nil) }
                    state.waiter = continuation
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: nil)
        }
    }
}
