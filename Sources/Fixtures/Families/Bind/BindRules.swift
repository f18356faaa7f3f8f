import Addressing
import Lab

/// Says what a ``BindSequence`` must find, from rules, without a kernel.
struct BindRules {
    /// Those in force; leaving one out is for tests that ask whether anything notices.
    var rules = BindRuleSet.all
    /// What a kernel that is known for it gets wrong.
    var fault: BindFault?

    init(without missing: BindRule? = nil, fault: BindFault? = nil) {
        if let missing { rules.remove(missing) }
        self.fault = fault
    }

    /// What each socket and probe of `sequence` must report, in the words of ``BindSequence``.
    ///
    /// Says nothing about which port the kernel chooses, so no port may be 0.
    func facts(of sequence: BindSequence) -> [String: String] {
        var facts: [String: String] = [:]
        var table = Table(rules: rules, fault: fault, transport: sequence.protocol)
        var waiting: [(fact: String, holder: Int)] = []
        for (index, attempt) in sequence.sockets.enumerated() {
            let fact = sequence.fact(ofSocket: index)
            let (answer, holder) = table.open(attempt, port: attempt.port ?? sequence.port)
            facts[fact] = answer
            guard let holder else { continue }
            if attempt.listen == .later, attempt.becomes == .open { waiting.append((fact, holder)) }
            table.settle(holder, attempt.becomes)
        }
        for (fact, holder) in waiting { facts["listen \(fact)"] = table.listen(holder) }
        for (index, probe) in sequence.probes.enumerated() {
            // There is nothing that a probe could wait for.
            var attempt = probe
            if attempt.listen == .later { attempt.listen = .atOnce }
            let (answer, holder) = table.open(attempt, port: attempt.port ?? sequence.port)
            facts[sequence.fact(ofProbe: index)] = answer
            if let holder { table.close(holder) }
        }
        return facts
    }
}

/// The local addresses of one family that a socket holds.
private enum Share: Equatable {
    case none
    case one(UInt128)
    case every

    func meets(_ other: Share) -> Bool {
        switch (self, other) {
        case (.none, _), (_, .none): false
        case (.one(let left), .one(let right)): left == right
        default: true
        }
    }

    func covers(_ other: Share) -> Bool { self == .every || other == .none || self == other }
}

/// The sockets that are bound, by the rules in force.
private struct Table {
    let rules: BindRuleSet
    let fault: BindFault?
    let transport: TransportProtocol
    /// In the order in which they were bound; nil where one was closed.
    private var holders: [Holder?] = []
    /// By port, the socket that ``BindRule/tcpReusePortVouches`` is about.
    private var vouchers: [UInt16: Voucher] = [:]

    private struct Holder {
        enum State { case bound, listening, connected, timeWait }

        var family: AddressFamily
        var ipv4: Share
        var ipv6: Share
        var port: UInt16
        var device: String?
        var reuseAddress: Bool
        var reusePort: Bool
        var user: UInt32
        var state = State.bound
        /// See ``BindRule/dualStackConnectionShadowsIPv4``.
        var shadowsIPv4 = false
    }

    init(rules: BindRuleSet, fault: BindFault?, transport: TransportProtocol) {
        self.rules = rules
        self.fault = fault
        self.transport = transport
    }

    // MARK: what a program does

    mutating func open(_ attempt: BindAttempt, port: UInt16) -> (answer: String, holder: Int?) {
        if isMapped(attempt.address), attempt.options.contains(.v6Only), rules.contains(.mappedNeedsDualStack) {
            return ("bind EINVAL", nil)
        }
        let (ipv4, ipv6) = addresses(of: attempt)
        let new = Holder(
            family: attempt.address.family, ipv4: ipv4, ipv6: ipv6, port: port, device: attempt.device,
            reuseAddress: attempt.options.contains(.reuseAddress), reusePort: attempt.options.contains(.reusePort),
            user: attempt.user ?? 0)
        let others = holders.compactMap(\.self)
        guard !conflicts(new, with: others) else { return ("bind EADDRINUSE", nil) }
        noteVoucher(new, isFirst: !others.contains { $0.port == new.port })
        holders.append(new)
        let index = holders.count - 1
        if attempt.listen == .atOnce {
            let answer = listen(index)
            guard answer == "ok" else {
                close(index)
                return (answer, nil)
            }
        }
        if let peer = attempt.connect, rules.contains(.connectingChoosesOneAddress) {
            // Over loopback a socket sends from the address that it sends to, unless it was bound to another.
            let (ipv4, ipv6) = addresses(of: BindAttempt(peer.address))
            if var holder = holders[index] {
                if holder.ipv4 == .every, ipv4 != .none {
                    holder.ipv4 = ipv4
                    holder.ipv6 = .none
                } else if holder.ipv6 == .every, ipv6 != .none {
                    holder.shadowsIPv4 = holder.ipv4 == .every
                    holder.ipv4 = .none
                    holder.ipv6 = ipv6
                }
                holder.state = .connected
                holders[index] = holder
            }
        }
        return ("ok", index)
    }

    mutating func listen(_ index: Int) -> String {
        guard var holder = holders[index] else { return "listen EBADF" }
        holder.state = .listening
        let others = holders.indices.filter { $0 != index }.compactMap { holders[$0] }
        // It has its address already, so nothing that is not listening stands in its way.
        if rules.contains(.listeningIsJudgedAnew), !isVouchedFor(holder),
            others.contains(where: { meets(holder, $0) && !shares(holder, $0) })
        {
            return "listen EADDRINUSE"
        }
        noteVoucher(holder, isFirst: false)
        holders[index] = holder
        return "ok"
    }

    mutating func close(_ index: Int) {
        guard rules.contains(.closingFrees), let holder = holders[index] else { return }
        holders[index] = nil
        if !holders.contains(where: { $0?.port == holder.port }) { vouchers[holder.port] = nil }
    }

    mutating func settle(_ index: Int, _ fate: BindAttempt.Fate) {
        switch fate {
        case .open: return
        case .closed: close(index)
        case .connection, .timeWait:
            guard var holder = holders[index] else { return }
            holder.state = fate == .timeWait ? .timeWait : .connected
            if rules.contains(.connectionHoldsItsOwnAddress) {
                // To a wildcard it was made over loopback, and over IPv6 where it holds both families.
                if holder.ipv6 == .every {
                    holder.shadowsIPv4 = holder.ipv4 == .every
                    holder.ipv6 = .one(IPAddress.loopback(.ipv6).bits)
                    holder.ipv4 = .none
                } else if holder.ipv4 == .every {
                    holder.ipv4 = .one(IPAddress.loopback(.ipv4).bits)
                }
            }
            holders[index] = holder
        }
    }

    // MARK: which addresses a socket holds

    private func isMapped(_ address: IPAddress) -> Bool {
        if case .v6(let bits) = address { bits >> 32 == 0xFFFF } else { false }
    }

    private func addresses(of attempt: BindAttempt) -> (ipv4: Share, ipv6: Share) {
        let every: Share = rules.contains(.wildcardIsEveryAddress) ? .every : .one(0)
        switch attempt.address {
        case .v4(0): return (every, .none)
        case .v4(let bits): return (.one(UInt128(bits)), .none)
        case .v6(0):
            let v6Only = attempt.options.contains(.v6Only) && rules.contains(.v6OnlyLeavesIPv4)
            return (v6Only || !rules.contains(.dualStackWildcardIsBothFamilies) ? .none : every, every)
        case .v6(let bits) where isMapped(attempt.address):
            let ipv4 = bits & 0xFFFF_FFFF
            if ipv4 == 0 { return (rules.contains(.mappedWildcardIsIPv4Wildcard) ? every : .one(0), .none) }
            return rules.contains(.mappedAddressIsIPv4) ? (.one(ipv4), .none) : (.none, .one(bits))
        case .v6(let bits): return (.none, .one(bits))
        }
    }

    // MARK: which sockets conflict

    private func meets(_ new: Holder, _ old: Holder) -> Bool {
        if new.port != old.port, rules.contains(.portsAreApart) { return false }
        if let one = new.device, let other = old.device, one != other, rules.contains(.devicesAreApart) { return false }
        if fault == .mappedWildcardMissed, transport == .tcp, case .one = new.ipv4, new.family == .ipv6,
            old.family == .ipv6, old.ipv4 == .every, old.ipv6 == .none
        {
            return false
        }
        return new.ipv4.meets(old.ipv4) || new.ipv6.meets(old.ipv6)
            || (old.shadowsIPv4 && new.family == .ipv4 && new.ipv4 == .every
                && rules.contains(.dualStackConnectionShadowsIPv4))
    }

    private func sharesByReuseAddress(_ new: Holder, _ old: Holder) -> Bool {
        let agreed = rules.contains(.reuseAddressTakesBoth) ? new.reuseAddress && old.reuseAddress : new.reuseAddress
        return agreed
            && !(transport == .tcp && old.state == .listening && rules.contains(.listenerOutweighsReuseAddress))
    }

    private func sharesByReusePort(_ new: Holder, _ old: Holder) -> Bool {
        let agreed = rules.contains(.reusePortTakesBoth) ? new.reusePort && old.reusePort : new.reusePort
        return agreed
            && (new.user == old.user || !rules.contains(.reusePortTakesOneUser)
                || (old.state == .timeWait && rules.contains(.timeWaitHasNoUser)))
    }

    private func shares(_ new: Holder, _ old: Holder) -> Bool {
        if sharesByReuseAddress(new, old) || sharesByReusePort(new, old) { return true }
        return !rules.contains(.optionsDoNotMix)
            && (new.reuseAddress || new.reusePort) && (old.reuseAddress || old.reusePort)
            && !(transport == .tcp && old.state == .listening)
    }

    private func conflicts(_ new: Holder, with others: [Holder]) -> Bool {
        if isVouchedFor(new) { return false }
        let met = others.filter { meets(new, $0) }
        if transport == .udp, rules.contains(.udpFirstDecides) {
            // As the kernel keeps them: IPv6 sockets with SO_REUSEPORT behind all others, in the order they came.
            let isLast = { (holder: Holder) in holder.family == .ipv6 && holder.reusePort }
            let inOrder = met.filter { !isLast($0) }.reversed() + met.filter(isLast)
            return inOrder.first { !sharesByReuseAddress(new, $0) }.map { !shares(new, $0) } ?? false
        }
        return met.contains { !shares(new, $0) }
    }

    // MARK: TCP's shortcut

    /// What a port remembers of a socket with SO_REUSEPORT, also once that is closed.
    private struct Voucher {
        var holder: Holder
        /// Whether all sockets on the port have had SO_REUSEPORT, and one user.
        var forAll: Bool
    }

    private func isVouchedFor(_ new: Holder) -> Bool {
        guard transport == .tcp, rules.contains(.tcpReusePortVouches), new.reusePort,
            let voucher = vouchers[new.port], voucher.holder.user == new.user
        else { return false }
        let old = voucher.holder
        if voucher.forAll { return true }
        // Only the first family that both have is looked at: 0.0.0.0 vouches for ::, and so does :: with IPV6_V6ONLY
        // for :: without.
        if old.family == .ipv4, new.ipv4 != .none { return old.ipv4.covers(new.ipv4) }
        if old.ipv6 == .every, new.ipv6 != .none { return true }
        return old.ipv4.covers(new.ipv4) && old.ipv6.covers(new.ipv6)
    }

    private mutating func noteVoucher(_ new: Holder, isFirst: Bool) {
        if !new.reusePort {
            vouchers[new.port] = nil
        } else if isFirst || !isVouchedFor(new) {
            vouchers[new.port] = Voucher(holder: new, forAll: isFirst)
        }
    }
}
