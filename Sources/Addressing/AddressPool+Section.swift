extension AddressPool {
    /// The addresses of one family in a pool, laid out for drawing.
    ///
    /// A single prefix needs no more than its bits and a mask. Otherwise the addresses that may be drawn are a
    /// list of disjoint blocks, numbered through: a number is drawn, and the block that holds it gives the address.
    public struct Section: Hashable, Sendable {
        public let family: AddressFamily
        /// How many bits are random, if that is all there is to it; -1 if there are ``choices``.
        @usableFromInline let hostBits: Int
        @usableFromInline let base: UInt128
        @usableFromInline let choices: [Choice]
        /// Of one choice after the other.
        @usableFromInline let blocks: [Block]
        @usableFromInline let totalWeight: UInt64

        /// Blocks that are drawn from uniformly: one prefix with a weight, or all that have none.
        @usableFromInline
        struct Choice: Hashable, Sendable {
            /// The sum of the weights up to and with this one.
            @usableFromInline let upToWeight: UInt64
            /// The first of its blocks, and how many there are.
            @usableFromInline let firstBlock: Int
            @usableFromInline let blockCount: Int
            @usableFromInline let count: UInt128
            /// How many bits a number below `count` needs.
            @usableFromInline let bits: Int
        }

        /// Consecutive addresses: their first, and its number within the choice.
        @usableFromInline
        struct Block: Hashable, Sendable {
            @usableFromInline let number: UInt128
            @usableFromInline let address: UInt128
        }

        init(_ prefix: Prefix) {
            family = prefix.family
            hostBits = prefix.family.width - prefix.length
            base = prefix.address.bits
            choices = []
            blocks = []
            totalWeight = 0
        }

        /// - Returns: nil if no member is of `family`.
        init?(_ family: AddressFamily, _ members: [Member], _ exclusions: [Prefix]) throws(AddressPoolError) {
            let members = members.filter { $0.prefix.family == family }
            let exclusions = exclusions.filter { $0.family == family }
            guard let first = members.first else { return nil }
            for member in members {
                if member.weight == 0 { throw .weightOutOfRange(member.prefix) }
                if member.weight == nil, members.contains(where: { $0.weight != nil }) {
                    throw .weightOfSome(missing: member.prefix)
                }
            }
            if members.count == 1, exclusions.isEmpty {
                self.init(first.prefix)
                return
            }
            var left: [(weight: UInt64, blocks: [Prefix])] = []
            for member in members {
                let blocks = member.prefix.without(exclusions)
                guard !blocks.isEmpty else { throw .nothingLeft(member.prefix) }
                left.append((UInt64(member.weight ?? 0), blocks))
            }
            if first.weight == nil {
                left = [(1, left.flatMap(\.blocks))]
                // Disjoint prefixes that have 2^128 addresses are all of IPv6, which no UInt128 counts.
                if left[0].blocks.reduce(UInt128(0), { $0 &+ 1 << UInt128(family.width - $1.length) }) == 0 {
                    self.init(allOf: family)
                    return
                }
            }
            var weight: UInt64 = 0
            var choices: [Choice] = []
            var blocks: [Block] = []
            for choice in left {
                weight += choice.weight
                let firstBlock = blocks.count
                var count: UInt128 = 0
                for prefix in choice.blocks {
                    // A prefix that begins where the one before ends is in the same block: /24 without its edges is one.
                    // What follows the last address of IPv6 is 0, and not next to it.
                    let begins = blocks[firstBlock...].last.map { $0.address &+ (count - $0.number) }
                    if begins != prefix.address.bits || begins == 0 {
                        blocks.append(Block(number: count, address: prefix.address.bits))
                    }
                    count += 1 << UInt128(family.width - prefix.length)
                }
                choices.append(
                    Choice(
                        upToWeight: weight, firstBlock: firstBlock, blockCount: blocks.count - firstBlock, count: count,
                        bits: 128 - (count - 1).leadingZeroBitCount))
            }
            self.init(family, choices, blocks, totalWeight: weight)
        }

        private init(allOf family: AddressFamily) {
            self.family = family
            hostBits = family.width
            base = 0
            choices = []
            blocks = []
            totalWeight = 0
        }

        private init(_ family: AddressFamily, _ choices: [Choice], _ blocks: [Block], totalWeight: UInt64) {
            self.family = family
            self.choices = choices
            self.blocks = blocks
            self.totalWeight = totalWeight
            hostBits = -1
            base = 0
        }

        /// Draws an address.
        ///
        /// Numbers of addresses that are powers of two, which is all that prefixes alone give, take bits
        /// as they come. Others take the bits of the next power of two and reject what is too high: less than two draws on average.
        @inlinable
        public func draw(from source: inout some RandomBits & ~Copyable) -> IPAddress {
            if hostBits >= 0 {
                // Most pools are one IPv4 prefix: no arithmetic on 128 bits then.
                if family == .ipv4 {
                    if hostBits == 0 { return .v4(UInt32(truncatingIfNeeded: base)) }
                    let mask = UInt32.max >> UInt32(32 - hostBits)
                    return .v4(UInt32(truncatingIfNeeded: base) | (source.next32() & mask))
                }
                return .v6(base | source.bits(hostBits))
            }
            var index = 0
            if choices.count > 1 {
                let weight = UInt64(truncatingIfNeeded: Section.number(below: UInt128(totalWeight), from: &source))
                while weight >= choices[index].upToWeight { index += 1 }
            }
            let number = Section.number(below: choices[index].count, bits: choices[index].bits, from: &source)
            return IPAddress(family: family, bits: address(number, of: choices[index]))
        }

        /// The address with a number below the choice's count: a search for the last block that begins at or before it.
        ///
        /// By halves, and without a branch that depends on the number: the processor would guess a random one wrong.
        @inlinable
        func address(_ number: UInt128, of choice: Choice) -> UInt128 {
            var place = choice.firstBlock
            var left = choice.blockCount
            while left > 1 {
                let half = left / 2
                place = blocks[place + half].number <= number ? place + half : place
                left -= half
            }
            return blocks[place].address + (number - blocks[place].number)
        }

        /// How many addresses there are; nil for all of IPv6, which UInt128 cannot count.
        public var count: UInt128? {
            if hostBits == 128 { return nil }
            if hostBits >= 0 { return 1 << UInt128(hostBits) }
            // Weighted prefixes that are all of IPv6 together: the sum wraps to 0, which no other one is.
            let sum = choices.reduce(UInt128(0)) { $0 &+ $1.count }
            return sum == 0 ? nil : sum
        }

        /// The address with a number, counted from the first and over again after the last.
        public func address(at number: UInt128) -> IPAddress {
            var number = count.map { number % $0 } ?? number
            if hostBits >= 0 { return IPAddress(family: family, bits: base | number) }
            var index = 0
            while number >= choices[index].count {
                number -= choices[index].count
                index += 1
            }
            return IPAddress(family: family, bits: address(number, of: choices[index]))
        }

        public func contains(_ address: IPAddress) -> Bool {
            guard address.family == family else { return false }
            if hostBits >= 0 { return hostBits == 128 || (address.bits ^ base) >> UInt128(hostBits) == 0 }
            return choices.contains { choice in
                let last = choice.firstBlock + choice.blockCount - 1
                return (choice.firstBlock...last).contains { place in
                    let end = place < last ? blocks[place + 1].number : choice.count
                    let bits = address.bits
                    return bits >= blocks[place].address
                        && bits - blocks[place].address < end - blocks[place].number
                }
            }
        }

        @inlinable
        static func number(below count: UInt128, from source: inout some RandomBits & ~Copyable) -> UInt128 {
            number(below: count, bits: 128 - (count - 1).leadingZeroBitCount, from: &source)
        }

        @inlinable
        static func number(
            below count: UInt128, bits: Int, from source: inout some RandomBits & ~Copyable
        ) -> UInt128 {
            while true {
                let number = source.bits(bits)
                if number < count { return number }
            }
        }
    }
}

extension Prefix {
    /// The largest prefixes that together hold what is in this one and in none of `others`, in order.
    func without(_ others: [Prefix]) -> [Prefix] {
        let inside = others.filter { $0.contains(self) || contains($0) }
        if inside.isEmpty { return [self] }
        if inside.contains(where: { $0.contains(self) }) { return [] }
        return halves.flatMap { $0.without(inside) }
    }

    /// The two prefixes that are one bit longer; none of a prefix of one address.
    private var halves: [Prefix] {
        guard length < family.width else { return [] }
        let bit = UInt128(1) << UInt128(family.width - length - 1)
        return [address.bits, address.bits | bit].compactMap {
            // Never refused: the host bits of both are zero.
            try? Prefix(IPAddress(family: family, bits: $0), length: length + 1)
        }
    }
}
