/// A transaction of PostgreSQL that is open.
public struct PostgresTransaction: Sendable {
    /// Set in the transaction, so that it can be told from one that the application has begun in its place; `nil` if the
    /// application has opened it.
    let mark: String?

    private let run: @Sendable (PostgresStatement) async throws -> [[PostgresValue]]

    /// Wraps a transaction of a client of your own.
    ///
    /// - Parameter execute: Runs one statement in the transaction, and returns the values of each row. Throws
    ///   ``PostgresServerError`` if the server has refused it.
    public init(execute: @escaping @Sendable (PostgresStatement) async throws -> [[PostgresValue]]) {
        self.init(mark: nil, run: execute)
    }

    init(mark: String?, run: @escaping @Sendable (PostgresStatement) async throws -> [[PostgresValue]]) {
        self.mark = mark
        self.run = run
    }

    /// The same transaction with a mark.
    func marked(_ mark: String) -> PostgresTransaction {
        PostgresTransaction(mark: mark, run: self.run)
    }

    /// Runs one statement in the transaction.
    ///
    /// - Parameters:
    ///   - sql: One statement, with `$1`, `$2`, … for parameters. It must not end the transaction; savepoints are fine.
    ///   - parameters: Their values.
    /// - Returns: The values of each row, in the order of the columns. Columns of other types than those of
    ///   ``PostgresValue`` have to be cast, such as `created_at::text`.
    /// - Throws: ``PostgresServerError`` if the server has refused the statement: the transaction takes no other then, but
    ///   `ROLLBACK TO SAVEPOINT`. `StoreError` if it is lost.
    @discardableResult
    public func execute(_ sql: String, _ parameters: [PostgresValue] = []) async throws -> [[PostgresValue]] {
        try await self.run(PostgresStatement(sql, parameters))
    }

    func execute(_ statement: PostgresStatement) async throws -> [[PostgresValue]] {
        try await self.run(statement)
    }
}
