/// Why a statement has no result.
///
/// The cases tell apart what a retry depends on: ``mayHaveHappened``. No sentence holds a parameter of a statement or a
/// password.
package enum PostgresError: Error, Hashable, Sendable {
    /// Nothing happened: the server cannot be reached or does not let this client in, or the connection of a
    /// transaction was lost before it was committed.
    case unavailable(String)

    /// Nothing happened, and nothing will until somebody changes a setting: the connection string is malformed, or the
    /// password is missing or wrong, or there is no such database, or the server does not speak TLS as it is asked to.
    case misconfigured(String)

    /// Nothing happened: libpq is not on this machine. The sentence says what to install.
    case libraryMissing(String)

    /// Nothing happened, and retrying does not help: libpq rejected a setting, such as a port that is not a number, before it
    /// contacted a server.
    case settingsRefused(String)

    /// Nothing happened: too many statements are waiting already.
    case queueFull

    /// Nothing happened: the client is closed.
    case closed

    /// Nothing happened: this is no statement that could be sent, such as a text with a zero byte in it.
    case invalidStatement(String)

    /// The statement left, and no result came back: the connection was lost.
    ///
    /// It may have happened. It may even happen later, if the server was only halted.
    case replyLost(String)

    /// The time was over.
    ///
    /// If it may have happened, it left in time; it may even happen later.
    case timedOut(mayHaveHappened: Bool)

    /// The task was cancelled while it waited.
    ///
    /// If it may have happened, it left before; it may even happen later.
    case cancelled(mayHaveHappened: Bool)

    /// The server replied with an error: the statement, or the transaction it was in, was rolled back.
    case server(PostgresServerError)

    /// Somebody ended a transaction by a statement of its own instead of by returning or throwing.
    ///
    /// If it was committed, what was written before is there to stay.
    case transactionEnded(committed: Bool)

    /// The statement happened, and its result is not of the expected form: a column is missing, or of another type.
    case unexpectedResult(String)

    /// Whether the statement can have changed anything, although there is no result of it.
    package var mayHaveHappened: Bool {
        switch self {
        case .replyLost, .unexpectedResult: true
        case .timedOut(let mayHaveHappened), .cancelled(let mayHaveHappened): mayHaveHappened
        case .transactionEnded(let committed): committed
        case .unavailable, .misconfigured, .libraryMissing, .settingsRefused, .queueFull, .closed, .invalidStatement,
            .server:
            false
        }
    }

    /// The five characters by which PostgreSQL names an error, such as `40001`, if the server has replied with one.
    package var sqlState: String? {
        if case .server(let error) = self { error.sqlState } else { nil }
    }
}

extension PostgresError: CustomStringConvertible {
    /// One sentence for a person.
    package var description: String {
        switch self {
        case .unavailable(let sentence), .misconfigured(let sentence), .libraryMissing(let sentence),
            .settingsRefused(let sentence), .invalidStatement(let sentence), .unexpectedResult(let sentence):
            sentence
        case .queueFull: "Too many statements are waiting."
        case .closed: "The client is closed."
        case .replyLost(let sentence): "The reply was lost: \(sentence)"
        case .timedOut(mayHaveHappened: true): "The time was over before the server had replied."
        case .timedOut(mayHaveHappened: false): "The time was over, and nothing happened."
        case .cancelled(mayHaveHappened: true): "The task was cancelled before the server had replied."
        case .cancelled(mayHaveHappened: false): "The task was cancelled, and nothing happened."
        case .server(let error): "The server replied: \(error)"
        case .transactionEnded(committed: true): "A statement has committed the transaction that it was in."
        case .transactionEnded(committed: false): "A statement has rolled back the transaction that it was in."
        }
    }
}

/// An error that PostgreSQL replies with.
package struct PostgresServerError: Hashable, Sendable {
    /// The five characters that name it, such as `23505`; in no language.
    package let sqlState: String
    /// What a person should know, in the language of the server.
    package let message: String
    /// More about it, which may quote values of the row; empty if there is nothing.
    package let detail: String
    /// What to do about it; empty if there is nothing.
    package let hint: String
    /// The constraint that does not hold, if that is what is wrong.
    package let constraint: String?
}

extension PostgresServerError: CustomStringConvertible {
    /// The message and its name; not the detail, which may quote values.
    package var description: String { "\(self.message) (\(self.sqlState))" }
}
