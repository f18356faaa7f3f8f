import Addressing
import CLinux
import Glibc
import SocketLookup
import SystemPackage

/// A program that is timed, with bindings of one size.
struct Contestant {
    enum Shape: String, CaseIterable {
        case none = "no program"
        case empty = "empty program"
        /// The least that leads a packet to a socket.
        case assign = "assignment only"
        case ours = "dispatcher"
        case two = "two lookups"
    }

    let shape: Shape
    let count: Int
    let set: BindingSet
    /// Of the program, for each kind of packet; none without a program.
    let programs: [Kind: Int32]
}

/// How long changes took.
struct ChangeTimes {
    var replacing: Spent
    var binding: Spent
    var unbinding: Spent
}

/// Milliseconds. What is elapsed beyond the processor's time is grace periods of the kernel, or other processes'.
struct Spent {
    var elapsed: Double
    var processor: Double

    init(_ work: () throws -> Void) rethrows {
        func now(_ clock: clockid_t) -> Double {
            var time = timespec()
            clock_gettime(clock, &time)
            return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
        }
        let (start, began) = (now(CLOCK_MONOTONIC), now(CLOCK_PROCESS_CPUTIME_ID))
        try work()
        (elapsed, processor) = (now(CLOCK_MONOTONIC) - start, now(CLOCK_PROCESS_CPUTIME_ID) - began)
    }
}

/// Loads a dispatcher with a set of bindings, and returns its program, detached.
///
/// - Parameter base: In a BPF file system, not there yet.
func makeDispatcher(
    _ object: FilePath, _ set: BindingSet, _ receiver: Receiver, base: FilePath
) throws -> (program: Int32, times: ChangeTimes) {
    let location = try StateLocation(base: base)
    try DispatcherState.load(object, at: location)
    let state = try DispatcherState(at: location)
    try state.register(Array(receiver.sockets.values), under: BindingSet.label)
    let replacing = try Spent { try state.replace(with: set.bindings) }
    // It is none of the set's, and no packet's.
    let one = Binding(Match(.udp, try Prefix(text: "192.0.2.0/24"), PortRange(BindingSet.port)), to: BindingSet.label)
    let binding = try Spent { try state.bind([one]) }
    let unbinding = try Spent { try state.unbind([one.match]) }
    let program = try done("bpf(BPF_OBJ_GET)", bpf_obj_get(location.directory.appending("state/program").string))
    try Link(pinnedAt: location.directory.appending("state/link")).detach()
    return (program, ChangeTimes(replacing: replacing, binding: binding, unbinding: unbinding))
}

/// Loads the program that leads every packet to its kind's socket.
func makeAssignment(_ object: FilePath, _ receiver: Receiver) throws -> Int32 {
    var loaded: OpaquePointer?
    try done("bpf_object__load", clinux_bpf_load(object.string, &loaded))
    try putSockets(receiver, into: bpf_object__find_map_fd_by_name(loaded, "sockets"))
    return bpf_program__fd(bpf_object__next_program(loaded, nil))
}

/// By the order of all kinds.
private func putSockets(_ receiver: Receiver, into map: Int32) throws {
    for (index, kind) in Kind.all.enumerated() {
        let socket = UInt64(receiver.sockets[kind]?.rawValue ?? -1)
        try done(
            "bpf(BPF_MAP_UPDATE_ELEM)",
            bpf_map_update_elem(map, native(UInt32(index)), native(socket), UInt64(BPF_ANY)))
    }
}

/// Loads the program with two lookups, and fills its maps, which live as long as the process.
func makeTwoLookups(_ object: FilePath, _ set: BindingSet, _ receiver: Receiver) throws -> Int32 {
    var loaded: OpaquePointer?
    try done("bpf_object__load", clinux_bpf_load(object.string, &loaded))
    func map(_ name: String) -> Int32 { bpf_object__find_map_fd_by_name(loaded, name) }
    for binding in set.bindings {
        let match = binding.match
        let length = UInt32(match.prefix.length + (match.prefix.family == .ipv4 ? 96 : 0))
        var key = native(32 + length)
        key.append(match.protocol == .tcp ? UInt8(IPPROTO_TCP) : UInt8(IPPROTO_UDP))
        key.append(0)
        key += native(match.ports == .all ? 0 : match.ports.first)
        key += match.prefix.address.mappedBytes
        try done(
            "bpf(BPF_MAP_UPDATE_ELEM)",
            bpf_map_update_elem(map("bindings"), key, native(UInt32(0)) + native(length), UInt64(BPF_ANY)))
    }
    for (index, kind) in Kind.all.enumerated() {
        let family = kind.family == .ipv4 ? AF_INET : AF_INET6
        let number = UInt32(kind.protocol == .tcp ? IPPROTO_TCP : IPPROTO_UDP)
        let destination = native(UInt32(0)) + native(UInt32(family)) + native(number)
        try done(
            "bpf(BPF_MAP_UPDATE_ELEM)",
            bpf_map_update_elem(
                map("destinations"), destination, native(UInt32(index)) + native(UInt32(index)), UInt64(BPF_ANY)))
    }
    try putSockets(receiver, into: map("sockets"))
    return bpf_program__fd(bpf_object__next_program(loaded, nil))
}

func native(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
