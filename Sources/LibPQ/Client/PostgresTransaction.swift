/// A transaction that is open.
package final class PostgresTransaction: Sendable {
    /// Runs one statement in the transaction.
    ///
    /// - Parameters:
    ///   - sql: One statement, with `$1`, `$2`, … for parameters. It may set and release savepoints, and must not end
    ///     the transaction.
    ///   - parameters: Their values.
    ///   - timeout: How long to wait; that of the transaction if `nil`. After a timeout, the transaction is lost.
    /// - Returns: The rows.
    /// - Throws: ``PostgresError``, which is never in doubt about what happened, since nothing was committed; but
    ///   ``PostgresError/transactionEnded(committed:)`` if the statement has ended the transaction.
    @discardableResult
    package func query(
        _ sql: String, _ parameters: [PostgresParameter] = [], timeout: Duration? = nil
    ) async throws(PostgresError) -> PostgresResult {
        throw .closed
    }
}
