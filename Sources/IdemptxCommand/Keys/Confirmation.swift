import ArgumentParser
import Foundation

/// Asks before something is changed.
struct Confirmation: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Does not ask.")
    var yes = false

    func require(_ question: String) throws {
        if self.yes { return }
        guard isatty(STDIN_FILENO) == 1 else {
            throw CommandError("There is no terminal to ask on: confirm with --yes.")
        }
        Output.tell("\(question) [y/N] ")
        guard ["y", "yes"].contains(readLine()?.lowercased()) else { throw CommandError("Nothing was changed.") }
    }
}
