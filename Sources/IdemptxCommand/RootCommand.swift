import ArgumentParser

/// `idemptx`: the command line.
struct RootCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "idemptx",
        abstract: "Makes operations safe to retry.",
        version: Version.current,
        subcommands: Self.subcommands
    )

    private static var subcommands: [any ParsableCommand.Type] {
        #if Proxy
        [DemoCommand.self, ProxyCommand.self, KeysCommand.self, StoreCommand.self]
        #else
        [DemoCommand.self, KeysCommand.self, StoreCommand.self]
        #endif
    }
}
