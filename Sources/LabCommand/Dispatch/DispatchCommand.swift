import ArgumentParser

struct DispatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dispatch",
        abstract: "Lead the packets to prefixes and port ranges to sockets, and change which while everything runs.",
        discussion: """
            A binding leads a protocol, a prefix and a port range to a label; sockets are registered under labels. \
            The most specific prefix holds, and of its ranges the narrowest. What is bound is pinned, one dispatcher \
            for each network namespace, and outlives this command. docs/dispatch.md tells more.
            """,
        subcommands: [
            DispatchLoadCommand.self, DispatchUnloadCommand.self, DispatchUpgradeCommand.self,
            DispatchBindCommand.self, DispatchUnbindCommand.self, DispatchReplaceCommand.self,
            DispatchRegisterCommand.self, DispatchUnregisterCommand.self, DispatchDrainCommand.self,
            DispatchListCommand.self, DispatchStatusCommand.self, DispatchMetricsCommand.self,
        ])
}
