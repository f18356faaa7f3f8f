import CLinux
import Glibc
import Testing

@testable import Addressing

@Suite struct SecureRandomTests {
    /// The words of one block of the four that are made together.
    private func block(_ block: Int, key: [UInt32], counter: UInt32, nonce: (UInt32, UInt32, UInt32)) -> [UInt32] {
        var output = [UInt32](repeating: 0, count: ChaCha.words)
        ChaCha.fourBlocks(key: key, counter: counter, nonce: nonce, into: &output)
        return (0..<16).map { output[4 * $0 + block] }
    }

    @Test("the block function gives the words of RFC 8439 §2.3.2, in whichever of the four places")
    func knownBlock() {
        let key = (0..<8).map { (word: UInt32) in 0x0302_0100 &+ word &* 0x0404_0404 }
        let expected: [UInt32] = [
            0xe4e7_f110, 0x1559_3bd1, 0x1fdd_0f50, 0xc471_20a3, 0xc7f4_d1c7, 0x0368_c033, 0x9aaa_2204, 0x4e6c_d4c3,
            0x4664_82d2, 0x09aa_9f07, 0x05d7_c214, 0xa202_8bd9, 0xd19c_12b5, 0xb94e_16de, 0xe883_d0cb, 0x4e3c_50a2,
        ]
        for place in 0..<4 {
            let words = block(
                place, key: key, counter: 1 &- UInt32(place), nonce: (0x0900_0000, 0x4a00_0000, 0))
            #expect(words == expected, "place \(place)")
        }
    }

    @Test("the key stream of the zero key begins as in RFC 8439 A.1")
    func zeroKey() {
        let zero = [UInt32](repeating: 0, count: 8)
        #expect(block(0, key: zero, counter: 0, nonce: (0, 0, 0)).prefix(2) == [0xade0_b876, 0x903d_f1a0])
        #expect(block(1, key: zero, counter: 0, nonce: (0, 0, 0)).prefix(2) == [0xbee7_079f, 0x7a38_5155])
        #expect(block(0, key: zero, counter: 1, nonce: (0, 0, 0)).prefix(2) == [0xbee7_079f, 0x7a38_5155])
    }

    @Test("a seeded generator hands out the key stream from its end, but for the eight words that are the next key")
    func seededSequence() {
        var random = SecureRandom(seed: [])
        var first = [UInt32](repeating: 0, count: 64)
        let zero = [UInt32](repeating: 0, count: 8)
        ChaCha.fourBlocks(key: zero, counter: 0, into: &first)
        var second = [UInt32](repeating: 0, count: 64)
        ChaCha.fourBlocks(key: Array(first[56...]), counter: 0, into: &second)
        for word in first[..<56].reversed() + second[..<56].reversed() { #expect(random.next32() == word) }
    }

    @Test("equal seeds give equal sequences, and other seeds others")
    func seeds() {
        var one = SecureRandom(seed: [1, 2, 3])
        var same = SecureRandom(seed: [1, 2, 3])
        var other = SecureRandom(seed: [1, 2, 4])
        let words = (0..<200).map { _ in one.next32() }
        #expect(words == (0..<200).map { _ in same.next32() })
        // Two sequences of 200 random words agree somewhere with a probability of 5e-8, and this seed is fixed.
        #expect(zip(words, (0..<200).map { _ in other.next32() }).allSatisfy { $0 != $1 })
    }

    @Test("generators that the system seeds differ")
    func systemSeeds() {
        var one = SecureRandom()
        var other = SecureRandom()
        // All of 128 bits agree with a probability of 3e-39.
        #expect((0..<4).map { _ in one.next32() } != (0..<4).map { _ in other.next32() })
    }

    @Test("reseeding changes what follows, also in the middle of what was made")
    func reseeding() {
        var kept = SecureRandom(seed: [7])
        var reseeded = SecureRandom(seed: [7])
        #expect(kept.next32() == reseeded.next32())
        reseeded.reseed()
        #expect((0..<4).map { _ in kept.next32() } != (0..<4).map { _ in reseeded.next32() })
    }

    @Test("a child of fork draws other words than its parent")
    func fork() throws {
        var random = SecureRandom(seed: [9])
        _ = random.next32()
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let child = clinux_fork()
        if child == 0 {
            // Nothing here may allocate: another thread of the parent may have held the allocator's lock.
            var words = (random.next32(), random.next32(), random.next32(), random.next32())
            _ = write(ends[1], &words, 16)
            _exit(0)
        }
        close(ends[1])
        defer { close(ends[0]) }
        try #require(child > 0)
        var words: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        #expect(read(ends[0], &words, 16) == 16)
        var status: Int32 = 0
        #expect(waitpid(child, &status, 0) == child)
        let parent = (random.next32(), random.next32(), random.next32(), random.next32())
        #expect(parent != words)
        #expect(words != (0, 0, 0, 0))
    }
}
