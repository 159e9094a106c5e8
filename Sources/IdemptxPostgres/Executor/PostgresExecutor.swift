import Idemptx

/// What a ``PostgresStore`` needs of a client of PostgreSQL: single statements, and notifications.
///
/// The store brings a client of its own. Conform another one to this to use its connections instead.
public protocol PostgresExecutor: Sendable {
    /// Runs one statement, in a transaction of its own.
    ///
    /// Committed means that the server has said so: wait for `ReadyForQuery`, not for the rows alone. No statement of a store
    /// depends on the session that it runs in. Where statements wait for a connection, send those of priority `settle` first:
    /// they end what has begun already.
    ///
    /// - Parameters:
    ///   - statement: The statement. Send it without a name: a pooler may give each one another session.
    ///   - timeout: How long to wait for the rows, waiting for a connection included.
    /// - Returns: The values of each row, in the order of the columns, once the statement is committed.
    /// - Throws: ``PostgresServerError`` if the server has refused the statement, and rolled it back; `StoreError` with
    ///   code `unavailable` if nothing was sent, and with `replyLost` if something was and no reply came. Any other error
    ///   counts as the latter. Never send a second time what may have run.
    func execute(_ statement: PostgresStatement, timeout: Duration) async throws -> [[PostgresValue]]

    /// Listens to a channel (PostgreSQL's `LISTEN`), and does so again whenever the connection was lost.
    ///
    /// A finished stream means that there are no notifications: those who wait ask the server by themselves. That is what
    /// an executor behind a pooler in transaction mode returns.
    ///
    /// - Parameter channel: The name of the channel.
    /// - Returns: A stream for one consumer. Dropping it ends the listening.
    func listen(to channel: String) -> AsyncStream<PostgresNotification>

    /// Runs a function in a transaction, on a connection of its own: commits when it returns, rolls back when it throws.
    ///
    /// Needed for `PostgresStore.withTransaction` only.
    ///
    /// - Parameter body: Runs the statements of the transaction.
    /// - Throws: What `body` throws; if that has returned, ``PostgresServerError`` or `StoreError` as in
    ///   ``execute(_:timeout:)``.
    func withTransaction(_ body: (PostgresTransaction) async throws -> Void) async throws
}

extension PostgresExecutor {
    /// No transactions.
    public func withTransaction(_ body: (PostgresTransaction) async throws -> Void) async throws {
        throw StoreError(.misconfigured, "This client of PostgreSQL runs no transactions for the store.")
    }

    /// No notifications.
    public func listen(to channel: String) -> AsyncStream<PostgresNotification> {
        AsyncStream { $0.finish() }
    }
}

/// What comes from a channel.
public enum PostgresNotification: Hashable, Sendable {
    /// From now on no message is missed; earlier ones may have been.
    ///
    /// It comes first, and again after each ``interrupted``.
    case listening
    /// Messages can be missed until ``listening`` comes.
    case interrupted
    /// What somebody has sent.
    case message(String)
}

/// An error with which a PostgreSQL server refused a statement, and rolled it back.
public struct PostgresServerError: Error, Hashable, Sendable {
    /// The five characters that name it (PostgreSQL's `SQLSTATE`), such as `40001`.
    public let sqlState: String

    /// What the server says about it, without the details, which may quote values.
    public let message: String

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - sqlState: The five characters that name it.
    ///   - message: What the server says about it, without the details.
    public init(sqlState: String, message: String) {
        self.sqlState = sqlState
        self.message = message
    }
}
