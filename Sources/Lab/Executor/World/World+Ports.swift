import Addressing
import Glibc

extension World {
    func choosePorts(_ choice: PortChoice) throws -> [String: String] {
        var open: [Descriptor] = []
        // With RST, so that no port stays taken in TIME_WAIT.
        defer { if choice.protocol == .tcp { for descriptor in open { descriptor.resetOnClose() } } }
        var ports: [UInt16] = []
        var refused = "nothing"
        try namespace(choice.namespace).enter {
            while ports.count < choice.count {
                do {
                    let descriptor = try Descriptor.socket(choice.to.address.family, choice.protocol)
                    open.append(descriptor)
                    if let range = choice.localPorts { try descriptor.restrict(to: range) }
                    try descriptor.connect(to: choice.to)
                    guard let port = descriptor.localPort else { throw KernelRefusal("getsockname") }
                    ports.append(port)
                } catch let refusal as KernelRefusal {
                    refused = "\(refusal.call) \(refusal.errno.name)"
                    break
                }
            }
        }
        var facts = ["chosen": "\(ports.count)", "refused": refused]
        if let from = ports.min(), let through = ports.max() {
            facts["from"] = "\(from)"
            facts["through"] = "\(through)"
            let odd = ports.count { $0 % 2 == 1 }
            facts["parity"] = odd == 0 ? "even" : odd == ports.count ? "odd" : "both"
        }
        return facts
    }
}

extension Descriptor {
    /// IP_LOCAL_PORT_RANGE, which not every libc's headers have; IPv6 sockets take it as well.
    private static let localPortRange: Int32 = 51

    fileprivate func restrict(to range: PortRange) throws(KernelRefusal) {
        let bounds = UInt32(range.last) << 16 | UInt32(range.first)
        try set(Int32(IPPROTO_IP), Descriptor.localPortRange, to: Int32(bitPattern: bounds))
    }
}
