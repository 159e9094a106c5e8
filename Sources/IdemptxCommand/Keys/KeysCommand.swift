import ArgumentParser

/// `idemptx keys`: what a store knows, for an operator.
struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Lists and settles the records of a store.",
        discussion: """
            A record is named by the 64 hexadecimal digits of its storage key, or by the first 16 of them, as in logs; or by \
            the key that a client chose, with --key and --scope-value.
            """,
        subcommands: [
            ListKeys.self, ShowKey.self, CompleteKey.self, ReleaseKey.self, RemoveKey.self, KeyStatistics.self,
        ]
    )
}
