import ArgumentParser

struct DNSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dns",
        abstract: "Authoritative DNS that matches a policy and answers with random addresses of its pool.",
        subcommands: [DNSServeCommand.self, DNSCheckCommand.self, DNSQueryCommand.self])
}
