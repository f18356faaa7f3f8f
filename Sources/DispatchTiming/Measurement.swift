import Addressing
import CFlood
import CLinux
import Glibc
import SystemPackage

/// Nanoseconds that the kernel says one run of a program takes, with all that it touches in the processor's caches:
/// the mean over some addresses of each kind.
func lookupTime(_ contestant: Contestant, _ addresses: [Kind: [IPAddress]]) throws -> Double {
    var (sum, runs) = (0.0, 0.0)
    for (kind, program) in contestant.programs {
        for address in (addresses[kind] ?? []).prefix(32) {
            var lookup = clinux_lookup()
            lookup.family = UInt32(kind.family == .ipv4 ? AF_INET : AF_INET6)
            lookup.protocol = UInt32(kind.protocol == .tcp ? IPPROTO_TCP : IPPROTO_UDP)
            let size = kind.family.width / 8
            withUnsafeMutableBytes(of: &lookup.local) { $0.copyBytes(from: address.mappedBytes.suffix(size)) }
            lookup.remote.15 = 1
            lookup.remote_port = 1024
            lookup.local_port = BindingSet.port
            var duration: UInt32 = 0
            try done("bpf(BPF_PROG_TEST_RUN)", clinux_bpf_time_run(program, &lookup, 10_000, &duration))
            sum += Double(duration)
            runs += 1
        }
    }
    return sum / runs
}

/// Packets that end at a receiver, made beforehand.
struct Flood {
    static let devices = (from: "flood0", to: "flood1")
    /// As many flows as the kernel's authors had.
    static let flows = 10_000

    private let frames: [UInt8]
    private let length: Int32
    private let socket: Int32

    init(_ kind: Kind, to destinations: [IPAddress], over socket: Int32) throws {
        var (from, to) = ([UInt8](repeating: 0, count: 6), [UInt8](repeating: 0, count: 6))
        try done("SIOCGIFHWADDR", flood_hardware_address(Flood.devices.from, &from))
        try done("SIOCGIFHWADDR", flood_hardware_address(Flood.devices.to, &to))
        var frames: [UInt8] = []
        var length: Int32 = 0
        let size = kind.family.width / 8
        for flow in 0..<Flood.flows {
            var packet = flood_packet()
            packet.family = kind.family == .ipv4 ? AF_INET : AF_INET6
            packet.protocol = Int32(kind.protocol == .tcp ? IPPROTO_TCP : IPPROTO_UDP)
            let source = kind.family == .ipv4 ? IPAddress.v4(0xC633_6401) : .v6(0x2001_0db8 << 96 | 1)
            withUnsafeMutableBytes(of: &packet.source) { $0.copyBytes(from: source.mappedBytes.suffix(size)) }
            let destination = destinations[flow % destinations.count]
            withUnsafeMutableBytes(of: &packet.destination) {
                $0.copyBytes(from: destination.mappedBytes.suffix(size))
            }
            packet.source_port = UInt16(20_000 + flow)
            packet.destination_port = BindingSet.port
            var frame = [UInt8](repeating: 0, count: Int(FLOOD_FRAME))
            length = flood_frame(&frame, from, to, &packet)
            frames += frame
        }
        self.frames = frames
        self.length = length
        self.socket = socket
    }

    /// Nanoseconds of processor time for one packet, from the system call that sends it to the receiver's filter.
    ///
    /// - Throws: if not exactly as many arrive as are sent.
    func time(_ packets: Int, _ kind: Kind, _ receiver: Receiver) throws -> Double {
        let before = try receiver.received(kind)
        var nanoseconds: UInt64 = 0
        try done(
            "sendmmsg", flood_send(socket, frames, Int32(Flood.flows), length, Int32(packets), &nanoseconds))
        // ksoftirqd may have the last of them.
        let deadline = ContinuousClock.now + .seconds(5)
        while try receiver.received(kind) &- before != UInt32(packets) {
            guard ContinuousClock.now < deadline else {
                throw Loss(kind: kind, sent: packets, received: Int(try receiver.received(kind) &- before))
            }
            sched_yield()
        }
        return Double(nanoseconds) / Double(packets)
    }

    struct Loss: Error, CustomStringConvertible {
        let kind: Kind
        let sent: Int
        let received: Int

        var description: String { "of \(sent) packets (\(kind)), \(received) arrived" }
    }
}
