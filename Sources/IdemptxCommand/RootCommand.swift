import ArgumentParser

/// `idemptx`: the command line.
struct RootCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "idemptx",
        abstract: "Makes operations safe to retry.",
        version: Version.current,
        subcommands: [DemoCommand.self, ProxyCommand.self, KeysCommand.self]
    )
}
