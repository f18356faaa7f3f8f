import FoundationEssentials
import Lab
import Testing

@testable import VirtualMachine

/// The smallest file that passes for a bzImage of a release.
func bootImage(release: String) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 5 * 512 + 64)
    // Four setup sectors, 64 bytes of kernel, the boot flag, the magic number, a pointer to the version.
    bytes[0x1F1] = 4
    bytes[0x1F4] = 4
    bytes.replaceSubrange(0x1FE..<0x200, with: [0x55, 0xAA])
    bytes.replaceSubrange(0x202..<0x206, with: Array("HdrS".utf8))
    bytes.replaceSubrange(0x20E..<0x210, with: [0x00, 0x02])
    let banner = Array("\(release) (someone@example.org) #1 SMP Debian 6.12.117-1 (2026-11-12)".utf8)
    bytes.replaceSubrange(0x400..<0x400 + banner.count, with: banner)
    return bytes
}

@Suite struct KernelsImageTests {
    @Test func `an image says its release and build before it is booted`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/bzImage"
            try Data(bootImage(release: "6.12.117+deb13-cloud-amd64")).write(to: URL(filePath: path))
            let kernel = try Kernel.atPath(path)
            #expect(kernel.name == path)
            #expect(
                kernel.identity
                    == KernelIdentity(
                        release: "6.12.117+deb13-cloud-amd64", build: "#1 SMP Debian 6.12.117-1 (2026-11-12)"))
            #expect(kernel.modules == nil)
        }
    }

    @Test func `a truncated image is refused with both sizes`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/bzImage"
            try Data(bootImage(release: "6.12.1").dropLast()).write(to: URL(filePath: path))
            #expect(throws: KernelError.truncated(path: path, bytes: 2623, expected: 2624)) {
                try Kernel.atPath(path)
            }
        }
    }

    @Test func `a file that is no kernel is refused`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/file"
            for content in [[], Array("short".utf8), [UInt8](repeating: 0, count: 4096)] {
                try Data(content).write(to: URL(filePath: path))
                #expect { try Kernel.atPath(path) } throws: { error in
                    guard case KernelError.notAKernel(path, _) = error else { return false }
                    return true
                }
            }
            try Data([0x7F, 0x45, 0x4C, 0x46] + [UInt8](repeating: 0, count: 4096)).write(to: URL(filePath: path))
            #expect { try Kernel.atPath(path) } throws: { "\($0)".contains("vmlinux") }
            #expect { try Kernel.atPath(directory) } throws: { "\($0)".contains("not a regular file") }
        }
    }

    @Test func `a missing image is reported as missing`() {
        #expect(throws: KernelError.missing(path: "/nowhere/bzImage")) { try Kernel.atPath("/nowhere/bzImage") }
    }

    @Test(arguments: ["boot/vmlinuz", "vmlinuz", "lib/modules/6.12.1/vmlinuz"])
    func `the modules of the same release nearby are found`(place: String) async throws {
        try await withTemporaryDirectory { directory in
            for path in ["boot", "lib/modules/6.12.1/kernel", "lib/modules/6.12.2/kernel"] {
                try FileManager.default.createDirectory(
                    atPath: "\(directory)/\(path)", withIntermediateDirectories: true)
            }
            let image = "\(directory)/\(place)"
            try Data(bootImage(release: "6.12.1")).write(to: URL(filePath: image))
            #expect(try Kernel.atPath(image).modules == "\(directory)/lib/modules/6.12.1")
            try Data(bootImage(release: "6.12.3")).write(to: URL(filePath: image))
            #expect(try Kernel.atPath(image).modules == nil)
        }
    }

    @Test func `modules are taken from the directory named, or the release's directory in it`() async throws {
        try await withTemporaryDirectory { directory in
            let image = "\(directory)/vmlinuz"
            try FileManager.default.createDirectory(
                atPath: "\(directory)/m/6.12.1/kernel", withIntermediateDirectories: true)
            try Data(bootImage(release: "6.12.1")).write(to: URL(filePath: image))
            #expect(try Kernel.atPath(image, modules: "\(directory)/m").modules == "\(directory)/m/6.12.1")
            #expect(try Kernel.atPath(image, modules: "\(directory)/m/6.12.1").modules == "\(directory)/m/6.12.1")
            #expect(throws: KernelError.noModules(path: "/nowhere", release: "6.12.1")) {
                try Kernel.atPath(image, modules: "/nowhere")
            }
        }
    }
}
