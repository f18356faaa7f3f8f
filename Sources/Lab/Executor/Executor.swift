import Addressing
import CLinux
import Glibc
import SocketLookup
import SystemPackage

/// How far a performance has come. Steps count from 1.
public enum Progress: Hashable, Sendable {
    case began(step: Int)
    /// The step goes on: told every few seconds while a sweep does, so that it is not taken for a hang.
    case working(step: Int)
    case observed(step: Int, Observation)
}

/// Performs fixtures on the kernel it stands on, in network namespaces of its own.
///
/// Steps are performed one after another. All that a fixture made (namespaces, sockets, programs, links)
/// goes when it ends, however it ends.
public final class Executor {
    let programs: FilePath
    private let executable: FilePath
    private var available: [Feature: Bool] = [:]
    /// How long a fixture's namespaces may take to go.
    private var teardownPatience: Duration = .seconds(30)

    /// - Parameters:
    ///   - programs: the directory that holds each BPF object as `NAME.bpf.o`.
    ///   - executable: a program that begins with ``DispatcherProcess/perform(_:)``, for changes that another process
    ///     makes: this one, unless it is no such program.
    public init(programs: FilePath, executable: FilePath = "/proc/self/exe") {
        self.programs = programs
        self.executable = executable
    }

    /// Performs the steps of `fixture` up to the first whose expectation fails.
    public func perform(_ fixture: Fixture, report: @escaping (Progress) -> Void) async -> Ending {
        let ending = await performSteps(of: fixture, report: report)
        // So that what the kernel has to say about it falls to this fixture, and the next one's figures do not include
        // its memory. It takes links that tell of their namespace: a kernel whose links do not is told by the
        // fixtures about links, and must not make every other one wait.
        let isGone = try? await NamespaceTeardown.wait(until: .now + teardownPatience)
        if isGone != true { teardownPatience = .milliseconds(200) }
        return ending
    }

    private func performSteps(of fixture: Fixture, report: @escaping (Progress) -> Void) async -> Ending {
        let version = KernelIdentity.running.version
        do {
            for feature in fixture.requires {
                switch try await availability(of: feature, version: version) {
                case .available: break
                case .unsupported: return .unsupported(feature)
                case .disagreement(let expected, let observed):
                    return .featureDisagreement(feature, expected: expected, observed: observed)
                }
            }
        } catch {
            return .broken(step: nil, reason: "probing features: \(error)")
        }
        let world: World
        do { world = try World(programs: programs, executable: executable) } catch {
            return .broken(step: nil, reason: "\(error)")
        }
        for (index, step) in fixture.steps.enumerated() {
            let number = index + 1
            report(.began(step: number))
            world.reportWork = { report(.working(step: number)) }
            do {
                let expectation = try step.expectation(for: version)
                var observation = try await world.observe(step.action)
                let deadline = world.deadline
                while step.eventually, ContinuousClock.now < deadline,
                    !expectation.outcome.matches(observation.event, asked: step.action.asked)
                {
                    // Nothing announces what is waited for.
                    try await Task.sleep(for: .milliseconds(5))
                    observation = try await world.observe(step.action)
                }
                report(.observed(step: number, observation))
                guard expectation.outcome.matches(observation.event, asked: step.action.asked) else { break }
            } catch {
                return .broken(step: number, reason: "\(error)")
            }
        }
        return .finished
    }

    /// An errno that means neither that the feature is there nor that it is absent is the kernel's answer, too, but
    /// that of a process without privilege.
    private func availability(of feature: Feature, version: KernelVersion) async throws -> Availability {
        do {
            return Availability(of: feature, probed: try await has(feature), version: version)
        } catch SocketLookupError.call(let call, let errno, _, _) where errno != EPERM {
            return .disagreement(
                expected: "\(feature.rawValue), or an errno that says there is none",
                observed: "\(call)() failed with \(ErrorNumber(rawValue: errno))")
        }
    }

    /// Probes once; a kernel does not change while it runs.
    private func has(_ feature: Feature) async throws -> Bool {
        if let known = available[feature] { return known }
        let found = try await FeatureProbe(programs: programs).has(feature)
        available[feature] = found
        return found
    }
}

extension World {
    /// Performs `action`: what the kernel refuses is an observation, what the lab cannot do is an error.
    func observe(_ action: Action) async throws -> Observation {
        do {
            return try await perform(action)
        } catch let refusal as KernelRefusal {
            // The lab's own limit on descriptors is nothing that the kernel did.
            guard ![EMFILE, ENFILE].contains(refusal.errno.rawValue) else {
                throw ExecutorError.call(refusal.call, errno: refusal.errno, doing: action.summary)
            }
            return Observation(.failed(call: refusal.call, errno: refusal.errno))
        } catch SocketLookupError.notRegistered {
            // The map holds another socket than the one that was put there, or none.
            return Observation(.failed(call: "unregister", errno: ErrorNumber(rawValue: ENOENT)))
        } catch SocketLookupError.call(let call, let errno, let doing, let log) {
            let lines = (log ?? "").split(separator: "\n").map(String.init)
            return Observation(
                .failed(call: call, errno: ErrorNumber(rawValue: errno)), log: ["while \(doing)"] + lines.suffix(12))
        }
    }

    private func perform(_ action: Action) async throws -> Observation {
        switch action {
        case .namespace(let name): try await makeNamespace(name)
        case .removeNamespace(let name): try await removeNamespace(name)
        case .devicePair(let pair): try await make(pair)
        case .addAddress(let assignment): try await change(assignment, "add")
        case .removeAddress(let assignment): try await change(assignment, "del")
        case .localPrefix(let local): try await makeLocal(local)
        case .route(let route): try await add(route)
        case .sysctl(let control): try set(control)
        case .exec(let command): return Observation(try await run(command))
        case .childNamespace(let child): try await makeNamespace(child.name, from: namespace(child.parent))
        case .countSockets(let count): return Observation(.counted(try await self.count(count)))
        default: return try pinned { try performOnSockets(action) }
        }
        return Observation(.succeeded)
    }

    /// The steps that send, receive or look up: synchronous, on one processor.
    private func performOnSockets(_ action: Action) throws -> Observation {
        switch action {
        case .socket(let description): try open(description)
        case .sockets(let range): return try open(range)
        case .close(let name): try close(name)
        case .binds(let sequence): return Observation(.facts(try bind(sequence)))
        case .setOption(let change): try self.change(change)
        case .probe(let probe): return Observation(try ask(probe))
        case .sweep(let sweep): return Observation(.answers(try ask(sweep)))
        case .connect(let connection): return Observation(try connect(connection))
        case .exchange(let name): return Observation(try exchange(name))
        case .spread(let spread): return Observation(.facts(try self.spread(spread)))
        case .load(let load): try self.load(load)
        case .script(let change):
            if try changeGroupProgram(change) { break }
            try self.change(change)
        case .recorded(let name):
            if let facts = try recordedByGroupProgram(name) { return Observation(.facts(facts)) }
            return Observation(.facts(try recorded(name)))
        case .ran(let names): return Observation(.facts(try ran(names)))
        case .attachReuseport(let attachment): try attach(attachment)
        case .attachReuseportFilter(let filter): try attach(filter)
        case .detachReuseport(let name): try detachGroupProgram(name)
        case .backlog(let name): return Observation(.facts(try backlog(of: name)))
        case .attach(let attachment): try attach(attachment)
        case .attachWithoutLink(let attachment): try attachWithoutLink(attachment)
        case .detachWithoutLink(let attachment): try detachWithoutLink(attachment)
        case .updateLink(let update): try self.update(update)
        case .linkInformation(let name): return Observation(.facts(try information(of: name)))
        case .query(let query): return Observation(.facts(try self.query(query)))
        case .pinLink(let pin): try self.pin(pin)
        case .openLink(let pin): try openPinned(pin)
        case .unpin(let name): try unpin(name)
        case .letGoOfLink(let name): try letGo(ofLink: name)
        case .detach(let name): try link(name).detach()
        case .register(let registration):
            if try registerWithGroupProgram(registration) { break }
            if try registerWithScript(registration) { break }
            try dispatcher(registration.dispatcher)
                .register(server(registration.socket).descriptor.file, under: registration.label)
        case .unregister(let registration):
            if try unregisterFromGroupProgram(registration) { break }
            if try unregisterFromScript(registration) { break }
            try dispatcher(registration.dispatcher)
                .unregister(server(registration.socket).descriptor.file, from: registration.label)
        case .bind(let binding):
            try dispatcher(binding.dispatcher).bind(
                binding.protocol, binding.prefix, binding.ports, to: binding.label,
                otherwise: binding.otherwise)
        case .unbind(let binding):
            try dispatcher(binding.dispatcher).unbind(
                binding.protocol, binding.prefix, binding.ports, from: binding.label)
        case .testRun(let run): return Observation(.answers(try testRun(run)))
        case .testRunContext(let run): return Observation(try testRun(run))
        case .context(let reading): return Observation(.facts(try read(reading)))
        case .verify(let verification): return Observation(.facts(try verify(verification)))
        case .contextAccesses(let accesses): return Observation(.facts(try tryAccesses(accesses)))
        case .flood(let flood): return try send(flood)
        case .drain(let name): return Observation(.received(try drain(name)))
        case .drops(let name): return Observation(.counted(try server(name).descriptor.drops()))
        case .arrivals(let name): return Observation(.counted(try arrivals(name)))
        case .icmpError(let error): return Observation(.facts(try inject(error)))
        case .call(let call): try perform(call)
        case .socketDiag(let query): return Observation(.facts(try look(for: query)))
        case .endpoints(let name): return Observation(.facts(try endpoints(of: name)))
        case .choosePorts(let choice): return Observation(.facts(try choosePorts(choice)))
        case .mapEntry(let entry): return try change(entry)
        case .unload(let name): try unload(name)
        case .dispatcher(let step): return Observation(.facts(try perform(step)))
        case .dispatcherChanges(let changes): return Observation(.facts(try perform(changes)))
        case .dispatcherModel(let model): return Observation(.facts(try compare(model)))
        case .nameService(let service): try serve(service)
        case .nameServiceReload(let reload): try self.reload(reload)
        case .nameQuery(let query): return try ask(query)
        case .nameSurvey(let survey): return try ask(survey)
        case .compareSurveys(let names): return try compare(names)
        case .sites(let service): try serve(service)
        case .visit(let visits): return try visit(visits)
        case .revisit(let revisits): return try visit(revisits)
        case .daemon(let daemon): try start(daemon)
        case .namespace, .removeNamespace, .devicePair, .addAddress, .removeAddress, .localPrefix, .route, .sysctl,
            .exec, .childNamespace, .countSockets:
            throw ExecutorError.unsuitable("\(action.summary): not a socket step")
        }
        return Observation(.succeeded)
    }

    /// Runs `body` on one processor.
    ///
    /// Packets sent from one processor over one device are dealt with in the order they were sent; from
    /// two they are not, and an answered fence would not show that an earlier packet has been dealt with.
    private func pinned<Success>(_ body: () throws -> Success) throws -> Success {
        let pinned = clinux_pin()
        guard pinned == 0 else {
            throw ExecutorError.call(
                "sched_setaffinity", errno: ErrorNumber(returned: pinned), doing: "staying on one processor")
        }
        defer { _ = clinux_unpin() }
        return try body()
    }
}
