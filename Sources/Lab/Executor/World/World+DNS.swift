import Addressing
import PolicyDNS
import Statistics

/// The answers of a survey, in the order asked: which of its names, and where in its prefix the address is.
struct SurveyAnswers {
    var hosts: Int
    var within: Prefix
    /// The number of the name, from 0, and that of the address within the prefix.
    var drawn: [(name: Int, address: Int)] = []

    /// Draws for each cell of a table, below which the tails of χ² are not those of the counts.
    fileprivate static let enough = 16
}

extension World {
    func ask(_ query: NameQuery) throws -> Observation {
        var question = try NameQuestion(query.name, query.type, to: query.to)
        question.payload = query.payload
        question.recursion = query.recursion ?? false
        var transport = query.protocol
        var asked = try ask([question], over: transport, from: query.from).first ?? nil
        var truncated = false
        if query.retry ?? false, let answer = asked, answer.response.isTruncated {
            truncated = true
            transport = .tcp
            asked = try ask([question], over: .tcp, from: query.from).first ?? nil
        }
        guard let answer = asked else {
            return Observation(.facts(["rcode": "no answer"]), log: daemonLog)
        }
        let response = answer.response
        let outside = answer.addresses.count { address in !query.within.contains { $0.contains(address) } }
        var facts = [
            "rcode": ResponseCode.name(response.rcode), "answers": "\(response.answers.count)",
            "from": answer.from == query.to ? "the endpoint asked" : "\(answer.from)",
            "authoritative": yesOrNo(response.isAuthoritative),
            "recursion": response.recursionAvailable ? "available" : "not available",
            "truncated": query.retry ?? false ? (truncated ? "at first" : "never") : yesOrNo(response.isTruncated),
            "over": transport.rawValue,
        ]
        if !query.within.isEmpty { facts["outside"] = "\(outside)" }
        if let ttl = response.answers.map(\.ttl).min() { facts["ttl"] = "\(ttl)" }
        if let server = answer.server { facts["server"] = server }
        return Observation(.facts(facts), log: daemonLog)
    }

    func ask(_ survey: NameSurvey) throws -> Observation {
        if let name = survey.name { try unused(surveys[name] != nil, "survey", name) }
        guard survey.hosts.count > 0, let addresses = survey.within.hostCount else {
            throw ExecutorError.unsuitable("a survey is of one name or more, within a prefix of at most 2^24 addresses")
        }
        let names = (0..<survey.hosts.count).map(survey.hosts.name)
        let questions = try (0..<survey.queries).map { index in
            var question = try NameQuestion(
                names[index % names.count], survey.type,
                to: Endpoint(survey.to.scattered(index), survey.port))
            question.recursion = survey.recursion ?? false
            return question
        }
        let answers = try ask(questions, over: survey.protocol, from: survey.from)
        var found = SurveyAnswers(hosts: names.count, within: survey.within)
        var facts = ["asked": "\(Set(questions.map(\.to)).count) addresses"]
        var (answered, elsewhere, outside) = (0, 0, 0)
        var codes: Set<String> = []
        for (index, answer) in answers.enumerated() {
            guard let answer else { continue }
            answered += 1
            codes.insert(ResponseCode.name(answer.response.rcode))
            if answer.from != questions[index].to { elsewhere += 1 }
            for address in answer.addresses {
                guard survey.within.contains(address) else {
                    outside += 1
                    continue
                }
                found.drawn.append((index % names.count, Int(address.bits - survey.within.address.bits)))
            }
        }
        facts["answered"] = "\(answered)"
        facts["addresses answered"] = "\(found.drawn.count + outside)"
        facts["from another endpoint"] = "\(elsewhere)"
        facts["outside"] = "\(outside)"
        facts["rcodes"] = codes.sorted().joined(separator: ", ")
        let (verdicts, log) = try found.judge(addresses: addresses)
        if let name = survey.name { surveys[name] = found }
        return Observation(.facts(facts.merging(verdicts) { $1 }), log: log + daemonLog)
    }

    /// Whether surveys within one prefix drew their addresses alike.
    func compare(_ names: [String]) throws -> Observation {
        let compared = try names.map { name in
            guard let survey = surveys[name] else { throw ExecutorError.unknown(kind: "survey", name: name) }
            return survey
        }
        guard let first = compared.first, compared.count >= 2, compared.allSatisfy({ $0.within == first.within }),
            let addresses = first.within.hostCount
        else { throw ExecutorError.unsuitable("only surveys within the same prefix can be compared, and two at least") }
        let rows = compared.enumerated().flatMap { index, survey in survey.drawn.map { _ in index } }
        let columns = compared.flatMap { $0.drawn.map(\.address) }
        let result = try ContingencyTable.independence(
            rows, of: compared.count, columns, of: addresses, subject: names.joined(separator: " × "))
        return Observation(
            .facts(["same distribution": yesOrNo(result.isPlausible)]), log: ["\(result)"])
    }
}

extension SurveyAnswers {
    /// What statistics say of the addresses, as far as there are enough of them to say anything.
    func judge(addresses: Int) throws -> (facts: [String: String], log: [String]) {
        var counts = [Int](repeating: 0, count: addresses)
        var met = [Set<Int>](repeating: [], count: hosts)
        for (name, address) in drawn {
            counts[address] += 1
            met[name].insert(address)
        }
        let distinct = counts.count { $0 > 0 }
        var facts = [
            "every address answered": yesOrNo(distinct == addresses),
            "every name met every address": yesOrNo(met.allSatisfy { $0.count == addresses }),
            "each name kept its address": yesOrNo(met.allSatisfy { $0.count == 1 }),
        ]
        var log = ["\(distinct) different addresses of \(addresses) were answered"]
        if addresses > 1, drawn.count >= SurveyAnswers.enough * addresses {
            let result = try Frequencies.chiSquared(counts: counts, subject: "addresses")
            facts["uniform"] = result.isPlausible ? "yes" : result.lower < result.upper ? "too even" : "no"
            log.append("\(result)")
        }
        if hosts > 1, addresses > 1, drawn.count >= SurveyAnswers.enough * addresses * hosts {
            let result = try ContingencyTable.independence(
                drawn.map(\.name), of: hosts, drawn.map(\.address), of: addresses, subject: "names × addresses")
            facts["independent of the name"] = yesOrNo(result.isPlausible)
            log.append("\(result)")
        }
        return (facts, log)
    }
}

extension TestResult {
    /// Whether a good generator may have done it: not so once in 10^9 good ones. Both tails count, as answers can be
    /// too even.
    fileprivate var isPlausible: Bool { pValue >= 1e-9 }
}

func yesOrNo(_ holds: Bool) -> String { holds ? "yes" : "no" }

extension Prefix {
    /// One of the prefix's addresses for each index: all of them once before any comes again, and neighbours far apart.
    func scattered(_ index: Int) -> IPAddress {
        let bits = UInt128(family.width - length)
        // Multiplying by an odd number is a permutation of what the host bits can be.
        let host =
            (UInt128(index) &* 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835) & (bits == 128 ? .max : (1 << bits) - 1)
        return IPAddress(family: family, bits: address.bits | host)
    }
}
