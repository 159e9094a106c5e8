/// An error that the server answers a command with.
///
/// A single command that is answered with an error has changed nothing. A script may have written before it failed.
package struct ServerError: Error, Hashable, Sendable {
    /// The word in capitals that tells what is wrong, such as `NOSCRIPT`, `OOM` or `READONLY`; `ERR` if there is none.
    package let code: String

    /// What the server says about it, without the arguments that it may quote.
    package let message: String

    /// Takes an error line apart.
    ///
    /// - Parameter line: The text of the error, without its type byte and line end.
    package init(_ line: String) {
        let line = Self.cause(line)
        let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        let word = parts[0]
        let isCode = !word.isEmpty && word.allSatisfy { $0.isASCII && ($0.isUppercase || $0 == "_") }
        self.code = isCode ? String(word) : "ERR"
        self.message = Self.withoutArguments(isCode ? parts.dropFirst().first ?? "" : line)
    }

    /// Redis 6.2 wraps the error of a command inside of a script: `ERR Error running script (…): @user_script:1:
    /// @user_script: 1: -OOM command not allowed`.
    private static func cause(_ line: String) -> Substring {
        guard line.hasPrefix("ERR Error running script"), let wrapping = line.firstRange(of: ": -") else {
            return line[...]
        }
        return line[wrapping.upperBound...]
    }

    /// A server quotes the arguments of a command that it does not know, and a credential may be among them.
    private static func withoutArguments(_ message: Substring) -> String {
        guard let end = message.firstRange(of: ", with args beginning with")?.lowerBound else { return String(message) }
        return String(message[..<end])
    }
}

extension ServerError {
    /// Whether the server does not know the command.
    var isUnknownCommand: Bool { self.code == "ERR" && self.message.lowercased().hasPrefix("unknown command") }
}

extension ServerError: CustomStringConvertible {
    /// Code and message.
    package var description: String { "\(self.code) \(self.message)" }
}
