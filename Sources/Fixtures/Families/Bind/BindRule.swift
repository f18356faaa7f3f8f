/// What decides whether a bind() or listen() conflicts with a socket that is there already, one sentence each.
///
/// The rules come from the manual pages and RFCs and, where those are silent, from what a commit says it does. Only the
/// last three are otherwise: there every kernel contradicted the documents, and the code told why. ``BindRules`` applies
/// them; leaving one out must change what some fixture expects.
enum BindRule: Int, CaseIterable {
    // Which addresses a socket holds.
    case wildcardIsEveryAddress
    case dualStackWildcardIsBothFamilies
    case v6OnlyLeavesIPv4
    case mappedAddressIsIPv4
    case mappedWildcardIsIPv4Wildcard
    case mappedNeedsDualStack
    case connectionHoldsItsOwnAddress
    case connectingChoosesOneAddress
    // Which sockets cannot meet.
    case portsAreApart
    case devicesAreApart
    case closingFrees
    // Which sockets may share.
    case reuseAddressTakesBoth
    case listenerOutweighsReuseAddress
    case reusePortTakesBoth
    case reusePortTakesOneUser
    case timeWaitHasNoUser
    case optionsDoNotMix
    case listeningIsJudgedAnew
    // Where all kernels contradict the documents: they do not look at all the sockets on a port, or not at all of one.
    case udpFirstDecides
    case tcpReusePortVouches
    case dualStackConnectionShadowsIPv4

    var statement: String {
        switch self {
        case .wildcardIsEveryAddress:
            "0.0.0.0 stands for every IPv4 address, and :: for every IPv6 address (ip(7), ipv6(7))."
        case .dualStackWildcardIsBothFamilies:
            "An IPv6 socket on :: holds every IPv4 address, too (RFC 3493 §5.3; ipv6(7); commit d9ba99342855)."
        case .v6OnlyLeavesIPv4:
            "With IPV6_V6ONLY, :: holds no IPv4 address, in either form (RFC 3493 §5.3; commits d91ef1e1b55f, ea111449501e)."
        case .mappedAddressIsIPv4:
            "::ffff:a.b.c.d is the IPv4 address a.b.c.d (RFC 4291 §2.5.5.2; RFC 3493 §3.7; commit c48ef9c4aed3)."
        case .mappedWildcardIsIPv4Wildcard:
            "::ffff:0.0.0.0 is 0.0.0.0: every IPv4 address, and no IPv6 address (commit aa99e5f87bd5)."
        case .mappedNeedsDualStack:
            "A socket with IPV6_V6ONLY cannot be bound to an IPv4-mapped address: EINVAL (RFC 3493 §5.3; ipv6(7))."
        case .connectionHoldsItsOwnAddress:
            "A connection that outlives its listener, also in TIME_WAIT, holds the address it was made to and no other, with its listener's options (commit 936a192f9740)."
        case .connectingChoosesOneAddress:
            "A socket that was bound to a wildcard and is connected holds the one local address it sends from (udp(7), ip(7))."
        case .portsAreApart: "Sockets on different ports do not conflict (ip(7))."
        case .devicesAreApart:
            "Sockets bound to different devices do not conflict; one bound to none meets those of every device (socket(7), SO_BINDTODEVICE)."
        case .closingFrees: "A socket that was closed holds nothing (close(2))."
        case .reuseAddressTakesBoth:
            "Two sockets may share an address if both have SO_REUSEADDR (socket(7)): in TCP and in UDP."
        case .listenerOutweighsReuseAddress:
            "SO_REUSEADDR does not share with a TCP socket that listens (socket(7))."
        case .reusePortTakesBoth:
            "Two sockets may share an address if both have SO_REUSEPORT, listening or not (socket(7))."
        case .reusePortTakesOneUser:
            "SO_REUSEPORT shares only among sockets that were opened by one user (socket(7): to prevent port hijacking)."
        case .timeWaitHasNoUser:
            "In TIME_WAIT, SO_REUSEPORT asks for no user: the socket is gone (commit da5e36308d9f)."
        case .optionsDoNotMix: "One socket with SO_REUSEADDR and one with SO_REUSEPORT do not share (socket(7))."
        case .listeningIsJudgedAnew:
            "listen() is judged like a bind(): it fails with EADDRINUSE where a socket that shares by SO_REUSEADDR listens already (listen(2))."
        case .udpFirstDecides:
            // Pair by pair this would be a conflict, and no kernel of 5.10 to 7.3 finds it.
            "A UDP bind is judged by one socket only of those that it meets and does not share with by SO_REUSEADDR: the newest, but IPv6 sockets with SO_REUSEPORT come after all others, oldest first (udp_lib_lport_inuse(); commit d894ba18d4e4)."
        case .tcpReusePortVouches:
            // Likewise: the shortcut asks whether an address is covered, and not whether nobody else has part of it.
            "A TCP bind or listen with SO_REUSEPORT is compared with no other socket where all on the port have had SO_REUSEPORT and one user, or where the newest with SO_REUSEPORT that was compared, closed or not, covers the address and no socket without SO_REUSEPORT came later; 0.0.0.0 and an IPv6-only :: cover :: (commit 637bc8bbe6c0)."
        case .dualStackConnectionShadowsIPv4:
            // The child's own address has no IPv4 form, and the kernel does not look at that before it compares.
            "An IPv6 connection that a dual-stack listener on :: left behind still stands against the IPv4 wildcard, though it holds no IPv4 address (commit fe38d2a1c8be)."
        }
    }
}

/// The rules in force. A bit each: the catalogue asks for them some hundred thousand times.
struct BindRuleSet {
    private var bits: UInt32

    static let all = BindRuleSet(bits: ~0)

    func contains(_ rule: BindRule) -> Bool { bits & 1 << UInt32(rule.rawValue) != 0 }

    mutating func remove(_ rule: BindRule) { bits &= ~(1 << UInt32(rule.rawValue)) }
}
