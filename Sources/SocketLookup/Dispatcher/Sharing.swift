/// How the sockets of one label, protocol and family share the flows: by the hash of a flow, each has an equal part.
///
/// A socket that goes gives up its shares, and one that comes takes some from each; all other flows stay where they
/// are.
struct Sharing: Hashable, Sendable {
    /// Of the flow hash's values.
    static let shareCount = 64
    static let slotCount = 32
    /// Half of the slots, so that as many can take their places in one step.
    static let limit = slotCount / 2

    /// Which slot each share belongs to. All 0 without a socket.
    private(set) var shares = [UInt8](repeating: 0, count: Sharing.shareCount)
    /// In the order in which they came.
    private(set) var slots: [Int] = []
    /// Those whose sockets get no new flows.
    private(set) var draining: Set<Int> = []

    init() {}

    init(slots: Set<Int>, draining: Set<Int>, shares: [UInt8]) {
        self.slots = slots.sorted()
        self.draining = draining
        self.shares = shares
    }

    /// The lowest slot that is free; nil if none is.
    var free: Int? { (0..<Sharing.slotCount).first { !slots.contains($0) && !draining.contains($0) } }

    mutating func add(_ slot: Int) {
        draining.remove(slot)
        guard !slots.contains(slot) else { return }
        slots.append(slot)
        guard slots.count > 1 else {
            shares = [UInt8](repeating: UInt8(slot), count: Sharing.shareCount)
            return
        }
        // One at a time from whoever has most, of those the first.
        for _ in 0..<Sharing.shareCount / slots.count {
            let richest = slots.dropLast().max { left, right in
                (count(of: left), -left) < (count(of: right), -right)
            }
            guard let richest, let share = shares.firstIndex(of: UInt8(richest)) else { return }
            shares[share] = UInt8(slot)
        }
    }

    mutating func remove(_ slot: Int) {
        draining.remove(slot)
        guard let index = slots.firstIndex(of: slot) else { return }
        slots.remove(at: index)
        for share in shares.indices where Int(shares[share]) == slot {
            let poorest = slots.min { left, right in (count(of: left), left) < (count(of: right), right) }
            shares[share] = UInt8(poorest ?? 0)
        }
    }

    mutating func drain(_ slot: Int) {
        guard slots.contains(slot) else { return }
        remove(slot)
        draining.insert(slot)
    }

    /// How many shares a slot has.
    func count(of slot: Int) -> Int { slots.contains(slot) ? shares.count { Int($0) == slot } : 0 }
}
