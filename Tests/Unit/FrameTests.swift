import Channel
import Lab
import Testing

/// Frames survive being cut into pieces, and anything else is an error that leaves the next frame readable.
struct FrameTests {
    private let payload = Array(#"{"hello":"world"}"#.utf8)

    private func read(_ bytes: [UInt8]) -> (payloads: [[UInt8]], errors: [FrameError]) {
        var reader = FrameReader()
        reader.append(bytes)
        var payloads: [[UInt8]] = []
        var errors: [FrameError] = []
        while true {
            do throws(FrameError) {
                guard let payload = try reader.next() else { return (payloads, errors) }
                payloads.append(payload)
            } catch {
                errors.append(error)
            }
        }
    }

    @Test func `What is encoded comes back, an empty payload too`() throws {
        let result = read(try Frame.encode(payload) + Frame.encode([]))
        #expect(result.payloads == [payload, []])
        #expect(result.errors.isEmpty)
    }

    @Test func `A frame that arrives byte by byte is complete with its last byte`() throws {
        let frame = try Frame.encode(payload)
        var reader = FrameReader()
        for byte in frame.dropLast() {
            reader.append([byte])
            #expect(try reader.next() == nil)
        }
        reader.append(frame.suffix(1))
        #expect(try reader.next() == payload)
    }

    @Test func `Damage to any one byte is noticed, and the next frame is read`() throws {
        let frame = try Frame.encode(payload)
        for index in frame.indices {
            for flip in [UInt8(0x01), 0x80] {
                var damaged = frame
                damaged[index] ^= flip
                let result = read(try damaged + Frame.encode([7]))
                #expect(result.payloads == [[7]], "byte \(index)")
                #expect(!result.errors.isEmpty, "byte \(index)")
            }
        }
    }

    @Test func `A frame that is cut off is noticed when the next one starts`() throws {
        let frame = try Frame.encode(payload)
        // Short of its header's checksum; a longer one swallows bytes of the next, and fails its own checksum.
        for count in 1..<12 {
            let result = read(try Array(frame.prefix(count)) + Frame.encode([7]))
            #expect(result.payloads == [[7]], "\(count) bytes")
        }
        let result = read(try Array(frame.prefix(20)) + Frame.encode([7]) + Frame.encode([8]))
        #expect(result.payloads.last == [8])
        #expect(result.errors.contains(.damagedPayload(bytes: payload.count)))
    }

    @Test func `Bytes that belong to no frame are counted and skipped`() throws {
        let result = read(try Array("login: ".utf8) + Frame.encode(payload))
        #expect(result.payloads == [payload])
        #expect(result.errors == [.garbage(bytes: 7)])
    }

    @Test func `A payload beyond the limit is refused`() {
        #expect(throws: FrameError.tooLong(bytes: Frame.limit + 1, limit: Frame.limit)) {
            try Frame.encode([UInt8](repeating: 0, count: Frame.limit + 1))
        }
    }

    @Test func `Messages come back as they were`() throws {
        let fixture = Fixture(
            name: "a/b", summary: "s", because: [],
            steps: [Step(.namespace("x")), Step(.exec(Command(in: "x", "echo ä")))])
        let requests: [Request] = [.perform(fixture, trial: 1), .misbehave(.panic, trial: 2)]
        var reader = FrameReader()
        for request in requests { reader.append(try Frame.encode(message: request)) }
        for request in requests { #expect(try reader.next(Request.self) == request) }

        let notices: [Notice] = [
            .ready(KernelIdentity(release: "6.12.117", build: "#1"), problems: ["p"]), .began(step: 1),
            .observed(step: 1, Observation(.exited(0, output: "x"))), .finished(.finished),
            .misunderstood(reason: "r"),
        ]
        for notice in notices { reader.append(try Frame.encode(message: notice)) }
        for notice in notices { #expect(try reader.next(Notice.self) == notice) }
    }

    @Test func `A payload that is no message says so`() throws {
        var reader = FrameReader()
        reader.append(try Frame.encode(payload))
        #expect {
            try reader.next(Request.self)
        } throws: {
            if case FrameError.notAMessage = $0 { true } else { false }
        }
    }
}
