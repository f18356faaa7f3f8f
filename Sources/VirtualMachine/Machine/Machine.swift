import Channel
import FoundationEssentials
import Lab
import Subprocess
import SystemPackage

/// How a machine is made, and how long each of its phases may take.
public struct MachineOptions: Sendable, Hashable {
    /// Enough for some twenty thousand sockets beside the unpacked guest.
    public var memoryMegabytes = 512
    /// Until QEMU has opened the console's file.
    public var spawnDeadline: Duration = .seconds(30)
    /// Until PID 1 runs. TCG on a loaded machine takes ten times the usual.
    public var kernelDeadline: Duration = .seconds(120)
    /// From then until the agent answers.
    public var agentDeadline: Duration = .seconds(60)
    /// How long a guest may say nothing while it performs a fixture.
    public var silenceDeadline: Duration = .seconds(180)
    /// How long one fixture may take.
    public var fixtureDeadline: Duration = .seconds(900)
    /// How long the kernel may take to write to the console what it has logged.
    public var logDeadline: Duration = .seconds(30)

    public init() {}
}

/// One QEMU process and the guest in it. Use ``with(kernel:initramfs:accelerator:options:in:_:)``.
struct Machine: Sendable {
    let console: Console
    let mailbox: Mailbox
    let options: MachineOptions
    private let transmit: @Sendable ([UInt8]) async throws -> Void

    /// How the QEMU process ended.
    struct End: Sendable, Hashable {
        /// Whether QEMU exited of its own accord and with status 0, as it does when the guest powers off or resets.
        var isOrderly: Bool
        var status: String
        var errors: String
    }

    /// Runs QEMU for as long as `body`, and no longer: whatever ends the scope ends the process, and should the
    /// lab itself be killed, the kernel kills QEMU.
    static func with<Value: Sendable>(
        image: String, initramfs: Initramfs, accelerator: Accelerator, options: MachineOptions, in run: RunDirectory,
        _ body: (Machine) async throws -> Value
    ) async throws -> (value: Value, end: End) {
        let qemu = try Tool("qemu-system-x86_64", package: "qemu-system-x86")
        // QEMU must not outlive a lab that is killed outright. The signal comes when the *thread* that made the
        // process ends: Subprocess makes all of them on one thread that lives until exit.
        let guardian = try Tool("setpriv", package: "util-linux")
        let console = Console(path: "\(run.path)/console.log")
        let errorsPath = "\(run.path)/qemu.log"
        let errors = try FileDescriptor.open(
            FilePath(errorsPath), .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)

        var platform = PlatformOptions()
        // Not in the terminal's group: Ctrl-C is for the lab, which then ends QEMU in its own time.
        platform.processGroupID = 0
        let arguments =
            ["--pdeathsig", "KILL", "--", qemu.path]
            + self.arguments(
                image: image, initramfs: initramfs, accelerator: accelerator, options: options, console: console,
                pidFile: "\(run.path)/qemu.pid")
        let result = try await spawned(qemu) {
            try await Subprocess.run(
                .path(FilePath(guardian.path)), arguments: Arguments(arguments), platformOptions: platform,
                input: .inputWriter, output: .sequence,
                error: .fileDescriptor(errors, closeAfterSpawningProcess: true)
            ) { execution in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    let mailbox = Mailbox()
                    group.addTask {
                        await receive(execution.standardOutput, into: mailbox)
                    }
                    let machine = Machine(console: console, mailbox: mailbox, options: options) { bytes in
                        _ = try await execution.standardInputWriter.write(bytes)
                    }
                    let value: Value
                    do {
                        value = try await body(machine)
                    } catch {
                        await execution.teardown(using: [])
                        throw error
                    }
                    await execution.teardown(using: [])
                    return value
                }
            }
        }
        let status = result.terminationStatus
        let said = (try? Files.read(errorsPath)).map { String(decoding: $0.suffix(2000), as: UTF8.self) } ?? ""
        // QEMU exits with 0 on SIGTERM too, but says so.
        let end = End(
            isOrderly: status.isSuccess && !said.contains("terminating on signal"), status: "\(status)", errors: said)
        return (result.closureResult, end)
    }

    /// Says what a failure to start or to watch QEMU is: the lab's, unless it was cancelled.
    private static func spawned<Result>(_ qemu: Tool, _ run: () async throws -> Result) async throws -> Result {
        do {
            return try await run()
        } catch let error as SubprocessError {
            try Task.checkCancellation()
            throw MachineError.cannot("run", on: qemu.path, reason: "\(error)")
        }
    }

    private static func arguments(
        image: String, initramfs: Initramfs, accelerator: Accelerator, options: MachineOptions, console: Console,
        pidFile: String
    ) -> [String] {
        // QEMU reads a doubled comma as a comma.
        let quoted = { (path: String) in
            path.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,")
        }
        let command = [
            "console=ttyS0,115200",
            // An oops is the end, at once and with the log on the console: -no-reboot makes QEMU exit.
            "panic=-1", "oops=panic",
            // No line of the log is held back, and what the agent writes to it is not rate-limited.
            "loglevel=7", "printk.devkmsg=on",
            // A guest that gets no processor for half a minute has not locked up: the host is busy.
            "watchdog_thresh=60", "rcupdate.rcu_cpu_stall_timeout=100",
        ]
        return [
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "pc", "-accel", accelerator.rawValue, "-cpu", accelerator == .kvm ? "host" : "max",
            "-smp", "1", "-m", "\(options.memoryMegabytes)", "-pidfile", pidFile,
            "-kernel", image, "-initrd", initramfs.path, "-append", command.joined(separator: " "),
            "-chardev", "file,id=console,path=\(quoted(console.path))", "-serial", "chardev:console",
            // The channel is QEMU's standard input and output: nothing to accept, and it ends when QEMU does.
            "-chardev", "stdio,id=channel,signal=off", "-serial", "chardev:channel",
        ]
    }

    private static func receive(_ output: SubprocessOutputSequence, into mailbox: Mailbox) async {
        var reader = FrameReader()
        do {
            for try await piece in output {
                piece.withUnsafeBytes { reader.append($0) }
                var isDrained = false
                while !isDrained {
                    do throws(FrameError) {
                        if let notice = try reader.next(Notice.self) {
                            mailbox.put(.notice(notice))
                        } else {
                            isDrained = true
                        }
                    } catch {
                        mailbox.put(.damaged(error))
                    }
                }
            }
        } catch {
            // Cancelled, or the pipe failed: either way nothing more comes.
        }
        mailbox.put(.closed)
    }

    /// What a guest says of itself when it is up.
    struct Start: Sendable {
        var identity: KernelIdentity
        var problems: [String]
        /// The kernel's log up to here.
        var log: [UInt8]
    }

    /// Waits until the agent is ready.
    ///
    /// - Throws: ``Loss``, or `CancellationError`.
    func start() async throws -> Start {
        let console = console
        try await wait(for: .spawn, within: options.spawnDeadline) { console.exists }
        try await waitForLog(LogMarker.initStarted, from: 0, phase: .kernel, within: options.kernelDeadline)
        let deadline = ContinuousClock.now + options.agentDeadline
        while true {
            switch try await mailbox.next(within: deadline - .now) {
            case nil: throw Loss.deadline(.agent, options.agentDeadline)
            case .closed: throw Loss.gone
            case .notice(.ready(let identity, let problems)):
                let log = try await waitForLog(
                    LogMarker.ready, from: 0, phase: .log, within: options.logDeadline)
                return Start(identity: identity, problems: problems, log: log)
            // Whatever the kernel made of the port before the agent had it.
            case .damaged(.garbage): continue
            case .damaged(let error): throw Loss.channel(error)
            case .notice(let notice): throw Loss.outOfTurn("\(notice)")
            }
        }
    }

    /// - Throws: ``Loss``, or `CancellationError`.
    func send(_ request: Request) async throws {
        let frame: [UInt8]
        do {
            frame = try Frame.encode(message: request)
        } catch {
            throw Loss.channel(error)
        }
        let limit = options.silenceDeadline
        let transmit = transmit
        // A guest that does not read stalls the writer, so that needs a deadline like any other wait.
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await transmit(frame) }
            group.addTask {
                try await Task.sleep(for: limit)
                throw Loss.deadline(.fixture, limit)
            }
            do {
                try await group.next()
                group.cancelAll()
            } catch let error where !(error is Loss) {
                try Task.checkCancellation()
                throw Loss.gone
            }
        }
    }

    /// Waits until the console has `marker` past `offset`, and returns what it has from there on.
    ///
    /// - Throws: ``Loss``, or `CancellationError`.
    @discardableResult
    func waitForLog(
        _ marker: String, from offset: Int, phase: Phase, within limit: Duration
    ) async throws -> [UInt8] {
        let console = console
        let needle = Data(marker.utf8)
        var found: [UInt8] = []
        try await wait(for: phase, within: limit) {
            found = try console.bytes(from: offset)
            return Data(found).firstRange(of: needle) != nil
        }
        return found
    }

    /// Asks again and again, as nothing tells when a file grows.
    private func wait(
        for phase: Phase, within limit: Duration, until condition: () throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while !(try condition()) {
            if mailbox.isClosed {
                // What was written last may just have been missed.
                if try condition() { return }
                throw Loss.gone
            }
            if ContinuousClock.now > deadline { throw Loss.deadline(phase, limit) }
            // QEMU writes the console to a file, which tells nobody that it has grown.
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
