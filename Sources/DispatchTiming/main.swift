// What the dispatcher costs, beside an empty program and one that looks bindings up twice: `make bench-dispatch`.
//
// All take turns in each round, so that whatever else the machine does falls on all alike; medians count, and ratios are
// the medians of the ratios of a round. scripts/bench-dispatch makes the namespace with the devices that this needs.

import Addressing
import CFlood
import CLinux
import Glibc
import SocketLookup
import SystemPackage

let arguments = CommandLine.arguments.dropFirst()
guard let directory = arguments.first, let rounds = Int(arguments.dropFirst().first ?? "31"), rounds > 0 else {
    say("usage: DispatchTiming OBJECTS [ROUNDS] [SIZES…]", to: .standardError)
    exit(2)
}
let objects = FilePath(directory)
let given = arguments.dropFirst(2).compactMap { Int($0) }
let sizes = given.isEmpty ? [1, 200, 10_000, 1_000_000] : given
let comparedSize = sizes.contains(200) ? 200 : sizes[0]

do {
    // Packets are received on the processor that sends them.
    try done("sched_setaffinity", flood_pin(1))
    let fileSystem = try done("fsmount", clinux_bpf_file_system())
    let receiver = try Receiver()
    let namespace = FileDescriptor(rawValue: try done("open", clinux_current_network_namespace()))
    let socket = try done("socket(AF_PACKET)", flood_socket(Flood.devices.from))
    let pass = try done("bpf(BPF_PROG_LOAD)", clinux_bpf_load_pass())

    var contestants: [Contestant] = []
    line("changes, ms (processor)".padded(24), ["replace", "bind 1", "unbind 1"].map { $0.aligned(16) }.joined())
    for size in sizes {
        let kinds = size == 1 ? Kind.all : [Kind.all[0]]
        var (ours, two): ([Kind: Int32], [Kind: Int32]) = ([:], [:])
        var sets: [BindingSet] = []
        var times: [ChangeTimes] = []
        for (index, kind) in kinds.enumerated() {
            let set = try BindingSet(count: size, kind: kind, destinations: Flood.flows)
            let made = try makeDispatcher(
                objects.appending("dispatch.bpf.o"), set, receiver,
                base: FilePath("/proc/self/fd/\(fileSystem)/of-\(size)-\(index)"))
            let other = try makeTwoLookups(objects.appending("two-lookups.bpf.o"), set, receiver)
            for each in size == 1 ? [kind] : Kind.all { (ours[each], two[each]) = (made.program, other) }
            sets.append(set)
            times.append(made.times)
        }
        let set = sets.count == 1 ? sets[0] : BindingSet(joining: sets)
        if size == comparedSize {
            contestants.append(Contestant(shape: .none, count: 0, set: set, programs: [:]))
            let assign = try makeAssignment(objects.appending("assign.bpf.o"), receiver)
            for (shape, program) in [(Contestant.Shape.empty, pass), (.assign, assign)] {
                contestants.append(
                    Contestant(
                        shape: shape, count: 0, set: set,
                        programs: Dictionary(uniqueKeysWithValues: Kind.all.map { ($0, program) })))
            }
        }
        contestants.append(Contestant(shape: .ours, count: size, set: set, programs: ours))
        contestants.append(Contestant(shape: .two, count: size, set: set, programs: two))
        let middle = [\ChangeTimes.replacing, \.binding, \.unbinding].map { change in
            let elapsed = median(times.map { $0[keyPath: change].elapsed })
            let processor = median(times.map { $0[keyPath: change].processor })
            return "\(Int(elapsed.rounded())) (\(Int(processor.rounded())))"
        }
        line("\(size) bindings".padded(24), middle.map { $0.aligned(16) }.joined())
    }
    let order = Contestant.Shape.allCases
    contestants.sort {
        (order.firstIndex(of: $0.shape) ?? 0, $0.count) < (order.firstIndex(of: $1.shape) ?? 0, $1.count)
    }

    // MARK: by test runs
    var (hits, misses) = (Samples(contestants.count), Samples(contestants.count))
    for _ in 0..<max(3, rounds / 4) {
        for (index, contestant) in contestants.enumerated() where !contestant.programs.isEmpty {
            hits.add(try lookupTime(contestant, contestant.set.bound), to: index)
            misses.add(try lookupTime(contestant, contestant.set.unbound), to: index)
        }
    }
    line("\nns per lookup (test run)".padded(25), "bound   min–max     not bound   min–max      two lookups' to ours")
    for (index, contestant) in contestants.enumerated() where !contestant.programs.isEmpty {
        let rival = contestants.firstIndex { $0.shape == .two && $0.count == contestant.count }
        let ratios =
            contestant.shape != .ours
            ? ""
            : [hits, misses].map { samples in
                rival.map { samples.ratio(of: $0, to: index).hundredths } ?? ""
            }.joined(separator: ", ")
        line(
            contestant.description.padded(24), hits.median(index).tenths.aligned(6), hits.range(index).padded(14),
            misses.median(index).tenths.aligned(6), misses.range(index).padded(16), ratios)
    }

    // MARK: by packets
    let packets = 20_000
    for kind in Kind.all {
        let floods = try contestants.map { try Flood(kind, to: $0.set.bound[kind] ?? [], over: socket) }
        var times = Samples(contestants.count)
        for round in 0..<rounds {
            for offset in contestants.indices {
                // Who comes after whom changes.
                let index = (offset * (round % 2 == 0 ? 1 : contestants.count - 1) + round) % contestants.count
                let program = contestants[index].programs[kind]
                let link = try program.map {
                    try done("bpf(BPF_LINK_CREATE)", clinux_bpf_attach_netns($0, namespace.rawValue, 0))
                }
                defer { if let link { close(link) } }
                _ = try floods[index].time(packets / 10, kind, receiver)
                times.add(try floods[index].time(packets, kind, receiver), to: index)
            }
        }
        let empty = contestants.firstIndex { $0.shape == .empty } ?? 0
        line("\nns per packet, \(kind)".padded(25), "median     min–max   packets/s   to the empty program's")
        for (index, contestant) in contestants.enumerated() {
            let middle = times.median(index)
            line(
                contestant.description.padded(24), middle.tenths.aligned(6), times.range(index).aligned(13),
                "\(Int(1e9 / middle))".aligned(10), times.ratio(of: index, to: empty).thousandths.aligned(10))
        }
    }
} catch {
    say("DispatchTiming: \(error)\n\(String(cString: clinux_bpf_log()))", to: .standardError)
    exit(1)
}
