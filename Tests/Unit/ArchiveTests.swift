import Foundation
import Testing
import VirtualMachine

private let busyboxPath = "/bin/busybox"

/// What the lab writes as cpio is cpio: asked of busybox, which knows nothing of us.
struct ArchiveTests {
    private func busybox(_ arguments: [String], input: [UInt8]) throws -> String {
        let path = NSTemporaryDirectory() + "binding-lab-\(UInt64.random(in: 0 ... .max)).cpio"
        try Data(input).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: busyboxPath)
        process.arguments = ["cpio"] + arguments + ["-F", path]
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return text
    }

    private var archive: Archive {
        var archive = Archive()
        archive.add(file: "/bin/tool", content: [1, 2, 3])
        archive.add(file: "bin/odd", mode: 0o644, content: Array("12345".utf8))
        archive.add(link: "bin/sh", to: "tool")
        archive.add(characterDevice: "dev/console", major: 5, minor: 1)
        return archive
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: busyboxPath), "needs busybox: run scripts/setup"))
    func `Busybox lists what was added, and the directories above it`() throws {
        let listing = try busybox(["-t"], input: archive.finished())
        #expect(
            listing.split(separator: "\n") == ["bin", "bin/tool", "bin/odd", "bin/sh", "dev", "dev/console"])
        let details = try busybox(["-tv"], input: archive.finished()).split(separator: "\n")
        #expect(details.contains { $0.hasPrefix("-rw-r--r-- 0/0         5") && $0.hasSuffix("bin/odd") })
        #expect(details.contains { $0.hasPrefix("lrwxrwxrwx") && $0.hasSuffix("bin/sh -> tool") })
        #expect(details.contains { $0.hasPrefix("crw------- 0/0") && $0.hasSuffix("dev/console") })
    }

    @Test func `A path that is there already is left as it is`() {
        var twice = archive
        twice.add(link: "bin/tool", to: "busybox")
        twice.add(directory: "bin")
        #expect(twice.finished() == archive.finished())
    }

    @Test func `The same content gives the same bytes, in whole words`() {
        #expect(archive.finished() == archive.finished())
        #expect(archive.finished().count % 4 == 0)
    }
}
