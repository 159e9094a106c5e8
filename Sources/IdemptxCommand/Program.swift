import ArgumentParser
import Logging

/// The program `idemptx`.
package enum Program {
    /// Does what the command line says, and does not return if that fails.
    package static func run() async {
        // Standard output is for what a command was asked for.
        LoggingSystem.bootstrap { StandardErrorLog.handler(label: $0) }
        await RootCommand.main()
    }
}
