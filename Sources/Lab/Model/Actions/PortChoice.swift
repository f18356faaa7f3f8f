import Addressing

/// Which local ports the kernel chooses for sockets that connect to one endpoint, one after another.
///
/// They stay open until the action ends. What the kernel refuses is an observation, and ends it. The facts: `chosen`,
/// how many have got a port; `from` and `through`, the lowest and the highest; `parity`, `even`, `odd` or `both`; and
/// `refused`, the call that failed and its errno, or `nothing`.
public struct PortChoice: Hashable, Sendable, Codable {
    public var namespace: String
    public var `protocol`: TransportProtocol
    public var to: Endpoint
    /// How many sockets there are to be.
    public var count: Int
    /// The ports from which the kernel may choose for each (IP_LOCAL_PORT_RANGE); nil is the namespace's range.
    public var localPorts: PortRange?

    public init(
        in namespace: String, _ protocol: TransportProtocol, to: Endpoint, count: Int, localPorts: PortRange? = nil
    ) {
        self.namespace = namespace
        self.protocol = `protocol`
        self.to = to
        self.count = count
        self.localPorts = localPorts
    }

    private enum CodingKeys: String, CodingKey {
        case namespace, `protocol`, to, count, localPorts = "local-ports"
    }

    var summary: String {
        "choose ports for \(count) \(`protocol`) sockets that connect to \(to)"
            + (localPorts.map { ", of \($0)" } ?? "")
    }
}
