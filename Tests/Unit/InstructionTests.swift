import Testing

@testable import Lab

@Suite("Instructions")
struct InstructionTests {
    /// As llvm-objdump and RFC 9669 have them: code, registers, offset, immediate value.
    @Test(
        "an instruction is encoded as the kernel has it",
        arguments: [
            ("exit", 0x0000_0000_0000_0095), ("r0 = 1", 0x0000_0001_0000_00B7), ("r0 = -1", 0xFFFF_FFFF_0000_00B7),
            ("r2 = r10", 0x0000_0000_0000_A2BF), ("r2 += -8", 0xFFFF_FFF8_0000_0207),
            ("r1 += r2", 0x0000_0000_0000_210F), ("r0 &= 1", 0x0000_0001_0000_0057),
            ("r0 <<= 32", 0x0000_0020_0000_0067), ("w0 = 1", 0x0000_0001_0000_00B4), ("w0 = w1", 0x0000_0000_0000_10BC),
            ("r1 = *(u8 *)(r6 + 8)", 0x0000_0000_0008_6171), ("r1 = *(u16 *)(r6 + 8)", 0x0000_0000_0008_6169),
            ("r1 = *(u32 *)(r6 - 8)", 0x0000_0000_FFF8_6161), ("r1 = *(u64 *)(r6 + 0)", 0x0000_0000_0000_6179),
            ("r1 = *(s8 *)(r6 + 8)", 0x0000_0000_0008_6191), ("*(u64 *)(r0 + 8) = r1", 0x0000_0000_0008_107B),
            ("*(u32 *)(r10 - 4) = 7", 0x0000_0007_FFFC_0A62), ("lock *(u32 *)(r1 + 8) += r0", 0x0000_0000_0008_01C3),
            ("goto +2", 0x0000_0000_0002_0005), ("if r0 == 0 goto +210", 0x0000_0000_00D2_0015),
            ("if r0 != r1 goto -1", 0x0000_0000_FFFF_105D), ("call 1", 0x0000_0001_0000_0085),
            ("call sk_assign", 0x0000_007C_0000_0085), ("call sk_release", 0x0000_0056_0000_0085),
        ] as [(String, UInt64)])
    func encoding(text: String, word: UInt64) throws {
        #expect(try Instruction(text: text).words == [word])
    }

    @Test("the address of a map takes two words")
    func map() throws {
        let instruction = try Instruction(text: "r1 = map sockets")
        #expect(instruction.words == [0x1118, 0])
        #expect(instruction.map == .sockets)
    }

    @Test(
        "what is no instruction is refused",
        arguments: [
            "", "r0", "r0 =", "r11 = 1", "r0 = r11", "r0 = 1 2", "call nothing", "*(u24 *)(r1 + 0) = 1",
            "r0 = *(u32 *)(r1)", "if r0 ~ 1 goto +1", "goto r1", "r1 = map nowhere", "r0 = 4294967296", "exit now",
            "r0 = *(u32 *)(r1 + 40000)",
        ])
    func refused(text: String) {
        #expect(throws: InstructionError.notUnderstood(text)) { try Instruction(text: text) }
    }
}
