import Addressing
import Glibc
import SystemPackage
import Testing

@testable import SocketLookup

extension KernelTests {
    /// Every change, killed after each of its steps.
    @Suite(
        "A dispatcher whose change was killed",
        .enabled(if: obstacleToSocketLookup == nil, Comment(rawValue: obstacleToSocketLookup ?? "")))
    struct InterruptedChangeTests {
        /// What a child needs to make a change: it cannot have the test's values.
        struct Order: Codable, Sendable {
            var step: String
            var base: String
            var namespace: String
            var object: String
            var socket: Int32
            var parent: Int32

            func location() throws -> StateLocation {
                setenv(ControlStep.variable, step, 1)
                let namespace = try FileDescriptor.open(FilePath(namespace), .readOnly)
                return try StateLocation(base: FilePath(base), namespace: namespace)
            }
        }

        @Test("in the middle of a load leaves none, or one", arguments: steps("load-"))
        func load(step: ControlStep) async throws {
            let place = try await PinnedDispatcher(loading: false)
            defer { place.close() }
            let order = order(step, place)
            await #expect(processExitsWith: .signal(SIGKILL)) { [order = order as Order] in
                try DispatcherState.load(FilePath(order.object), at: order.location())
            }
            let status = try DispatcherState.status(at: place.location)
            let tookEffect = step == .loadRenamedDirectory
            #expect((status.loaded != nil) == tookEffect)
            #expect(status.leftovers == (tookEffect ? [] : [.load]))
            if !tookEffect { try DispatcherState.load(place.object, at: place.location) }
            #expect(try place.open().bindings().isEmpty)
            #expect(place.names == ["state": place.pins(generation: 0)])
            #expect(try AttachedPrograms(of: place.namespace.descriptor).count == 1)
        }

        @Test("in the middle of an unload leaves none, from its first step on", arguments: steps("unload-"))
        func unload(step: ControlStep) async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            try place.open().bind([binding("127.1.0.0/16", "80", to: "web")])
            _ = try place.namespace.socket(.tcp, "127.1.2.3:80")
            #expect(try place.namespace.connects("127.1.2.3:80") == ECONNREFUSED)
            let order = order(step, place)
            await #expect(processExitsWith: .signal(SIGKILL)) { [order = order as Order] in
                try DispatcherState.unload(at: order.location())
            }
            #expect(try place.namespace.connects("127.1.2.3:80") == 0)
            #expect(try DispatcherState.status(at: place.location).loaded == nil)
            #expect(throws: SocketLookupError.notLoaded(path: place.location.directory.string)) {
                try DispatcherState.unload(at: place.location)
            }
            #expect(place.names == nil)
        }

        @Test(
            "in the middle of a replacement leaves all of the old set or all of the new", arguments: steps("replace-"))
        func replace(step: ControlStep) async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let server = try place.namespace.socket(.tcp, "127.0.0.1:1")
            let old = try [binding("192.0.2.0/24", "80", to: "web"), binding("192.0.2.0/25", "81", to: "web")]
            do {
                let dispatcher = try place.open()
                try dispatcher.register([server.descriptor], under: "web")
                try dispatcher.replace(with: old)
                _ = try place.decision(.tcp, "192.0.2.1:80")
            }
            let order = order(step, place)
            await #expect(processExitsWith: .signal(SIGKILL)) { [order = order as Order] in
                try DispatcherState(at: order.location()).replace(with: InterruptedChangeTests.replacement())
            }
            let new = try InterruptedChangeTests.replacement()
            let tookEffect =
                [.replaceChangedGeneration, .replaceRetiredTable, .replaceRemovedRecords].contains(step)
            try check(place, tookEffect ? new : old, server.cookie)
            let status = try DispatcherState.status(at: place.location)
            #expect(status.loaded?.bindings == (tookEffect ? new : old).count)
            let isClean = [.replaceNamedLabels, .replaceMadeCounters, .replaceRemovedRecords].contains(step)
            #expect(status.leftovers == (isClean ? [] : [.replacement]))

            // The next change finds its way.
            do {
                let dispatcher = try place.open()
                #expect(try dispatcher.bindings() == (tookEffect ? new : old))
                try dispatcher.replace(with: new)
                #expect(try dispatcher.metrics().all == BindingCounters(hits: 3, misses: tookEffect ? 1 : 0))
            }
            try check(place, new, server.cookie)
            #expect(try DispatcherState.status(at: place.location).leftovers.isEmpty)
            #expect(place.names?["state"]?.filter { $0.hasPrefix("records-") } == ["records-0"])
        }

        @Test("in the middle of a registration leaves the old socket or the new one", arguments: steps("register-"))
        func register(step: ControlStep) async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let old = try place.namespace.socket(.tcp, "[::]:1", v6Only: false)
            let new = try place.namespace.socket(.tcp, "[::]:2", v6Only: false)
            do {
                let dispatcher = try place.open()
                try dispatcher.register([old.descriptor], under: "web")
                try dispatcher.bind([
                    binding("192.0.2.0/24", "80", to: "web"), binding("2001:db8::/32", "80", to: "web"),
                ])
            }
            let order = order(step, place, socket: new.descriptor)
            await #expect(processExitsWith: .signal(SIGKILL)) { [order = order as Order] in
                let sockets = try ProcessSockets(of: order.parent, descriptors: [order.socket])
                try DispatcherState(at: order.location()).register(sockets.sockets.map(\.descriptor), under: "web")
            }
            let tookEffect = [.registerSharedFlows, .registerRemovedSockets].contains(step)
            let expected = tookEffect ? new.cookie : old.cookie
            #expect(try place.decision(.tcp, "192.0.2.1:80").cookie == expected)
            #expect(try place.decision(.tcp, "[2001:db8::1]:80").cookie == expected)
            let dispatcher = try place.open()
            #expect(try dispatcher.sockets().map(\.cookie) == [expected, expected])
            #expect(try dispatcher.metrics().all.errors == 0)
            try dispatcher.register([old.descriptor], under: "web")
            #expect(try place.decision(.tcp, "192.0.2.1:80").cookie == old.cookie)
            // Nothing is left in the slots but the two that are listed.
            let number = try #require(try dispatcher.names.all().first { $0.value == "web" }?.key)
            var cookies: [UInt64] = []
            for kind in 0..<DispatchLayout.kindCount {
                for slot in 0..<Sharing.slotCount {
                    if let cookie = try dispatcher.maps.cookie(number, kind, slot) { cookies.append(cookie) }
                }
            }
            #expect(cookies == [old.cookie, old.cookie])
        }

        @Test("in the middle of an upgrade leaves the old program or the new one", arguments: steps("upgrade-"))
        func upgrade(step: ControlStep) async throws {
            let place = try await PinnedDispatcher()
            defer { place.close() }
            let web = try binding("192.0.2.0/24", "80", to: "web")
            try place.open().bind([web])
            let before = try DispatcherState.status(at: place.location).loaded
            let next = try await PinnedDispatcher.compile([("0x9E3779B1", "0x85EBCA6B")])
            defer { unlink(next.string) }
            var order = order(step, place)
            order.object = next.string
            await #expect(processExitsWith: .signal(SIGKILL)) { [order = order as Order] in
                try DispatcherState(at: order.location()).upgrade(to: FilePath(order.object))
            }
            let status = try DispatcherState.status(at: place.location)
            let tookEffect = step != .upgradePinnedProgram
            #expect((status.loaded?.program?.tag != before?.program?.tag) == tookEffect)
            let leftovers: [ControlStep: Set<DispatcherStatus.Leftover>] = [
                .upgradePinnedProgram: [.upgradeNotDone], .upgradeUpdatedLink: [.upgradeDone],
            ]
            #expect(status.leftovers == leftovers[step, default: []])
            #expect(
                try AttachedPrograms(of: place.namespace.descriptor).programs == [status.loaded?.program?.number])
            #expect(try place.open().bindings() == [web])
            let after = try DispatcherState.status(at: place.location)
            #expect(after.loaded == status.loaded)
            #expect(after.leftovers.isEmpty)
            #expect(place.names == ["state": place.pins(generation: 1)])
        }

        private static func steps(_ prefix: String) -> [ControlStep] {
            ControlStep.allCases.filter { $0.rawValue.hasPrefix(prefix) }
        }

        private func order(
            _ step: ControlStep, _ place: PinnedDispatcher, socket: FileDescriptor? = nil
        ) -> Order {
            Order(
                step: step.rawValue, base: place.location.base.string,
                namespace: "/proc/\(getpid())/fd/\(place.namespace.descriptor.rawValue)",
                object: place.object.string, socket: socket?.rawValue ?? -1, parent: getpid())
        }

        static func replacement() throws -> [Binding] {
            try [
                binding("192.0.2.0/24", "80", to: "web"), binding("198.51.100.0/24", "80", to: "web"),
                binding("198.51.100.0/24", "81", to: "unknown"),
            ]
        }

        private func check(_ place: PinnedDispatcher, _ bindings: [Binding], _ cookie: UInt64) throws {
            let isNew = try bindings == InterruptedChangeTests.replacement()
            let (pass, drop) = (LookupResult(returned: 1, cookie: 0), LookupResult(returned: 0, cookie: 0))
            let hit = LookupResult(returned: 1, cookie: cookie)
            #expect(try place.decision(.tcp, "192.0.2.1:80") == hit)
            if isNew {
                #expect(try place.decision(.tcp, "192.0.2.1:81") == pass)
                #expect(try place.decision(.tcp, "198.51.100.1:80") == hit)
                #expect(try place.decision(.tcp, "198.51.100.1:81") == drop)
            } else {
                #expect(try place.decision(.tcp, "192.0.2.1:81") == hit)
                #expect(try place.decision(.tcp, "198.51.100.1:80") == pass)
            }
        }
    }
}
