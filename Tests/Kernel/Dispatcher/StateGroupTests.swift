import Addressing
import Foundation
import Glibc
import Subprocess
import SystemPackage
import Testing

@testable import SocketLookup

extension KernelTests {
    @Suite(
        "Who may look at a dispatcher",
        .enabled(if: obstacleToSocketLookup == nil, Comment(rawValue: obstacleToSocketLookup ?? "")))
    struct StateGroupTests {
        /// Nobody's number, of users and groups.
        private static let group: gid_t = 54_321
        private static let user: uid_t = 65_534

        @Test("whatever changes, files keep the group that the base directory was given once")
        func keepsGroup() async throws {
            let dispatcher = try await PinnedDispatcher(loading: false)
            defer { dispatcher.close() }
            try giveBase(of: dispatcher, to: Self.group)
            try DispatcherState.load(dispatcher.object, at: dispatcher.location)
            try expectShared(dispatcher)
            do {
                let state = try dispatcher.open()
                try state.bind([binding("192.0.2.0/24", "80", to: "web")])
                try expectShared(dispatcher)
                // More than one piece of counters, and the other generation.
                try state.replace(
                    with: (0..<2000).map { try binding("192.0.2.0/24", "\($0)-\($0 + 1 + $0)", to: "web") })
                try state.upgrade(to: dispatcher.object)
                try expectShared(dispatcher)
            }
        }

        @Test("a state that is loaded is handed to a group by one chgrp of all of it, and changes keep that")
        func handedOver() async throws {
            let dispatcher = try await PinnedDispatcher()
            defer { dispatcher.close() }
            for path in [dispatcher.location.base] + paths(of: dispatcher) {
                try #require(chown(path.string, uid_t.max, Self.group) == 0)
            }
            let state = try dispatcher.open()
            try state.bind([binding("192.0.2.0/24", "80", to: "web")])
            try state.upgrade(to: dispatcher.object)
            try expectShared(dispatcher)
        }

        @Test("the group may look and not change, and others may not look")
        func looks() async throws {
            let dispatcher = try await PinnedDispatcher(loading: false)
            defer { dispatcher.close() }
            try giveBase(of: dispatcher, to: Self.group)
            try DispatcherState.load(dispatcher.object, at: dispatcher.location)
            _ = try dispatcher.open().bind([binding("192.0.2.0/24", "80", to: "web")])
            for command in [["list"], ["status"], ["metrics"]] {
                #expect(try await status(of: command, group: Self.group, dispatcher) == .exited(0), "\(command)")
                #expect(try await status(of: command, group: Self.user, dispatcher) == .exited(3), "\(command)")
            }
            for command in [
                ["bind", "tcp", "192.0.2.0/24", "81", "web"], ["unbind", "tcp", "192.0.2.0/24", "80"],
                ["drain", "web"], ["unload"],
            ] {
                #expect(try await status(of: command, group: Self.group, dispatcher) == .exited(3), "\(command)")
            }
            #expect(try dispatcher.open().bindings().map(\.description) == ["tcp 192.0.2.0/24 80 → web"])
        }

        private func giveBase(of dispatcher: PinnedDispatcher, to group: gid_t) throws {
            let base = dispatcher.location.base.string
            try #require(mkdir(base, 0o750) == 0)
            try #require(chown(base, uid_t.max, group) == 0)
        }

        private func paths(of dispatcher: PinnedDispatcher) -> [FilePath] {
            let directory = dispatcher.location.directory
            return [directory]
                + (dispatcher.names ?? [:]).flatMap { name, names in
                    [directory.appending(name)] + names.map { directory.appending(name).appending($0) }
                }
        }

        private func expectShared(_ dispatcher: PinnedDispatcher) throws {
            let paths = paths(of: dispatcher)
            #expect(paths.count > 10)
            for path in paths {
                var status = stat()
                try #require(stat(path.string, &status) == 0)
                #expect(status.st_gid == Self.group, "\(path)")
                #expect(status.st_uid == 0, "\(path)")
                let isDirectory = status.st_mode & S_IFMT == S_IFDIR
                #expect(status.st_mode & 0o7777 == (isDirectory ? 0o750 : 0o640), "\(path)")
            }
        }

        /// Performs a command as a user without privileges, in the dispatcher's namespace, with the file system as
        /// standard input: such a user cannot follow another's descriptors.
        private func status(
            of command: [String], group: gid_t, _ dispatcher: PinnedDispatcher
        ) async throws -> TerminationStatus {
            let lab = FilePath(CommandLine.arguments[0]).removingLastComponent().appending("lab").string
            let base = try FileDescriptor.open(dispatcher.location.base.removingLastComponent(), .readOnly)
            defer { try? base.close() }
            return try await run(
                .name("nsenter"),
                arguments: Arguments(
                    [
                        "--net=/proc/\(getpid())/fd/\(dispatcher.namespace.descriptor.rawValue)", "setpriv",
                        "--reuid=\(Self.user)", "--regid=\(group)", "--clear-groups", lab, "dispatch",
                    ] + command + ["--state", "/proc/self/fd/0/binding-lab"]),
                input: .fileDescriptor(base, closeAfterSpawningProcess: false), output: .discarded, error: .discarded
            ).terminationStatus
        }
    }
}
