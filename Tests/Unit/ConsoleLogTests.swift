import Testing
import VirtualMachine

/// Console text as kernels write it, whole and damaged, and what has to be found in it.
struct ConsoleLogTests {
    private func kinds(_ text: String) -> [ConsoleLog.Kind] { ConsoleLog(text).splats.map(\.kind) }

    @Test func `A clean boot has no splat`() {
        #expect(kinds(Golden.clean).isEmpty)
        #expect(kinds("").isEmpty)
    }

    @Test func `A panic is found, and its summary is without the time`() {
        let log = ConsoleLog(Golden.clean + Golden.panic)
        #expect(log.splats.map(\.kind) == [.panic])
        #expect(log.splats.first?.summary == "Kernel panic - not syncing: sysrq triggered crash")
        #expect(log.splats.first?.lines.contains { $0.contains("sysrq_handle_crash") } == true)
    }

    @Test func `An oops that ends in a panic is both, and the oops comes first`() {
        let log = ConsoleLog(Golden.oops)
        #expect(log.splats.map(\.kind) == [.bug, .panic])
        #expect(log.splats.first?.summary == "BUG: kernel NULL pointer dereference, address: 0000000000000018")
        #expect(log.splats.last?.summary == "Kernel panic - not syncing: Fatal exception in interrupt")
    }

    @Test func `A BUG is named by its file and not by the line that cuts`() {
        let log = ConsoleLog(Golden.bug)
        #expect(log.splats.map(\.kind) == [.bug])
        #expect(log.splats.first?.summary == "kernel BUG at net/core/sock.c:1234!")
    }

    @Test(arguments: [Golden.warning, Golden.newWarning])
    func `A WARNING is found in either form, once, with its trace`(_ text: String) {
        let log = ConsoleLog(text + Golden.clean)
        #expect(log.splats.map(\.kind) == [.warning])
        #expect(log.splats.first?.summary.hasPrefix("WARNING: ") == true)
        #expect(log.splats.first?.lines.last?.contains("---[ end trace") == true)
    }

    @Test func `Two warnings are two`() {
        #expect(kinds(Golden.warning + Golden.newWarning) == [.warning, .warning])
    }

    @Test func `What sanitizers and lockdep say has their name`() {
        #expect(kinds(Golden.kasan) == [.kasan])
        #expect(kinds(Golden.lockdep) == [.lockdep])
        #expect(kinds("[ 1.0] UBSAN: array-index-out-of-bounds in net/ipv4/udp.c:99:2") == [.ubsan])
        #expect(kinds("[ 1.0] BUG: KFENCE: use-after-free read in sk_free+0x10/0x20") == [.sanitizer])
        #expect(kinds("[ 1.0] WARNING: suspicious RCU usage") == [.lockdep])
    }

    @Test func `Stalls and hangs are found`() {
        #expect(kinds("[ 90.1] rcu: INFO: rcu_preempt self-detected stall on CPU") == [.rcuStall])
        #expect(kinds("[ 90.1] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:") == [.rcuStall])
        #expect(kinds("[ 90.1] watchdog: BUG: soft lockup - CPU#0 stuck for 134s! [lab-guest:58]") == [.softLockup])
        #expect(kinds("[ 90.1] NMI watchdog: Watchdog detected hard LOCKUP on cpu 0") == [.hardLockup])
        #expect(kinds("[ 90.1] INFO: task lab-guest:58 blocked for more than 120 seconds.") == [.hungTask])
        #expect(
            kinds("[ 1.0] general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1]")
                == [.generalProtection])
    }

    @Test(arguments: 1...Golden.bug.count)
    func `A log cut off anywhere never traps, and the heading is enough`(_ length: Int) {
        let log = ConsoleLog(String(Golden.bug.prefix(length)))
        #expect(log.splats.count <= 1)
        if Golden.bug.prefix(length).contains("cut here ]") { #expect(log.splats.count == 1) }
    }

    @Test func `A panic whose line is cut off is a panic`() {
        #expect(kinds("[    2.1] lab-guest says\r\n[    2.2] Kernel panic - not sy") == [.panic])
    }

    @Test func `A heading glued to another line is found`() {
        let log = ConsoleLog(Golden.interleaved)
        #expect(log.splats.map(\.kind) == [.bug, .panic])
    }

    @Test func `A trace whose heading was lost is a splat all the same`() {
        #expect(kinds("[ 3.0] garb\r\n[ 3.1] RIP: 0010:sk_lookup+0x1/0x2\r\n[ 3.2] Call Trace:\r\n") == [.trace])
        #expect(kinds("[ 3.3] ---[ end trace 0000000000000000 ]---") == [.trace])
    }

    @Test func `A splat ends where the next trial begins`() {
        let log = ConsoleLog(
            "[ 1.0] BUG: scheduling while atomic: a/1/0x2\n[ 1.1] binding-lab: trial 2 begins\n[ 1.2] x")
        #expect(log.splats.map(\.lines.count) == [1])
    }

    @Test(arguments: [
        "[ 1.0] traps: lab-guest[57] general protection fault ip:7f00 sp:7ffe error:0 in lab-guest[400000+e00000]",
        "[ 1.0] traps: lab-guest[57] trap invalid opcode ip:55 sp:7f error:0 in lab-guest[400000+e00000]",
        "[ 1.0] lab-guest[57]: segfault at 8 ip 0000 sp 0000 error 4 in lab-guest[400000+e00000]",
        "[ 1.0] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible!",
        "[ 1.0] [Firmware Bug]: TSC doesn't count with P0 frequency!",
        "[ 1.0] ACPI DEBUG: \"method\"",
        "[ 1.0] clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable",
        "[ 1.0] Command line: console=ttyS0 panic=-1 oops=panic",
        "[ 1.0] hrtimer: interrupt took 5544332 ns",
        "[ 1.0] rcu: Hierarchical SRCU implementation.",
    ])
    func `What is no fault of the kernel is not counted`(_ line: String) {
        #expect(kinds(line).isEmpty)
    }

    @Test func `Memory that runs out is not a fault of the kernel, stack trace or not`() {
        #expect(kinds(Golden.outOfMemory).isEmpty)
    }
}

/// Console text of Debian's kernels, addresses and registers shortened; lines end as a serial port ends them.
private enum Golden {
    static let clean = lines(
        """
        [    0.000000] Linux version 6.12.117+deb13-cloud-amd64 (gcc-14) #1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1
        [    0.000000] Command line: console=ttyS0,115200 panic=-1 oops=panic loglevel=7 printk.devkmsg=on
        [    0.000000] tsc: Fast TSC calibration failed
        [    0.159450] rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.
        [    0.574571] Performance Events: PMU not available due to virtualization, using software events only.
        [    0.976891] acpi PNP0A03:00: fail to add MMCONFIG information, can't access extended PCI configuration space
        [    1.699212] RAS: Correctable Errors collector initialized.
        [    1.710000] clk: Disabling unused clocks
        [    2.467090] lab-init: started
        [    2.900000] binding-lab: trial 1 begins: order/connected:tcp-ipv4
        [    3.100000] binding-lab: trial 1 is over
        """)

    static let panic = lines(
        """
        [    4.100000] sysrq: Trigger a crash
        [    4.100100] Kernel panic - not syncing: sysrq triggered crash
        [    4.100200] CPU: 0 UID: 0 PID: 58 Comm: lab-guest Not tainted 6.12.117+deb13-cloud-amd64 #1  Debian 6.12.117-1
        [    4.100300] Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
        [    4.100400] Call Trace:
        [    4.100500]  <TASK>
        [    4.100600]  panic+0x334/0x360
        [    4.100700]  sysrq_handle_crash+0x1a/0x20
        [    4.100800]  __handle_sysrq.cold+0x95/0xd7
        [    4.100900]  </TASK>
        [    4.101000] Kernel Offset: 0x2e000000 from 0xffffffff81000000
        """)

    static let oops = lines(
        """
        [    5.000000] BUG: kernel NULL pointer dereference, address: 0000000000000018
        [    5.000100] #PF: supervisor read access in kernel mode
        [    5.000200] #PF: error_code(0x0000) - not-present page
        [    5.000300] PGD 0 P4D 0
        [    5.000400] Oops: 0000 [#1] SMP NOPTI
        [    5.000500] CPU: 0 PID: 58 Comm: lab-guest Not tainted 5.10.0-46-cloud-amd64 #1 Debian 5.10.262-1
        [    5.000600] RIP: 0010:inet_lookup_listener+0x5d/0x2a0
        [    5.000700] Call Trace:
        [    5.000800]  <IRQ>
        [    5.000900]  tcp_v4_rcv+0x1b3/0xdb0
        [    5.001000]  </IRQ>
        [    5.001100] Modules linked in: udp_diag tcp_diag inet_diag dummy veth
        [    5.001200] ---[ end trace 5a0e1d5f7d2b4a11 ]---
        [    5.001300] RIP: 0010:inet_lookup_listener+0x5d/0x2a0
        [    5.001400] Kernel panic - not syncing: Fatal exception in interrupt
        [    5.001500] ---[ end Kernel panic - not syncing: Fatal exception in interrupt ]---
        """)

    static let bug = lines(
        """
        [    6.000000] ------------[ cut here ]------------
        [    6.000100] kernel BUG at net/core/sock.c:1234!
        [    6.000200] Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
        [    6.000300] CPU: 0 UID: 0 PID: 58 Comm: lab-guest Not tainted 6.12.117+deb13-cloud-amd64 #1
        [    6.000400] RIP: 0010:sk_destruct+0x45/0x50
        [    6.000500] Call Trace:
        [    6.000600]  <TASK>
        [    6.000700]  __sk_free+0x2a/0xc0
        [    6.000800]  </TASK>
        [    6.000900] ---[ end trace 0000000000000000 ]---
        """)

    static let warning = lines(
        """
        [    7.000000] ------------[ cut here ]------------
        [    7.000100] refcount_t: underflow; use-after-free.
        [    7.000200] WARNING: CPU: 0 PID: 58 at lib/refcount.c:28 refcount_warn_saturate+0xbe/0x110
        [    7.000300] Modules linked in: veth dummy
        [    7.000400] RIP: 0010:refcount_warn_saturate+0xbe/0x110
        [    7.000500] Call Trace:
        [    7.000600]  <TASK>
        [    7.000700]  sk_free+0x5d/0x60
        [    7.000800]  </TASK>
        [    7.000900] ---[ end trace 0000000000000000 ]---
        """)

    static let newWarning = lines(
        """
        [    7.000000][    T58] ------------[ cut here ]------------
        [    7.000100][    T58] WARNING: net/core/filter.c:11203 at bpf_sk_lookup+0x1b/0x40, CPU#0: lab-guest/58
        [    7.000200][    T58] Modules linked in: veth dummy
        [    7.000400][    T58] RIP: 0010:bpf_sk_lookup+0x1b/0x40
        [    7.000500][    T58] Call Trace:
        [    7.000700][    T58]  __inet_lookup+0x5d/0x60
        [    7.000900][    T58] ---[ end trace 0000000000000000 ]---
        """)

    static let kasan = lines(
        """
        [    8.000000] ==================================================================
        [    8.000100] BUG: KASAN: slab-use-after-free in bpf_sk_lookup_run_v4+0x312/0x3a0
        [    8.000200] Read of size 8 at addr ffff88800d2c1a40 by task lab-guest/58
        [    8.000300] CPU: 0 UID: 0 PID: 58 Comm: lab-guest Not tainted 6.12.0 #1
        [    8.000400] Call Trace:
        [    8.000500]  <TASK>
        [    8.000600]  dump_stack_lvl+0x5d/0x80
        [    8.000700]  kasan_report+0xd8/0x110
        [    8.000800]  </TASK>
        [    8.000900] Allocated by task 58:
        [    8.001000] ==================================================================
        [    8.001100] Disabling lock debugging due to kernel taint
        """)

    static let lockdep = lines(
        """
        [    9.000000] ======================================================
        [    9.000100] WARNING: possible circular locking dependency detected
        [    9.000200] 6.12.0 #1 Not tainted
        [    9.000300] ------------------------------------------------------
        [    9.000400] lab-guest/58 is trying to acquire lock:
        [    9.000500] ffff88800d2c1a40 (sk_lock-AF_INET){+.+.}-{0:0}, at: tcp_close+0x1d/0x60
        [    9.000600] but task is already holding lock:
        [    9.000700] ffffffff83a2b3c8 (rtnl_mutex){+.+.}-{4:4}, at: rtnl_lock+0x17/0x20
        [    9.000800] which lock already depends on the new lock.
        [    9.000900] stack backtrace:
        [    9.001000] Call Trace:
        [    9.001100]  dump_stack_lvl+0x5d/0x80
        """)

    static let interleaved = lines(
        """
        [   10.000000] binding-lab: trial 4 begins: ranges/two-ser[   10.000100] BUG: unable to handle page fault for addre
        vices:udp-ipv4ss: ffffffffdeadbeef
        [   10.000200] #PF: supe[   10.000250] veth0: link becomes readyrvisor write access
        [   10.000300] Oops: 0002 [#1] PREEMPT SMP
        [   10.000400] [   10.000450] Kernel panic - not syncing: Fatal exception
        """)

    static let outOfMemory = lines(
        """
        [   11.000000] lab-guest invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
        [   11.000100] CPU: 0 UID: 0 PID: 58 Comm: lab-guest Not tainted 6.12.117+deb13-cloud-amd64 #1
        [   11.000200] Call Trace:
        [   11.000300]  dump_header+0x44/0x1d0
        [   11.000400] RIP: 0033:0x7f1
        [   11.000500] Out of memory: Killed process 58 (lab-guest) total-vm:1kB, anon-rss:1kB, UID:0
        [   11.000600] lab-init: the agent was killed by signal 9
        """)

    private static func lines(_ text: String) -> String { text.replacing("\n", with: "\r\n") + "\r\n" }
}
