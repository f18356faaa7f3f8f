// What drawing an address costs, for some kinds of pools: `make bench-addresses`.
//
// The kinds take turns, so that whatever else the machine does falls on all alike; the median of the rounds counts.
// Ratios are to a generator that asks the operating system for each draw, as Swift's own does.

import Addressing
import Glibc

/// The operating system's generator, one call for each draw.
struct SystemBits: RandomBits {
    var generator = SystemRandomNumberGenerator()

    mutating func next32() -> UInt32 { UInt32(truncatingIfNeeded: generator.next()) }
}

let rounds = 15
let draws = 200_000

/// Nanoseconds of processor time for one address.
func time(_ section: AddressPool.Section, _ generator: inout AddressGenerator<some RandomBits & ~Copyable>) -> Double {
    func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }
    let start = now()
    var sum: UInt64 = 0
    for _ in 0..<draws { sum &+= UInt64(truncatingIfNeeded: generator.address(in: section).bits) }
    let end = now()
    // Never so, which the compiler does not know.
    if sum == 0 { print("") }
    return (end - start) / Double(draws)
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

func member(_ text: String, weight: UInt32? = nil) throws -> AddressPool.Member {
    .init(try Prefix(text: text), weight: weight)
}

let pools: [(name: String, pool: AddressPool)] = [
    ("IPv4 /32", try AddressPool([member("192.0.2.1/32")])),
    ("IPv4 /20", try AddressPool([member("198.51.96.0/20")])),
    ("IPv4 /24 without its edges", try AddressPool([member("192.0.2.0/24")], excludingEdges: true)),
    (
        "IPv4 two /24 with weights",
        try AddressPool([member("192.0.2.0/24", weight: 1), member("198.51.100.0/24", weight: 3)])
    ),
    ("IPv6 /64", try AddressPool([member("2001:db8::/64")])),
    ("IPv6 /32", try AddressPool([member("2001:db8::/32")])),
]

var secure = AddressGenerator(SecureRandom())
var system = AddressGenerator(SystemBits())
var nanoseconds = [(secure: [Double], system: [Double])](repeating: ([], []), count: pools.count)
for _ in 0..<rounds {
    for (index, entry) in pools.enumerated() {
        // Each pool has one family.
        guard let section = entry.pool.ipv4 ?? entry.pool.ipv6 else { continue }
        nanoseconds[index].secure.append(time(section, &secure))
        nanoseconds[index].system.append(time(section, &system))
    }
}
print("pool".padded(28), "ns per address".padded(16), "system's".padded(12), "ratio")
for (index, entry) in pools.enumerated() {
    let (mine, its) = (median(nanoseconds[index].secure), median(nanoseconds[index].system))
    print(entry.name.padded(28), mine.tenths.padded(16), its.tenths.padded(12), (its / mine).tenths)
}

extension String {
    func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

extension Double {
    var tenths: String { "\((self * 10).rounded() / 10)" }
}
