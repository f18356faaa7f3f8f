import Foundation
import Testing

@testable import PolicyDNS

@Suite struct CorpusTests {
    /// Tests/Fuzz/dns-corpus.
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Fuzz/dns-corpus").standardizedFileURL

    /// The inputs by file name: two bytes say what the message is tried on, as Sources/PolicyDNSFuzz reads them.
    private static func inputs() throws -> [String: [UInt8]] {
        var inputs: [String: [UInt8]] = [:]
        let asking = try Asking()
        for (index, packet) in try GoldenPacket.all().enumerated() {
            // Responder, transport, client and label take turns.
            inputs[packet.name] = [UInt8(index * 13 % 128), 50] + packet.bytes
            // Some answers, for the client's side.
            asking.monotonicTime += 10_000_000_000
            if index % 6 == 0, let answer = asking.respond(packet.bytes).bytes {
                inputs["answer-to-\(packet.name)"] = [0x80, 0] + answer
            }
        }
        return inputs
    }

    @Test("the corpus that fuzzing starts from is made of the golden packets; LAB_WRITE_CORPUS=1 writes it")
    func corpus() throws {
        let inputs = try Self.inputs()
        #expect(inputs.count <= 200)
        if ProcessInfo.processInfo.environment["LAB_WRITE_CORPUS"] == "1" {
            for (name, bytes) in inputs { try Data(bytes).write(to: Self.folder.appending(path: name)) }
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path(percentEncoded: false))
        #expect(Set(files) == Set(inputs.keys))
        for (name, bytes) in inputs where !name.hasPrefix("answer-to-") {
            #expect(try Data(contentsOf: Self.folder.appending(path: name)) == Data(bytes), "\(name)")
        }
    }
}
