import ArgumentParser
import Logging

/// Where the program starts.
@main
enum Main {
    static func main() async {
        // Standard output is for what a command was asked for.
        LoggingSystem.bootstrap { StandardErrorLog.handler(label: $0) }
        await RootCommand.main()
    }
}
