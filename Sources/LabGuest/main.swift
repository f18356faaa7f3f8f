import Glibc
import Lab

// A fixture may start this program anew, for a change that another process is to make.
if let status = DispatcherProcess.perform(CommandLine.arguments) { exit(status) }

// The guest's agent: PID 1's only child. When it ends, PID 1 says so and powers off.
do {
    try await Agent(channel: SerialChannel(path: "/dev/ttyS1"), log: KernelLog()).serve()
} catch {
    KernelLog().write("lab-guest: \(error)")
    exit(1)
}
