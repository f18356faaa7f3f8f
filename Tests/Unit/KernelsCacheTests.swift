import FoundationEssentials
import Testing

@testable import VirtualMachine

/// A directory that is removed after the test.
func withTemporaryDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let path = "/tmp/lab-unit-\(UInt64.random(in: .min ... .max))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}

func write(_ text: String, to path: String) throws { try Data(text.utf8).write(to: URL(filePath: path)) }

@Suite struct KernelsCacheTests {
    struct Interruption: Error {}

    @Test func `the cache is where the environment says, first LAB_CACHE, then XDG, then home`() throws {
        let home = ["HOME": "/home/me"]
        #expect(try Cache.standardRoot(home) == "/home/me/.cache/binding-lab")
        let xdg = home.merging(["XDG_CACHE_HOME": "/xdg"]) { $1 }
        #expect(try Cache.standardRoot(xdg) == "/xdg/binding-lab")
        #expect(try Cache.standardRoot(xdg.merging(["LAB_CACHE": "here"]) { $1 }) == "here")
        #expect(
            try Cache.standardRoot(home.merging(["XDG_CACHE_HOME": "relative"]) { $1 }) == "/home/me/.cache/binding-lab"
        )
        #expect(throws: CacheError.noHome) { try Cache.standardRoot([:]) }
    }

    @Test func `an entry appears whole when it is filled and not before`() async throws {
        try await withTemporaryDirectory { root in
            let cache = try Cache(root: root)
            let path = try await cache.publish("kind/key") { directory in
                try write("1", to: "\(directory)/a")
                #expect(!cache.contains("kind/key"))
                try write("2", to: "\(directory)/b")
            }
            #expect(Files.names(in: path) == ["a", "b"])
            #expect(cache.entries().map(\.name) == ["kind/key"])
            #expect(Files.names(in: "\(root)/.partial").isEmpty)
        }
    }

    @Test func `an interrupted publication leaves nothing`() async throws {
        try await withTemporaryDirectory { root in
            let cache = try Cache(root: root)
            await #expect(throws: Interruption.self) {
                try await cache.publish("kind/key") { directory in
                    try write("1", to: "\(directory)/a")
                    throw Interruption()
                }
            }
            #expect(!cache.contains("kind/key"))
            #expect(Files.names(in: "\(root)/.partial").isEmpty)
        }
    }

    @Test func `a cancelled publication leaves nothing`() async throws {
        try await withTemporaryDirectory { root in
            let cache = try Cache(root: root)
            let task = Task {
                try await cache.publish("kind/key") { directory in
                    try write("1", to: "\(directory)/a")
                    // Ended by the cancellation, long before.
                    try? await Task.sleep(for: .seconds(60))
                }
            }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(!cache.contains("kind/key"))
            #expect(Files.names(in: "\(root)/.partial").isEmpty)
        }
    }

    @Test func `of two labs that publish one entry the first stays, and both see it`() async throws {
        try await withTemporaryDirectory { root in
            let cache = try Cache(root: root)
            let path = try await cache.publish("kind/key") { directory in
                let other = try Cache(root: root)
                try await other.publish("kind/key") { try write("other", to: "\($0)/who") }
                try write("this", to: "\(directory)/who")
            }
            #expect(try String(contentsOf: URL(filePath: "\(path)/who"), encoding: .utf8) == "other")
        }
    }

    @Test func `what a killed lab left is swept, and what a living one fills is not`() async throws {
        try await withTemporaryDirectory { root in
            let cache = try Cache(root: root)
            // Nobody holds a lock on this one.
            try FileManager.default.createDirectory(
                atPath: "\(root)/.partial/abandoned", withIntermediateDirectories: true)
            try await cache.withScratch { scratch in
                _ = try Cache(root: root)
                #expect(Files.isDirectory(scratch))
                #expect(Files.names(in: "\(root)/.partial").map { "\(root)/.partial/\($0)" } == [scratch])
            }
        }
    }

    @Test func `a small file is replaced in one step`() async throws {
        try await withTemporaryDirectory { root in
            let cache = try Cache(root: root)
            try cache.write(Array("one".utf8), to: "verdicts/kvm")
            try cache.write(Array("two".utf8), to: "verdicts/kvm")
            #expect(try String(contentsOf: URL(filePath: cache.path("verdicts/kvm")), encoding: .utf8) == "two")
        }
    }

    @Test func `clearing removes the entry named, or all`() async throws {
        try await withTemporaryDirectory { root in
            let cache = try Cache(root: root)
            for name in ["a/1", "a/2", "b/1"] { try await cache.publish(name) { try write("x", to: "\($0)/x") } }
            try cache.clear("a/1")
            #expect(cache.entries().map(\.name) == ["a/2", "b/1"])
            #expect(cache.entries().allSatisfy { $0.bytes > 0 })
            try cache.clear()
            #expect(cache.entries().isEmpty)
        }
    }

    @Test(arguments: ["../x", "/etc", "a//b", ".partial", ""])
    func `clearing does not reach outside the cache`(entry: String) async throws {
        try await withTemporaryDirectory { root in
            let cache = try Cache(root: root)
            #expect(throws: CacheError.badEntry(entry)) { try cache.clear(entry) }
        }
    }
}
