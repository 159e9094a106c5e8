import ArgumentParser

/// `idemptx`: the command line.
@main
struct RootCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "idemptx",
        abstract: "Makes operations safe to retry.",
        subcommands: [DemoCommand.self]
    )
}
