import Testing

@testable import VirtualMachine

@Suite struct KernelsDebianTests {
    @Test(arguments: [
        ["5.10.0-9", "5.10.0-46"], ["6.12.9-1", "6.12.117-1"], ["7.3.4-1~bpo13+1", "7.3.4-1"],
        ["7.3~rc1-1", "7.3-1"], ["1.0", "1.0-1"], ["9.9", "1:0.1"], ["6.12.115-2~deb12u1", "6.12.115-2"],
        ["1.0a", "1.0+"], ["1.0~~", "1.0~~a", "1.0~", "1.0", "1.0a"], ["1.0", "1.00.1"],
    ])
    func `versions are ordered as dpkg orders them`(ascending: [String]) {
        for (low, high) in zip(ascending, ascending.dropFirst()) {
            #expect(DebianVersion(low) < DebianVersion(high))
            #expect(!(DebianVersion(high) < DebianVersion(low)))
        }
    }

    @Test func `leading zeros do not distinguish versions`() {
        #expect(!(DebianVersion("1.01") < DebianVersion("1.1")) && !(DebianVersion("1.1") < DebianVersion("1.01")))
    }

    static let names = [
        "linux-image-5.10.0-9-cloud-amd64", "linux-image-5.10.0-46-cloud-amd64", "linux-image-5.10.0-46-amd64",
        "linux-image-5.10.0-46-rt-amd64", "linux-image-5.10.0-46-cloud-amd64-dbg",
        "linux-image-5.10.0-46-cloud-amd64-unsigned", "linux-image-cloud-amd64", "linux-image-6.1-cloud-amd64",
        "linux-image-6.1-amd64", "linux-image-6.1.0-0.deb11.52-cloud-amd64", "linux-image-6.1.0-0.deb11.52-rt-amd64",
        "linux-image-6.12.117+deb13-cloud-amd64", "linux-image-6.16.12+deb13-amd64",
        "linux-image-6.16.12+deb13-rt-amd64", "linux-headers-5.10.0-46-cloud-amd64",
    ]

    private func candidates(_ series: String, _ flavour: String) -> [String] {
        KernelPackages.candidates(series: series, flavour: flavour, among: Self.names)
    }

    @Test func `only real images of the series and flavour are candidates`() {
        #expect(
            candidates("5.10", "cloud-amd64")
                == ["linux-image-5.10.0-9-cloud-amd64", "linux-image-5.10.0-46-cloud-amd64"])
        #expect(candidates("5.10", "amd64") == ["linux-image-5.10.0-46-amd64"])
        #expect(candidates("6.1", "cloud-amd64") == ["linux-image-6.1.0-0.deb11.52-cloud-amd64"])
        #expect(candidates("6.1", "amd64").isEmpty)
        #expect(candidates("6.16", "cloud-amd64").isEmpty)
        #expect(candidates("6.16", "amd64") == ["linux-image-6.16.12+deb13-amd64"])
    }

    static let show = """
        Package: linux-image-5.10.0-46-cloud-amd64
        Source: linux-signed-amd64 (5.10.262+1)
        Version: 5.10.262-1
        Depends: kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool
        Description: Linux 5.10 for x86-64 cloud (signed)
         The Linux kernel 5.10 and modules for use on cloud platforms.
         .
         Package: not-a-field
        Size: 21521796

        Package: linux-image-7.3.4+deb13-cloud-amd64
        Version: 7.3.4-1~bpo13+1
        Depends: dracut | initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool, linux-base-7.3.4+deb13-cloud-amd64 (= 7.3.4-1~bpo13+1), linux-binary-7.3.4+deb13-cloud-amd64 (= 7.3.4-1~bpo13+1), linux-modules-7.3.4+deb13-cloud-amd64:amd64 (= 7.3.4-1~bpo13+1)
        Size: 1928

        """

    @Test func `the parts of a divided kernel are found in its dependencies`() throws {
        let packages = DebianPackage.parse(Self.show)
        try #require(packages.count == 2)
        #expect(packages[0].depends == ["kmod", "linux-base", "initramfs-tools"])
        #expect(packages[0].bytes == 21_521_796)
        let release = KernelPackages.release(of: packages[0].name)
        #expect(release == "5.10.0-46-cloud-amd64")
        #expect(KernelPackages.parts(of: packages[0], release: release).isEmpty)
        #expect(
            KernelPackages.parts(of: packages[1], release: KernelPackages.release(of: packages[1].name)) == [
                "linux-base-7.3.4+deb13-cloud-amd64", "linux-binary-7.3.4+deb13-cloud-amd64",
                "linux-modules-7.3.4+deb13-cloud-amd64",
            ])
    }

    @Test func `sources in the one-line form are read`() {
        let text = """
            # deb http://commented.example.org/debian trixie main
            deb http://mirror.example.org/debian/ trixie main contrib # a comment
            deb-src http://source.example.org/debian trixie main
            deb [ arch=amd64,arm64 signed-by=/etc/k.gpg ] https://other.example.org/debian bookworm main
              deb\tfile:/srv/debian\tbookworm-security main
            deb http://flat.example.org/ ./
            debatable line
            deb
            deb cdrom:[Debian 13]/ trixie main
            deb http://third.example.org/apt nodistro main
            deb http://docker.example.org/linux/debian bookworm stable
            """
        let sources = DebianMirrors.oneLine(text)
        #expect(sources.contains(.init(uri: "http://flat.example.org/", suites: ["./"], components: [])))
        #expect(
            DebianMirrors.debian(sources) == [
                "http://mirror.example.org/debian", "https://other.example.org/debian", "file:/srv/debian",
            ])
    }

    @Test func `sources in the deb822 form are read`() {
        let text = """
            Types: deb deb-src
            # http://comment.example.org/within/a/stanza
            URIs: http://mirror.example.org/debian
             mirror+file:///etc/apt/mirrors/debian.list
            Suites: trixie trixie-updates
            Components: main
            Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

            # a comment
            enabled: No
            types: deb
            uris: http://disabled.example.org/debian
            suites: trixie
            components: main

            Types: deb-src
            URIs: http://source.example.org/debian
            Suites: trixie
            Components: main

            Types: deb
            URIs: http://mirror.example.org/debian-security/
            Suites: trixie-security
            Components: main
            """
        #expect(
            DebianMirrors.debian(DebianMirrors.deb822(text)) == [
                "http://mirror.example.org/debian", "mirror+file:///etc/apt/mirrors/debian.list",
                "http://mirror.example.org/debian-security",
            ])
    }

    @Test func `a security suite is looked for in the security archive first, and the other way round`() {
        let known = ["http://m/debian", "http://m/debian-security"]
        #expect(DebianMirrors.uris(for: "trixie-security", among: known) == known.reversed())
        #expect(DebianMirrors.uris(for: "trixie-backports", among: known) == known)
        #expect(DebianMirrors.uris(for: "trixie-security", among: ["http://m/debian"]) == known.reversed())
    }

    @Test func `LAB_DEBIAN_MIRROR holds URIs and nothing else`() throws {
        #expect(try DebianMirrors.override(nil) == nil)
        #expect(try DebianMirrors.override("  ") == nil)
        #expect(try DebianMirrors.override("http://a/debian/ file:///b") == ["http://a/debian", "file:///b"])
        #expect(throws: KernelError.badMirror("mirror.example.org")) {
            try DebianMirrors.override("mirror.example.org")
        }
        #expect(throws: KernelError.badMirror("[trusted=yes]http://x")) {
            try DebianMirrors.override("[trusted=yes]http://x")
        }
    }

    @Test(arguments: [
        (
            """
            E: Release file for http://m/debian/dists/forky/InRelease is expired (invalid since 17d 7h 28min 2s). \
            Updates for this repository will not be applied.
            """, SuiteProblem.expired(since: "17d 7h 28min 2s")
        ),
        (
            """
            E: Release file for http://m/debian/dists/forky/InRelease is not valid yet (invalid for another 2h). \
            Updates for this repository will not be applied.
            """, .notYetValid
        ),
        ("E: The repository 'http://m/debian nosuch Release' does not have a Release file.", .absent),
        (
            """
            W: GPG error: file:/r good InRelease: The following signatures couldn't be verified: NO_PUBKEY 1234
            E: The repository 'file:/r good InRelease' is not signed.
            """,
            .untrusted(
                "GPG error: file:/r good InRelease: The following signatures couldn't be verified: NO_PUBKEY 1234")
        ),
        (
            """
            E: Failed to fetch http://m/debian/dists/sid/InRelease  Could not resolve 'm'
            E: Some index files failed to download. They have been ignored, or old ones used instead.
            """, .unreachable("Failed to fetch http://m/debian/dists/sid/InRelease  Could not resolve 'm'")
        ),
    ])
    func `what apt complains of is understood`(errors: String, problem: SuiteProblem) {
        #expect(SuiteProblem(aptErrors: errors) == problem)
    }
}
