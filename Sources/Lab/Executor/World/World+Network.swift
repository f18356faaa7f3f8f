import Addressing
import CLinux
import Glibc
import Subprocess
import SystemPackage

extension World {
    func makeNamespace(_ name: String, from parent: Namespace? = nil) async throws {
        try unused(namespaces[name] != nil, "namespace", name)
        let namespace = try Namespace(name: name, parent: parent)
        namespaces[name] = namespace
        try await ip(["link set lo up"], in: namespace)
        // A namespace copies these from the first one, and on a router's or container host's they are on; a
        // fixture's server is a host, which drops what is not for it.
        for key in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] where try namespace.has(key) {
            try namespace.write("0", to: key)
        }
        // By default a host sends six ICMP errors to a peer and then one a second, so that the seventh refused
        // UDP probe would look like silence. An empty mask lifts both that and the kernel's global limit.
        try namespace.write("0", to: "net.ipv4.icmp_ratemask")
        if try namespace.has("net.ipv6.icmp.ratemask") {
            // Type 127 is reserved (RFC 4443 §2.1), and a mask cannot be written empty.
            try namespace.write("127", to: "net.ipv6.icmp.ratemask")
        }
    }

    func make(_ pair: DevicePair) async throws {
        guard pair.ends.count == 2 else {
            throw ExecutorError.unsuitable("a pair of devices has two ends, not \(pair.ends.count)")
        }
        let (first, second) = (pair.ends[0], pair.ends[1])
        let (near, far) = (try namespace(first.namespace), try namespace(second.namespace))
        // The carrier of a device whose index differs from its peer's is announced at once; of one with the same
        // index (both would be 2 in fresh namespaces) up to a second later, as linkwatch takes it for unrelated.
        let add = "link add \(first.device) index \(freeIndex())"
        do {
            try await ip(["\(add) type veth peer name \(second.device) netns \(far.path)"] + up(first), in: near)
        } catch ExecutorError.commandFailed(_, _, let output) where output.contains("Unknown device type") {
            // netkit is never a module. An iproute2 that does not know it cannot name the peer, which the kernel
            // then calls nk0.
            try await ip(
                [
                    "\(add) type netkit", "link set nk0 name \(second.device) netns \(far.path)",
                ] + up(first), in: near)
        }
        try await ip(up(second), in: far)
        try await waitUntilRunning(first.device, in: near)
        try await waitUntilRunning(second.device, in: far)
        for (end, namespace) in [(first, near), (second, far)] {
            for address in end.addresses { try await waitUntilLocal(address, in: namespace) }
        }
    }

    /// An interface index that no other device of the fixture has, and whose four bytes all differ: a program that is
    /// shown a part of it is seen.
    private func freeIndex() -> Int {
        deviceCount += 1
        return 0x0102_0380 + deviceCount
    }

    private func up(_ end: DevicePair.End) -> [String] {
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
        if verb == "add" { try await waitUntilLocal(assignment.address, in: namespace(assignment.namespace)) }
    }

    /// Waits for the local route of an IPv6 address, which a work queue adds some time after the address.
    private func waitUntilLocal(_ assigned: String, in namespace: Namespace) async throws {
        guard case .v6(let bits) = IPAddress(String(assigned.prefix { $0 != "/" })) else { return }
        let digits = String(bits, radix: 16)
        let wanted = String(repeating: "0", count: 32 - digits.count) + digits + " 80 "
        let deadline = deadline
        while ContinuousClock.now < deadline {
            let routes = try namespace.read("/proc/thread-self/net/ipv6_route")
            // The last column but one holds the flags; RTF_LOCAL is the highest bit.
            let local = routes.split(separator: "\n").contains { line in
                let flags = line.split(separator: " ").dropLast().last.flatMap { UInt32($0, radix: 16) }
                return line.hasPrefix(wanted) && (flags ?? 0) & 0x8000_0000 != 0
            }
            if local { return }
            // Nothing but netlink announces it, so this asks again.
            try await Task.sleep(for: .milliseconds(2))
        }
        throw ExecutorError.deadline("\(namespace.name): \(assigned) has no local route")
    }

    func makeLocal(_ local: LocalPrefix) async throws {
        try await ip(["route add local \(local.prefix) dev lo"], in: namespace(local.namespace))
    }

    func add(_ route: Route) async throws {
        try await ip(["route add \(route.to) via \(route.via)"], in: namespace(route.namespace))
    }

    func set(_ control: SystemControl) throws {
        try namespace(control.namespace).write(control.value, to: control.key)
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
        return (result.terminationStatus, result.standardOutput)
    }
}
