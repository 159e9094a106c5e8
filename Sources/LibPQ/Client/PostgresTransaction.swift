import Synchronization

/// A transaction that is open.
package final class PostgresTransaction: Sendable {
    private struct State {
        /// Whether the loop knows of it.
        var isUsed = false
        var isOver = false
        /// Whether a statement of the caller has committed it.
        var isCommittedEarly = false
        /// The last error of the server, for which it may have to be rolled back.
        var serverError: PostgresServerError?
    }

    private let client: PostgresClient
    private let lease: ConnectionLease
    private let timeout: Duration
    private let state = Mutex(State())

    init(_ client: PostgresClient, _ isolation: PostgresIsolation, timeout: Duration) {
        self.client = client
        self.lease = ConnectionLease(begin: EncodedStatement(own: isolation.begin))
        self.timeout = timeout
    }

    /// Runs one statement in the transaction.
    ///
    /// After an error of the server, the transaction takes no statement but `ROLLBACK TO SAVEPOINT`. After a timeout or a
    /// cancellation, it is lost.
    ///
    /// - Parameters:
    ///   - sql: One statement, with `$1`, `$2`, … for parameters. It may set and release savepoints, and must not end
    ///     the transaction.
    ///   - parameters: Their values.
    ///   - timeout: How long to wait; that of the transaction if `nil`.
    /// - Returns: The rows.
    /// - Throws: ``PostgresError``, which leaves no doubt about what happened, since nothing was committed; but
    ///   ``PostgresError/transactionEnded(committed:)`` if the statement has ended the transaction.
    @discardableResult
    package func query(
        _ sql: String, _ parameters: [PostgresParameter] = [], timeout: Duration? = nil
    ) async throws(PostgresError) -> PostgresResult {
        let statement = try EncodedStatement(sql, parameters)
        let isOver = self.state.withLock { state in
            if !state.isOver { state.isUsed = true }
            return state.isOver
        }
        if isOver { throw .invalidStatement("The transaction is over.") }
        do {
            return try await self.client.run(
                statement, .inTransaction, lease: self.lease, timeout: timeout ?? self.timeout)
        } catch {
            self.state.withLock { state in
                if case .server(let serverError) = error { state.serverError = serverError }
                if case .transactionEnded(committed: true) = error { state.isCommittedEarly = true }
            }
            throw error
        }
    }

    /// Whether a statement of the caller has committed it.
    var isCommittedEarly: Bool { self.state.withLock(\.isCommittedEarly) }

    /// Commits what was done, if anything was.
    func commit() async throws(PostgresError) {
        let isUsed = self.end()
        guard isUsed else { return }
        let result = try await self.client.run(
            EncodedStatement(own: "COMMIT"), .commit, lease: self.lease, timeout: self.timeout)
        // The server rolls back instead after an error, and does not call it one.
        if result.command == "COMMIT" { return }
        throw self.state.withLock(\.serverError).map { .server($0) } ?? .transactionEnded(committed: false)
    }

    /// Rolls back what was done, if anything was.
    func rollBack() {
        if self.end() { self.client.release(self.lease) }
    }

    private func end() -> Bool {
        self.state.withLock { state in
            state.isOver = true
            return state.isUsed
        }
    }
}

extension PostgresIsolation {
    fileprivate var begin: String {
        switch self {
        case .serverDefault: "BEGIN"
        case .readCommitted: "BEGIN ISOLATION LEVEL READ COMMITTED"
        case .repeatableRead: "BEGIN ISOLATION LEVEL REPEATABLE READ"
        case .serializable: "BEGIN ISOLATION LEVEL SERIALIZABLE"
        }
    }
}
