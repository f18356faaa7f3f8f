/// What a kernel complained about in its log: read from console text that may be cut off or interleaved.
public struct ConsoleLog: Sendable, Hashable {
    /// Every complaint, in the order of the log.
    public let splats: [Splat]
    public let lines: [String]

    /// One complaint of a kernel: the line that says what is wrong, and what it printed with it.
    public struct Splat: Sendable, Hashable {
        public var kind: Kind
        /// The line that names the fault.
        public var summary: String
        public var lines: [String]
    }

    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case panic
        case bug = "BUG"
        case oops
        case generalProtection = "general protection fault"
        case kasan = "KASAN"
        case ubsan = "UBSAN"
        /// KFENCE, KCSAN and KMSAN.
        case sanitizer
        case lockdep
        case softLockup = "soft lockup"
        case hardLockup = "hard lockup"
        case rcuStall = "RCU stall"
        case hungTask = "hung task"
        /// A network device that cannot go because something still refers to it.
        case leakedDevice = "leaked device reference"
        case warning = "WARNING"
        /// A stack trace whose heading was lost or is not known.
        case trace = "stack trace"
    }

    /// As many lines as one splat keeps: a header, registers and a call trace fit.
    private static let longest = 80

    public init(_ text: String) {
        // By scalars, because "\r\n" is one Character.
        let lines = text.unicodeScalars.split(whereSeparator: { $0 == "\n" || $0 == "\r" }).map { String($0) }
        var scanner = Scanner()
        for line in lines { scanner.take(line) }
        self.lines = lines
        splats = scanner.finish()
    }

    /// The last lines, for a report.
    public func tail(_ count: Int = 20) -> [String] { Array(lines.suffix(count)) }

    /// What a line begins, if it begins anything. Only by what it contains: a line may be glued to another's
    /// beginning, and carries a time stamp or not.
    static func kind(of line: String) -> Kind? {
        // A process that crashed, not the kernel.
        if line.contains("traps: ") { return nil }
        let has = { (text: String) in line.contains(text) }
        if has("Kernel panic") { return .panic }
        if has("BUG: KASAN") { return .kasan }
        if has("UBSAN: ") { return .ubsan }
        if has("BUG: KFENCE") || has("BUG: KCSAN") || has("BUG: KMSAN") { return .sanitizer }
        if has("BUG: soft lockup") { return .softLockup }
        if has("hard LOCKUP") { return .hardLockup }
        if lockdep.contains(where: has) { return .lockdep }
        if has("kernel BUG at") || (has("BUG: ") && line.replacing("DEBUG: ", with: "").contains("BUG: ")) {
            return .bug
        }
        if has("general protection fault:") || has("general protection fault, ") { return .generalProtection }
        if has("Oops: ") || oops.contains(where: has) { return .oops }
        if has("rcu") && (has("detected stall") || has("self-detected stall") || has("kthread starved")) {
            return .rcuStall
        }
        if has("INFO: task ") && has(" blocked for more than ") { return .hungTask }
        if has("unregister_netdevice: waiting for ") { return .leakedDevice }
        // Until 6.17 "WARNING: CPU: 0 PID: 1 at FILE:LINE", then "WARNING: FILE:LINE at FUNCTION+0x…, CPU#0: …".
        if has("WARNING: CPU: ") || (has("WARNING: ") && has(" at ") && has("+0x")) { return .warning }
        return nil
    }

    private static let lockdep = [
        "WARNING: possible circular locking", "WARNING: possible recursive locking",
        "WARNING: possible irq lock inversion", "inconsistent lock state", "suspicious RCU usage",
        "bad unlock balance", "lock held when returning to user space", "WARNING: held lock freed",
        "WARNING: Nested lock was not taken", "INFO: trying to register non-static key",
        "-safe -> HARDIRQ-unsafe lock order", "-safe -> SOFTIRQ-unsafe lock order", "Invalid wait context",
        "WARNING: lock held at task exit", "DEBUG_LOCKS_WARN_ON",
    ]

    private static let oops = [
        "invalid opcode: 0000", "divide error: 0000", "stack segment: 0000", "double fault: 0000",
        "Unable to handle kernel", "unable to handle page fault", "unable to handle kernel", "PANIC: double fault",
    ]

    /// Stack traces that are part of no fault of the kernel: memory that ran out, and dumps that were asked for.
    private static let harmlessTrace = ["invoked oom-killer", "page allocation failure", "sysrq: Show "]

    private struct Scanner {
        private var splats: [Splat] = []
        private var current: Splat?
        /// Whether `current` is known by "cut here" or a trace alone, and waits for its heading.
        private var isUnnamed = false
        /// Lines left of a trace that is nobody's fault.
        private var harmless = 0
        private static let cut = "[ cut here ]"

        mutating func take(_ line: String) {
            if line.contains("binding-lab: ") || line.contains("lab-init: ") {
                close()
                harmless = 0
                // Another's message may be glued to ours.
            }
            if line.contains(Scanner.cut) {
                // A second "cut here" in one splat is another splat.
                open(.warning, line, unnamed: true)
                return
            }
            if let kind = ConsoleLog.kind(of: line), !line.contains("---[ end ") {
                if current == nil || kind == .panic {
                    open(kind, line, unnamed: false)
                } else if isUnnamed {
                    name(kind, line)
                } else {
                    append(line)
                }
                return
            }
            if current != nil {
                append(line)
                if line.contains("---[ end ") {
                    close()
                    // An oops repeats its registers after its end.
                    harmless = 20
                }
                return
            }
            if ConsoleLog.harmlessTrace.contains(where: line.contains) { harmless = ConsoleLog.longest }
            if harmless > 0 {
                harmless -= 1
                return
            }
            if line.contains("Call Trace:") || line.contains("---[ end trace") || line.contains("RIP: 0010:") {
                open(.trace, line, unnamed: true)
            }
        }

        mutating func finish() -> [Splat] {
            close()
            return splats
        }

        private mutating func open(_ kind: Kind, _ line: String, unnamed: Bool) {
            close()
            current = Splat(kind: kind, summary: ConsoleLog.withoutTime(line), lines: [line])
            isUnnamed = unnamed
            harmless = 0
        }

        private mutating func name(_ kind: Kind, _ line: String) {
            current?.kind = kind
            current?.summary = ConsoleLog.withoutTime(line)
            isUnnamed = false
            append(line)
        }

        private mutating func append(_ line: String) {
            current?.lines.append(line)
            if let count = current?.lines.count, count >= ConsoleLog.longest { close() }
        }

        private mutating func close() {
            if let splat = current { splats.append(splat) }
            current = nil
            isUnnamed = false
        }
    }

    /// The line without "[   12.345678]" and, where the kernel adds it, "[    T1]".
    private static func withoutTime(_ line: String) -> String {
        var rest = line[...]
        while rest.hasPrefix("["), let end = rest.firstIndex(of: "]"),
            rest[..<end].dropFirst().allSatisfy({ $0.isNumber || " .TC".contains($0) })
        {
            rest = rest[rest.index(after: end)...].drop { $0 == " " }
        }
        return String(rest)
    }
}
