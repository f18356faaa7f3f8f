import CLinux
import Glibc
import Subprocess
import SystemPackage

extension World {
    func makeNamespace(_ name: String) async throws {
        try unused(namespaces[name] != nil, "namespace", name)
        let namespace = try Namespace(name: name)
        namespaces[name] = namespace
        try await ip(["link set lo up"], in: namespace)
    }

    func makeLink(_ link: VirtualLink) async throws {
        guard link.ends.count == 2 else {
            throw ExecutorError.unsuitable("a link has two ends, not \(link.ends.count)")
        }
        let (first, second) = (link.ends[0], link.ends[1])
        let (near, far) = (try namespace(first.namespace), try namespace(second.namespace))
        try await ip(
            ["link add \(first.device) type veth peer name \(second.device) netns \(far.path)"] + up(first), in: near)
        try await ip(up(second), in: far)
        try await waitUntilRunning(first.device, in: near)
        try await waitUntilRunning(second.device, in: far)
    }

    private func up(_ end: VirtualLink.End) -> [String] {
        // Without duplicate address detection, an IPv6 address can be used at once.
        end.addresses.map { "addr add \($0) dev \(end.device)" + ($0.contains(":") ? " nodad" : "") }
            + ["link set \(end.device) up"]
    }

    private func waitUntilRunning(_ device: String, in namespace: Namespace) async throws {
        let deadline = deadline
        while ContinuousClock.now < deadline {
            let running = try namespace.enter { clinux_interface_running(device) }
            if running == 1 { return }
            if running < 0 {
                throw ExecutorError.call(
                    "ioctl", errno: ErrorNumber(returned: running), doing: "asking for the flags of \(device)")
            }
            // The kernel tells nobody but netlink listeners, so this asks again.
            try await Task.sleep(for: .milliseconds(2))
        }
        throw ExecutorError.deadline("\(namespace.name)/\(device) has no carrier")
    }

    func change(_ assignment: AddressAssignment, _ verb: String) async throws {
        let nodad = verb == "add" && assignment.address.contains(":") ? " nodad" : ""
        try await ip(
            ["addr \(verb) \(assignment.address) dev \(assignment.device)\(nodad)"],
            in: namespace(assignment.namespace))
    }

    func makeLocal(_ local: LocalPrefix) async throws {
        try await ip(["route add local \(local.prefix) dev lo"], in: namespace(local.namespace))
    }

    func add(_ route: Route) async throws {
        try await ip(["route add \(route.to) via \(route.via)"], in: namespace(route.namespace))
    }

    func set(_ control: SystemControl) throws {
        let path = "/proc/sys/" + control.key.split(separator: ".").joined(separator: "/")
        // /proc/sys/net shows the namespace of the thread that opens it.
        try namespace(control.namespace).enter {
            let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw KernelRefusal("open") }
            defer { Glibc.close(descriptor) }
            let bytes = Array(control.value.utf8)
            guard write(descriptor, bytes, bytes.count) == bytes.count else { throw KernelRefusal("write") }
        }
    }

    func run(_ command: Command) async throws -> Event {
        let (status, output) = try await inNamespace(
            namespace(command.namespace), ["sh", "-c", command.run], input: "")
        switch status {
        case .exited(let code): return .exited(Int32(code), output: output)
        case .signaled(let signal): return .exited(128 + Int32(signal), output: output)
        }
    }

    /// Runs lines of ip(8) in one process.
    private func ip(_ lines: [String], in namespace: Namespace) async throws {
        let (status, output) = try await inNamespace(
            namespace, ["ip", "-batch", "-"], input: lines.joined(separator: "\n") + "\n")
        guard status.isSuccess else {
            throw ExecutorError.commandFailed(
                command: "ip in \(namespace.name): \(lines.joined(separator: "; "))", status: "\(status)",
                output: output)
        }
    }

    private func inNamespace(
        _ namespace: Namespace, _ words: [String], input: String
    ) async throws -> (TerminationStatus, String) {
        let result = try await Subprocess.run(
            .name("nsenter"), arguments: Arguments(["--net=\(namespace.path)", "--"] + words),
            input: .string(input), output: .string(limit: 1 << 20), error: .combinedWithOutput)
        return (result.terminationStatus, result.standardOutput ?? "")
    }
}
