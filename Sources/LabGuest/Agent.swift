import Channel
import Glibc
import Lab
import SystemPackage

/// Performs what the host asks for, one thing at a time.
struct Agent {
    let channel: SerialChannel
    let log: KernelLog
    /// One for all trials: it probes the kernel's features once.
    private let executor = Executor(programs: "/lib/bpf")

    init(channel: SerialChannel, log: KernelLog) {
        self.channel = channel
        self.log = log
    }

    func serve() async throws {
        log.write(LogMarker.ready)
        try channel.send(.ready(KernelIdentity.running, problems: linesOfFile("/run/lab-problems") + log.problems))
        while true {
            do {
                switch try channel.receive() {
                case .perform(let fixture, let trial): try await perform(fixture, trial: trial)
                case .misbehave(let misbehaviour, let trial): try misbehave(misbehaviour, trial: trial)
                }
            } catch .channel(let error) {
                try channel.send(.misunderstood(reason: error.description))
            }
        }
    }

    private func perform(_ fixture: Fixture, trial: Int) async throws(GuestError) {
        log.write("\(LogMarker.began(trial: trial)): \(fixture.id)")
        var failure: GuestError?
        let report = { (progress: Progress) in
            guard failure == nil else { return }
            do throws(GuestError) {
                switch progress {
                case .began(let step): try channel.send(.began(step: step))
                case .working(let step): try channel.send(.working(step: step))
                case .observed(let step, let observation): try channel.send(.observed(step: step, observation))
                }
            } catch {
                failure = error
            }
        }
        let ending = await executor.perform(fixture, report: report)
        if let failure { throw failure }
        log.write(LogMarker.ended(trial: trial))
        try channel.send(.finished(ending))
    }

    private func misbehave(_ misbehaviour: Misbehaviour, trial: Int) throws(GuestError) {
        log.write("\(LogMarker.began(trial: trial)): \(misbehaviour.rawValue)")
        switch misbehaviour {
        case .panic:
            guard let trigger = fopen("/proc/sysrq-trigger", "w") else {
                throw .cannot("open", "/proc/sysrq-trigger", .current)
            }
            fputs("c", trigger)
            fclose(trigger)
        case .hang:
            while true {}
        case .exit: exit(3)
        case .mute: return
        case .warn:
            log.write("------------[ cut here ]------------")
            log.write("WARNING: CPU: 0 PID: \(getpid()) at vm/self-test.c:1 misbehave+0x0/0x0")
            log.write("---[ end trace 0000000000000000 ]---")
            log.write(LogMarker.ended(trial: trial))
            try channel.send(.finished(.finished))
        }
    }

    private func linesOfFile(_ path: String) -> [String] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

/// The kernel's log, written to like any of its own messages.
struct KernelLog {
    private let descriptor: Int32
    let problems: [String]

    init() {
        descriptor = open("/dev/kmsg", O_WRONLY | O_CLOEXEC)
        problems = descriptor < 0 ? ["cannot open /dev/kmsg: \(ErrorNumber.current)"] : []
    }

    /// As a warning, so that the console shows it whatever its level.
    func write(_ line: String) {
        // The host notices a marker that is missing, so there is nothing to do here about a failure.
        _ = Array("<4>\(line)\n".utf8).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }
}
