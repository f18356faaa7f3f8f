import Addressing

/// What is wrong with a configuration, and where.
public struct ConfigurationError: Error, Hashable, Sendable {
    /// The keys that lead to the value, as in the YAML form; numbers count the items of lists from 0.
    public var path: [String]
    public var problem: Problem

    public enum Problem: Hashable, Sendable {
        /// Nothing has the name that is referred to; the candidates are the names there are.
        case undefined(kind: String, name: String, candidates: [String])
        case duplicate(kind: String, name: String)
        /// A list that must not be empty is.
        case none(kind: String)
        case outOfRange(value: Int, allowed: ClosedRange<Int>)
        /// A text whose length in bytes is out of range.
        case length(Int, allowed: ClosedRange<Int>)
        /// A name server is in a zone served here, and has no address: nobody could find it.
        case nameserverWithoutAddress(name: DomainName, zone: DomainName)
        /// A name server has addresses, and is in no zone served here: they would never be answered.
        case addressesOutsideZones(name: DomainName)
        /// A name server is stated twice, with other addresses.
        case addressesDiffer(name: DomainName)
        /// A client of IPv4 is matched by its IPv4 address, whichever socket it asked.
        case mapped(Prefix)
        /// No name that is served ends so.
        case suffixOutsideZones(name: DomainName)
    }

    public init(_ path: [String], _ problem: Problem) {
        self.path = path
        self.problem = problem
    }
}

extension ConfigurationError: CustomStringConvertible {
    public var description: String { "\(path.joined(separator: ".")): \(problem)" }
}

extension ConfigurationError.Problem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .undefined(let kind, let name, let candidates):
            candidates.isEmpty
                ? "there is no \(kind) '\(name)'"
                : "there is no \(kind) '\(name)'; there is \(candidates.joined(separator: ", "))"
        case .duplicate(let kind, let name): "the \(kind) '\(name)' is there twice: give each a name of its own"
        case .none(let kind): "at least one \(kind) is needed"
        case .outOfRange(let value, let allowed):
            allowed.upperBound == .max
                ? "\(value) is too low: at least \(allowed.lowerBound)"
                : "\(value) is not within \(allowed.lowerBound)-\(allowed.upperBound)"
        case .length(let length, let allowed):
            "a text of \(length) bytes: \(allowed.lowerBound) to \(allowed.upperBound) are possible"
        case .nameserverWithoutAddress(let name, let zone):
            "\(name) is in the zone \(zone), so it needs addresses here"
        case .addressesOutsideZones(let name):
            "\(name) is in none of the zones, so its addresses would never be answered: leave them out"
        case .addressesDiffer(let name): "\(name) is stated with other addresses before: state the same ones"
        case .mapped(let prefix): "\(prefix) holds IPv4 addresses in IPv6 form: write the IPv4 prefix"
        case .suffixOutsideZones(let name): "no name in any of the zones ends in \(name)"
        }
    }
}
