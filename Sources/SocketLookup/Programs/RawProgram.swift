import CLinux
import Glibc

/// What the verifier said about a program.
package enum VerifierVerdict: Hashable, Sendable {
    case accepted
    /// The log is empty if the refusal came before the verifier had looked at the instructions.
    case refused(errno: Int32, log: String)
}

/// Offers instructions to the kernel, and unloads what it accepts.
///
/// - Parameter instructions: In the kernel's encoding; those with two words take two elements.
package func verify(
    _ instructions: [UInt64], type: bpf_prog_type, attachType: bpf_attach_type?, license: String
) -> VerifierVerdict {
    // Of a program of some dozen instructions; each is described in a line or two.
    var log = [CChar](repeating: 0, count: 1 << 16)
    let result = log.withUnsafeMutableBufferPointer { log in
        var options = bpf_prog_load_opts()
        options.sz = MemoryLayout<bpf_prog_load_opts>.size
        if let attachType { options.expected_attach_type = attachType }
        options.log_buf = log.baseAddress
        options.log_size = UInt32(log.count)
        options.log_level = 1
        return instructions.withUnsafeBytes {
            bpf_prog_load(
                type, "verified", license, $0.bindMemory(to: bpf_insn.self).baseAddress, instructions.count, &options)
        }
    }
    guard result < 0 else {
        close(result)
        return .accepted
    }
    return .refused(
        errno: -result, log: String(decoding: log.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
}

/// A map that a program under verification may refer to: one entry, gone with this object.
package final class ScratchMap {
    package let descriptor: Int32

    package init(_ type: bpf_map_type, valueSize: UInt32) throws(SocketLookupError) {
        descriptor = try checked("bpf(BPF_MAP_CREATE)", "making a map for verification") {
            bpf_map_create(type, "scratch", 4, valueSize, 1, nil)
        }
    }

    deinit { close(descriptor) }
}

/// A test-run as the caller wants it, right or wrong.
package struct RawTestRun: Sendable {
    /// Nil gives no context.
    package var context: [UInt8]?
    /// The room for the context that comes back; 0 gives none.
    package var sizeOut: Int
    package var repetitions: Int32
    package var flags: UInt32
    package var cpu: UInt32
    package var batchSize: UInt32
    package var dataIn: Int
    package var dataOut: Int

    package init(
        context: [UInt8]?, sizeOut: Int, repetitions: Int32, flags: UInt32, cpu: UInt32, batchSize: UInt32,
        dataIn: Int, dataOut: Int
    ) {
        self.context = context
        self.sizeOut = sizeOut
        self.repetitions = repetitions
        self.flags = flags
        self.cpu = cpu
        self.batchSize = batchSize
        self.dataIn = dataIn
        self.dataOut = dataOut
    }

    package struct Result: Sendable {
        /// 0, or what the kernel refused with.
        package var errno: Int32
        package var returned: UInt32
        /// Nanoseconds for one repetition, on average.
        package var duration: UInt32
        /// The buffer for the context that comes back, which was filled with ``fill``.
        package var context: [UInt8]
        /// How long the kernel says that the context is.
        package var contextSize: Int
    }

    /// What the buffer for the context is filled with before the call.
    package static let fill: UInt8 = 0xA5
}

extension Program {
    /// Runs the program without a packet, as asked, and tells everything that comes back.
    package func testRun(_ run: RawTestRun) -> RawTestRun.Result {
        var context = run.context ?? []
        var after = [UInt8](repeating: RawTestRun.fill, count: run.sizeOut)
        var dataIn = [UInt8](repeating: 0, count: run.dataIn)
        var dataOut = [UInt8](repeating: 0, count: run.dataOut)
        var options = bpf_test_run_opts()
        options.sz = MemoryLayout<bpf_test_run_opts>.size
        options.repeat = run.repetitions
        options.flags = run.flags
        options.cpu = run.cpu
        options.batch_size = run.batchSize
        // An array's buffer may be anywhere while the call lasts, and nowhere after it.
        let errno = context.withUnsafeMutableBytes { context in
            after.withUnsafeMutableBytes { after in
                dataIn.withUnsafeMutableBytes { dataIn in
                    dataOut.withUnsafeMutableBytes { dataOut in
                        if run.context != nil {
                            options.ctx_in = UnsafeRawPointer(context.baseAddress)
                            options.ctx_size_in = UInt32(context.count)
                        }
                        if run.sizeOut > 0 {
                            options.ctx_out = after.baseAddress
                            options.ctx_size_out = UInt32(after.count)
                        }
                        if run.dataIn > 0 {
                            options.data_in = UnsafeRawPointer(dataIn.baseAddress)
                            options.data_size_in = UInt32(dataIn.count)
                        }
                        if run.dataOut > 0 {
                            options.data_out = dataOut.baseAddress
                            options.data_size_out = UInt32(dataOut.count)
                        }
                        return -bpf_prog_test_run_opts(descriptor, &options)
                    }
                }
            }
        }
        return RawTestRun.Result(
            errno: errno, returned: options.retval, duration: options.duration, context: after,
            contextSize: Int(options.ctx_size_out))
    }

    /// Every element of one of the program's array maps; nil if it has no map of that name.
    package func elements(ofArray name: String) throws(SocketLookupError) -> [[UInt8]]? {
        guard let map = map(name) else { return nil }
        var shape = clinux_map_shape()
        try checked("bpf(BPF_OBJ_GET_INFO_BY_FD)", "reading the map '\(name)'") { clinux_bpf_map_shape(map, &shape) }
        var elements: [[UInt8]] = []
        for index in 0..<shape.max_entries {
            var key = index
            var value = [UInt8](repeating: 0, count: Int(shape.value_size))
            try checked("bpf(BPF_MAP_LOOKUP_ELEM)", "reading the map '\(name)'") {
                bpf_map_lookup_elem(map, &key, &value)
            }
            elements.append(value)
        }
        return elements
    }
}
