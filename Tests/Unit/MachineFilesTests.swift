import Foundation
import Testing

@testable import VirtualMachine

/// What machines keep in files, and what they are made from.
struct MachineFilesTests {
    private func withDirectory(_ body: (String) async throws -> Void) async throws {
        let path = NSTemporaryDirectory() + "binding-lab-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(path)
    }

    @Test func `A run's directory goes with its scope, an error's included`() async throws {
        struct Failure: Error {}
        try await withDirectory { parent in
            await #expect(throws: Failure.self) {
                try await RunDirectory.with(in: parent) { run in
                    #expect(FileManager.default.fileExists(atPath: run.path))
                    throw Failure()
                }
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: parent)
            #expect(left.isEmpty)
        }
    }

    @Test func `What a killed lab left goes when the next starts, and a living one's stays`() async throws {
        try await withDirectory { parent in
            // Process 1 lives, and started at another time than this says.
            let stale = ["4194304.1.abc", "1.999999999999.abc"]
            for name in stale + ["not-ours"] {
                try FileManager.default.createDirectory(
                    atPath: "\(parent)/\(name)", withIntermediateDirectories: true)
            }
            try await RunDirectory.with(in: parent) { first in
                try await RunDirectory.with(in: parent) { _ in
                    #expect(FileManager.default.fileExists(atPath: first.path))
                }
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: parent)
            #expect(left == ["not-ours"])
        }
    }

    @Test func `A file that could not be made whole is not there`() async throws {
        try await withDirectory { directory in
            struct Failure: Error {}
            await #expect(throws: Failure.self) {
                try await Files.place("\(directory)/x") {
                    try Files.write([1], to: $0)
                    throw Failure()
                }
            }
            try await Files.place("\(directory)/y") { try Files.write([1], to: $0) }
            let left = try FileManager.default.contentsOfDirectory(atPath: directory)
            #expect(left == ["y"])
        }
    }

    @Test func `Modules are loaded after what they depend on, compressed or not`() async throws {
        try await withDirectory { directory in
            let module = { (name: String, depends: String) in
                let content = [0x7F, 0x45, 0x4C, 0x46] + Array("\0license=GPL\0depends=\(depends)\0name=x\0".utf8)
                try Files.makeDirectory("\(directory)/kernel/net")
                try Files.write(content, to: "\(directory)/kernel/net/\(name)")
            }
            try module("tcp_diag.ko", "inet_diag")
            try module("inet_diag.ko", "some-helper")
            try module("some-helper.ko", "")
            try module("unrelated.ko", "nothing")
            let tcp = "\(directory)/kernel/net/tcp_diag.ko"
            _ = try await Tool("gzip", package: "gzip").run([tcp], on: tcp)

            var modules = KernelModules(directory: directory)
            try await modules.load()
            #expect(modules.order == "some_helper\ninet_diag\ntcp_diag\n")
            #expect(modules.modules.allSatisfy { $0.content.starts(with: [0x7F, 0x45]) })
        }
    }

    @Test func `A module that is no ELF file is refused by name`() async throws {
        try await withDirectory { directory in
            try Files.write(Array("not a module".utf8), to: "\(directory)/veth.ko")
            var modules = KernelModules(directory: directory)
            await #expect(throws: MachineError.badModule("\(directory)/veth.ko", reason: "it is not an ELF file")) {
                try await modules.load()
            }
        }
    }

    @Test func `A kernel without modules lacks them all, and that is no error`() async throws {
        var modules = KernelModules(directory: nil)
        try await modules.load()
        #expect(modules.order.isEmpty)
    }

    @Test func `An executable with an interpreter is not static`() throws {
        // This test is linked dynamically, and busybox-static is not.
        #expect(!ELF.isStaticExecutable(try Files.read("/proc/self/exe")))
        #expect(!ELF.isStaticExecutable([]))
        #expect(!ELF.isStaticExecutable(Array("#!/bin/sh\n".utf8)))
    }

    @Test func `A console that is not there does not look clean`() {
        #expect(throws: Loss.self) { try Console(path: "/nonexistent/console.log").text() }
    }
}
