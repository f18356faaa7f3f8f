// swift-tools-version: 6.2
import PackageDescription

// Imports point one way: CVector ← Addressing ← Sockets, and Statistics, CLinux ← PolicyDNS, SocketLookup ← Lab
// ← Channel, Report, Fixtures (which YAMLReading serves, too) ← VirtualMachine ← LabCommand, and Channel ← LabGuest. The guest links statically, so nothing
// that LabGuest reaches may import Foundation (60 MB against 14 MB); FoundationEssentials is fine.
let package = Package(
    name: "binding-lab",
    products: [
        // For servers that lead packets to their sockets themselves.
        .library(name: "SocketLookup", targets: ["Addressing", "SocketLookup", "Sockets"]),
        .executable(name: "lab", targets: ["LabCommand"]),
        .executable(name: "lab-guest", targets: ["LabGuest"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        // Without the Foundation trait: the static guest uses it too.
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
    ],
    targets: [
        .target(
            name: "CLinux",
            linkerSettings: [.linkedLibrary("bpf"), .linkedLibrary("elf"), .linkedLibrary("z")]),
        .target(name: "CVector"),
        .target(name: "Addressing", dependencies: ["CVector"]),
        .target(name: "Statistics"),
        .target(
            name: "Sockets",
            dependencies: ["Addressing", .product(name: "SystemPackage", package: "swift-system")]),
        .target(
            name: "SocketLookup",
            dependencies: ["Addressing", "CLinux", .product(name: "SystemPackage", package: "swift-system")]),
        .target(
            name: "PolicyDNS",
            dependencies: [
                "Addressing", "CLinux", "Sockets", .product(name: "SystemPackage", package: "swift-system"),
            ]),
        .target(
            name: "Lab",
            dependencies: [
                "Addressing", "CLinux", "PolicyDNS", "SocketLookup", "Sockets", "Statistics",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        .target(name: "Channel", dependencies: ["Lab"]),
        .target(
            name: "VirtualMachine",
            dependencies: [
                "Channel", "CLinux", "Lab",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Yams", package: "Yams"),
            ]),
        .target(name: "Report", dependencies: ["Lab"]),
        .target(name: "YAMLReading", dependencies: [.product(name: "Yams", package: "Yams")]),
        .target(
            name: "Fixtures",
            dependencies: [
                "Addressing", "Lab", "PolicyDNS", "YAMLReading", .product(name: "Yams", package: "Yams"),
            ]),
        .executableTarget(
            name: "LabGuest",
            dependencies: ["Channel", "CLinux", "Lab", .product(name: "SystemPackage", package: "swift-system")]),
        .executableTarget(
            name: "LabCommand",
            dependencies: [
                "Addressing", "Fixtures", "Lab", "PolicyDNS", "Report", "SocketLookup", "Sockets", "VirtualMachine",
                "YAMLReading",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        // How a server uses the library SocketLookup.
        .executableTarget(
            name: "WholePrefixServer",
            dependencies: [
                "Addressing", "SocketLookup", "Sockets", .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Examples/whole-prefix-server"),
        // What `make bench-addresses` runs.
        .executableTarget(name: "AddressTiming", dependencies: ["Addressing"]),
        // What `make bench-dispatch` runs.
        .target(name: "CFlood"),
        .executableTarget(
            name: "DispatchTiming",
            dependencies: [
                "Addressing", "CFlood", "CLinux", "SocketLookup",
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        // What scripts/fuzz-dns runs; by itself it replays files.
        .executableTarget(name: "PolicyDNSFuzz", dependencies: ["Addressing", "PolicyDNS"]),
        // Counts the allocations of the tests it is linked into.
        .target(name: "AllocationCount", path: "Tests/AllocationCount"),
        .testTarget(
            name: "Unit",
            dependencies: [
                "Addressing", "AllocationCount", "Channel", "Fixtures", "Lab", "LabCommand", "PolicyDNS", "Report",
                "SocketLookup", "Sockets", "Statistics", "VirtualMachine", "YAMLReading",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Yams", package: "Yams"),
            ],
            exclude: ["Statistics/Oracle/make-oracle.py"]),
        .testTarget(
            name: "Kernel",
            dependencies: [
                "Addressing", "Channel", "CLinux", "Fixtures", "Lab", "LabCommand", "Report", "SocketLookup", "Sockets",
                "VirtualMachine", "WholePrefixServer",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
