import Testing

@testable import SocketLookup

@Suite("Sockets that share flows")
struct SharingTests {
    @Test("one has all of them")
    func one() {
        var sharing = Sharing()
        sharing.add(5)
        #expect(sharing.shares == [UInt8](repeating: 5, count: 64))
        #expect(sharing.count(of: 5) == 64)
        sharing.remove(5)
        #expect(sharing.slots.isEmpty)
    }

    @Test("each has the same number of shares, or one more or less, whoever comes and goes")
    func even() {
        var sharing = Sharing()
        for slot in 0..<16 {
            sharing.add(slot)
            #expect(spread(of: sharing) <= 1, "\(slot + 1) sockets")
        }
        for slot in [3, 0, 15, 7, 8, 1] {
            sharing.remove(slot)
            #expect(spread(of: sharing) <= 1, "without \(slot)")
        }
        sharing.add(3)
        #expect(spread(of: sharing) <= 1)
        #expect(sharing.slots.reduce(0) { $0 + sharing.count(of: $1) } == 64)
    }

    @Test("when one goes, the flows of the others stay; when one comes, it takes no more than its part")
    func stay() {
        var sharing = Sharing()
        for slot in 0..<5 { sharing.add(slot) }
        let before = sharing.shares
        sharing.remove(2)
        for (old, new) in zip(before, sharing.shares) where old != 2 { #expect(old == new) }
        let without = sharing.shares
        sharing.add(9)
        for (old, new) in zip(without, sharing.shares) where new != 9 { #expect(old == new) }
    }

    @Test("a slot that drains is not given to another, has no shares, and can come back")
    func drain() {
        var sharing = Sharing()
        sharing.add(0)
        sharing.add(1)
        sharing.drain(0)
        #expect(sharing.free == 2)
        #expect(sharing.count(of: 0) == 0)
        #expect(sharing.shares == [UInt8](repeating: 1, count: 64))
        sharing.add(0)
        #expect(sharing.draining.isEmpty)
        #expect(sharing.count(of: 0) == 32)
    }

    @Test("is written and read without loss")
    func layout() {
        var kinds = [Sharing](repeating: Sharing(), count: 4)
        for slot in [0, 31, 7] { kinds[1].add(slot) }
        kinds[1].drain(7)
        kinds[3].add(16)
        let bytes = DispatchLayout.label(kinds)
        #expect(bytes.count == DispatchLayout.labelSize)
        let read = DispatchLayout.kinds(bytes)
        #expect(read.map(\.shares) == kinds.map(\.shares))
        #expect(read.map { Set($0.slots) } == kinds.map { Set($0.slots) })
        #expect(read.map(\.draining) == kinds.map(\.draining))
    }

    private func spread(of sharing: Sharing) -> Int {
        let counts = sharing.slots.map { sharing.count(of: $0) }
        return (counts.max() ?? 0) - (counts.min() ?? 0)
    }
}
