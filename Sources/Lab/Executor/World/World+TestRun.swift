import Addressing
import Glibc
import SocketLookup

extension World {
    /// Runs a program as asked, right or wrong: what it returned and selected, and the context that came back.
    func testRun(_ run: ContextRun) throws -> Event {
        let program = try program(run.program)
        let context = run.context.map { fields in
            let bytes = fields.bytes + [UInt8](repeating: 0, count: max(0, run.size - fields.bytes.count))
            return bytes.prefix(run.size).enumerated().map { $0 == run.byte?.at ? run.byte?.value ?? $1 : $1 }
        }
        let result = program.testRun(
            RawTestRun(
                context: context, sizeOut: run.sizeOut, repetitions: Int32(clamping: run.repetitions), flags: run.flags,
                cpu: run.cpu, batchSize: run.batchSize, dataIn: run.dataIn, dataOut: run.dataOut))
        let untouched = result.context.allSatisfy { $0 == RawTestRun.fill }
        guard result.errno == 0 else {
            let errno = ErrorNumber(rawValue: result.errno)
            // A refused run gives nothing back, but for one that has too little room.
            guard untouched || result.errno == ENOSPC else {
                return .facts(["fails": errno.name, "context-out": "written"])
            }
            return .failed(call: "bpf(BPF_PROG_TEST_RUN)", errno: errno)
        }
        var facts = [
            "returned": result.returned == 0 ? "drop" : result.returned == 1 ? "pass" : "\(result.returned)",
            "duration": result.duration > 0 ? "told" : "0",
        ]
        guard run.sizeOut > 0 else { return .facts(facts) }
        facts["size-out"] = "\(result.contextSize)"
        let cookie = result.context.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        facts["selected"] = try name(ofSocketWith: cookie)
        let given = (context ?? []) + [UInt8](repeating: 0, count: max(0, result.contextSize - (context?.count ?? 0)))
        let expected =
            given.prefix(result.contextSize)
            + [UInt8](repeating: RawTestRun.fill, count: max(0, result.context.count - result.contextSize))
        let differing = zip(result.context, expected).enumerated().dropFirst(8).filter { $0.element.0 != $0.element.1 }
        facts["context-out"] =
            untouched
            ? "untouched" : differing.isEmpty ? "as given" : "different at +\(differing.first?.offset ?? 0)"
        return .facts(facts)
    }

    private func name(ofSocketWith cookie: UInt64) throws -> String {
        guard cookie != 0 else { return "none" }
        let found = try servers.first { try $0.value.descriptor.cookie() == cookie }
        return found?.key ?? "a socket unknown to the fixture"
    }
}

extension ContextFields {
    /// As struct bpf_sk_lookup has them.
    fileprivate var bytes: [UInt8] {
        func host<Number: FixedWidthInteger>(_ value: Number) -> [UInt8] {
            withUnsafeBytes(of: value) { Array($0) }
        }
        func address(_ address: IPAddress?, _ family: AddressFamily) -> [UInt8] {
            (address ?? .wildcard(family)).mappedBytes.suffix(family.width / 8)
        }
        let words =
            host(cookie) + host(family) + host(`protocol`) + address(remoteIP4, .ipv4) + address(remoteIP6, .ipv6)
        let ports = host(remotePort.bigEndian) + host(padding)
        return words + ports + address(localIP4, .ipv4) + address(localIP6, .ipv6) + host(localPort)
            + host(ingressIndex) + host(UInt32(0))
    }
}
