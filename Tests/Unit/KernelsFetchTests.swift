import FoundationEssentials
import Glibc
import Subprocess
import Testing

@testable import VirtualMachine

/// Runs the fetcher against an archive made for the purpose: a directory, signed with a throw-away key.
@Suite(.enabled(if: DebianFixture.canBeMade, "needs apt-get, dpkg-deb and gpg: apt install apt dpkg gpg"))
struct KernelsFetchTests {
    static let catalogue = KernelCatalogue(series: [
        .init(name: "6.12", suites: ["absent", "expired", "good"]),
        .init(name: "7.3", suites: ["good"]),
        .init(name: "7.1", suites: ["good", "expired"]),
        .init(name: "6.1", suites: ["foreign"]),
    ])

    @Test func `good kernels are fetched whatever is wrong with other series and suites`() async throws {
        try await DebianFixture.with { archive in
            let fetcher = try archive.fetcher(Self.catalogue)
            let results = try await fetcher.fetch(["7.3", "6.12", "7.1", "6.1", "9.9"])
            #expect(results.map(\.series) == ["7.3", "6.12", "7.1", "6.1", "9.9"])

            // Divided into three packages, image beside the modules; a fourth that it can do without is gone.
            let divided = try results[0].result.get()
            #expect(divided.origin == "linux-image-7.3.4-cloud-amd64 7.3.4-1 from good")
            #expect(divided.identity?.release == "7.3.4-cloud-amd64")
            #expect(divided.modules.map { Files.names(in: "\($0)/kernel") } == ["veth.ko"])
            #expect(Files.exists("\(Files.parent(of: divided.image))/config"))

            // The newest of 6.12.9 and 6.12.117, in one package; from the third suite, for good reasons.
            let whole = try results[1].result.get()
            #expect(whole.origin == "linux-image-6.12.117-cloud-amd64 6.12.117-1 from good")
            #expect(whole.modules.map { Files.names(in: "\($0)/kernel") } == ["veth.ko"])

            guard case .failure(.unavailable("7.1", let suites)) = results[2].result else {
                Issue.record("7.1 has no modules in the archive, but: \(results[2].result)")
                return
            }
            try #require(suites.map(\.suite) == ["good", "expired"])
            #expect(
                suites[0].problem
                    == .incomplete(image: "linux-image-7.1.9-cloud-amd64", lacks: ["linux-modules-7.1.9-cloud-amd64"]))
            guard case .expired = suites[1].problem else {
                Issue.record("an expired suite was not refused as such: \(suites[1].problem)")
                return
            }
            guard case .failure(.unavailable("6.1", let foreign)) = results[3].result,
                case .untrusted = foreign.first?.problem
            else {
                Issue.record("a suite that someone else signed was not refused: \(results[3].result)")
                return
            }
            guard case .failure(.unknownSeries("9.9", known: _)) = results[4].result else {
                Issue.record("9.9 is not in the catalogue, but: \(results[4].result)")
                return
            }
            #expect(fetcher.cache.entries().map(\.name) == ["kernels/6.12", "kernels/7.3"])
            #expect(Files.names(in: fetcher.cache.path(".partial")).isEmpty)
        }
    }

    @Test func `a cached kernel needs no archive until it is to be refreshed`() async throws {
        try await DebianFixture.with { archive in
            let fetcher = try archive.fetcher(Self.catalogue)
            #expect(fetcher.cached("7.3") == nil)
            let first = try await fetcher.fetch(["7.3"])[0].result.get()
            try FileManager.default.removeItem(atPath: "\(archive.root)/repository")
            #expect(fetcher.cached("7.3") == first)
            #expect(try await fetcher.fetch(["7.3"])[0].result.get() == first)
            guard
                case .failure(.unavailable("7.3", let suites)) = try await fetcher.fetch(["7.3"], refresh: true)[0]
                    .result
            else {
                Issue.record("a refresh succeeded without an archive")
                return
            }
            #expect(suites == [SuiteFailure(suite: "good", problem: .absent)])
            #expect(fetcher.cached("7.3") == first)
        }
    }

    @Test func `a package that was changed after it was signed is refused and leaves nothing`() async throws {
        try await DebianFixture.with { archive in
            let pool = "\(archive.root)/repository/pool"
            for deb in Files.names(in: pool) where deb.contains("7.3.4") {
                var bytes = try Data(contentsOf: URL(filePath: "\(pool)/\(deb)"))
                bytes[bytes.count - 1] ^= 1
                try bytes.write(to: URL(filePath: "\(pool)/\(deb)"))
            }
            let fetcher = try archive.fetcher(Self.catalogue)
            guard case .failure(.toolFailed("apt-get", _, _)) = try await fetcher.fetch(["7.3"])[0].result else {
                Issue.record("a changed package was accepted")
                return
            }
            #expect(fetcher.cached("7.3") == nil)
            #expect(Files.names(in: fetcher.cache.path(".partial")).isEmpty)
        }
    }

    @Test func `a missing keyring is an error that names the package to install`() async throws {
        try await withTemporaryDirectory { directory in
            let fetcher = KernelFetcher(
                catalogue: Self.catalogue, cache: try Cache(root: directory),
                environment: ["LAB_DEBIAN_MIRROR": "file:///nowhere"], keyrings: ["/nowhere.gpg"])
            let result = try await fetcher.fetch(["7.3"])[0].result
            #expect(result == .failure(.noKeyring(tried: ["/nowhere.gpg"])))
            guard case .failure(let error) = result else { return }
            #expect(error.description.contains("debian-archive-keyring"))
        }
    }
}

@Suite struct KernelsToolTests {
    @Test func `a cancelled tool is ended together with what it started`() async throws {
        try await withTemporaryDirectory { directory in
            let task = Task {
                try await ArchiveTool.run("sh", ["-c", "sleep 300 & echo $! >pid.new; mv pid.new pid; wait"], in: directory)
            }
            while !Files.exists("\(directory)/pid") { try await Task.sleep(for: .milliseconds(5)) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            let text = try String(contentsOf: URL(filePath: "\(directory)/pid"), encoding: .utf8)
            let child = try #require(pid_t(text.trimmed))
            // It has been sent its signal, and goes when it is scheduled. Whoever inherits it may not reap it at
            // once: a zombie has been ended as well.
            func isRunning() -> Bool {
                let state = try? String(contentsOf: URL(filePath: "/proc/\(child)/stat"), encoding: .utf8)
                return state.map { !$0.contains(") Z ") } ?? false
            }
            for _ in 0..<1000 where isRunning() { try await Task.sleep(for: .milliseconds(5)) }
            #expect(!isRunning())
        }
    }

    @Test func `a tool that is not installed is named`() async {
        await #expect(throws: KernelError.toolMissing("no-such-tool")) { try await ArchiveTool.run("no-such-tool", []) }
    }
}

/// An archive with four suites: `good`, `expired`, `foreign` (signed by someone else), and none called `absent`.
struct DebianFixture {
    let root: String

    static let canBeMade = ["apt-get", "dpkg-deb", "gpg"].allSatisfy { tool in
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            Files.exists("\($0)/\(tool)")
        }
    }

    static func with(_ body: (DebianFixture) async throws -> Void) async throws {
        try await withTemporaryDirectory { root in
            for (release, name) in [
                ("6.12.9-cloud-amd64", "old"), ("6.12.117-cloud-amd64", "whole"), ("7.3.4-cloud-amd64", "divided"),
            ] {
                try Data(bootImage(release: release)).write(to: URL(filePath: "\(root)/\(name)"))
            }
            try write(script, to: "\(root)/make")
            let made = try await ArchiveTool.run("sh", ["-eu", "make"], in: root)
            try #require(made.status.isSuccess, "\(made.errors)")
            try await body(DebianFixture(root: root))
        }
    }

    func fetcher(_ catalogue: KernelCatalogue) throws -> KernelFetcher {
        KernelFetcher(
            catalogue: catalogue, cache: try Cache(root: "\(root)/cache"),
            environment: ["LAB_DEBIAN_MIRROR": "file://\(root)/repository"], keyrings: ["\(root)/debian.gpg"])
    }

    private static let script = #"""
        umask 022
        mkdir -p repository/pool
        package() { # name version depends: a package of what is in tree
            mkdir -p tree/DEBIAN
            printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody\nDescription: none\n' "$1" "$2" >tree/DEBIAN/control
            [ -z "$3" ] || echo "Depends: $3" >>tree/DEBIAN/control
            deb=pool/$1_$2_amd64.deb
            dpkg-deb --root-owner-group -Znone -b tree "repository/$deb" >/dev/null
            { cat tree/DEBIAN/control
              echo "Filename: $deb"
              echo "Size: $(stat -c %s "repository/$deb")"
              echo "SHA256: $(sha256sum "repository/$deb" | cut -d' ' -f1)"
              echo; } >>Packages
            rm -rf tree
        }
        whole() { # image release version
            mkdir -p "tree/boot" "tree/lib/modules/$2/kernel"
            cp "$1" "tree/boot/vmlinuz-$2"; echo x >"tree/lib/modules/$2/kernel/veth.ko"
            package "linux-image-$2" "$3" kmod
        }
        whole whole 6.12.117-cloud-amd64 6.12.117-1
        whole old 6.12.9-cloud-amd64 6.12.9-1
        r=7.3.4-cloud-amd64
        mkdir -p tree; package linux-image-$r 7.3.4-1 "linux-base-$r (= 7.3.4-1), linux-binary-$r (= 7.3.4-1), linux-modules-$r (= 7.3.4-1)"
        mkdir -p tree/usr/lib/modules/$r; cp divided tree/usr/lib/modules/$r/vmlinuz; echo x >tree/usr/lib/modules/$r/config
        package linux-binary-$r 7.3.4-1 ""
        mkdir -p tree/usr/lib/modules/$r/kernel; echo x >tree/usr/lib/modules/$r/kernel/veth.ko
        package linux-modules-$r 7.3.4-1 ""
        mkdir -p tree; package linux-image-7.1.9-cloud-amd64 7.1.9-1 "linux-modules-7.1.9-cloud-amd64 (= 7.1.9-1)"

        export GNUPGHOME=$PWD/gpg
        mkdir -m 700 gpg
        trap 'gpgconf --kill all' EXIT
        for who in debian foreign; do
            gpg --batch --quiet --passphrase '' --quick-generate-key "$who <$who@example.org>" ed25519 sign never
            gpg --batch --export $who@example.org >$who.gpg
        done
        suite() { # name signer valid-until
            d=repository/dists/$1; mkdir -p $d/main/binary-amd64
            cp Packages $d/main/binary-amd64/
            { printf 'Suite: %s\nCodename: %s\nComponents: main\nArchitectures: amd64\n' $1 $1
              echo "Date: $(date -Ru -d '2 days ago')"
              echo "Valid-Until: $(date -Ru -d "$3")"
              echo SHA256:
              echo " $(sha256sum <Packages | cut -d' ' -f1) $(stat -c %s Packages) main/binary-amd64/Packages"
            } >Release
            gpg --batch --quiet --passphrase '' --pinentry-mode loopback -u $2@example.org --clearsign -o $d/InRelease Release
        }
        suite good debian 'next week'
        suite expired debian yesterday
        suite foreign foreign 'next week'
        """#
}
