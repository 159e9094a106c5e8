/// An error that the server replies to a command with.
///
/// A single command whose reply is an error has changed nothing. A script may have written before it failed.
package struct ServerError: Error, Hashable, Sendable {
    /// The word in capitals that tells what is wrong, such as `NOSCRIPT`, `OOM` or `READONLY`; `ERR` if there is none.
    package let code: String

    /// What the server says about it, without the arguments that it may quote.
    package let message: String

    /// Takes an error line apart.
    ///
    /// - Parameter line: The text of the error, without its type byte and line end.
    package init(_ line: String) {
        let (code, message) = Self.split(Self.cause(line))
        self.code = code ?? "ERR"
        self.message = Self.withoutArguments(message)
    }

    private static func split(_ line: Substring) -> (code: String?, message: Substring) {
        let word = line.prefix { $0 != " " }
        let isCode = !word.isEmpty && word.allSatisfy { $0.isASCII && ($0.isUppercase || $0 == "_") }
        return isCode ? (String(word), line.dropFirst(word.count + 1)) : (nil, line)
    }

    /// Redis 6.2 wraps what goes wrong inside of a script: `ERR Error running script (…): @user_script:1: WRONGTYPE …`,
    /// or from `@user_script` on if the script itself returns the error; with a minus sign before some codes.
    private static func cause(_ line: String) -> Substring {
        guard line.hasPrefix("ERR Error running script") || line.hasPrefix("@user_script") else { return line[...] }
        let causes = line.ranges(of: ": ").map { line[$0.upperBound...].trimmingPrefix("-") }
        return causes.first { Self.split($0).code != nil } ?? line[...]
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
