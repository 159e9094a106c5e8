#if PostgresNIO
import Idemptx
public import IdemptxPostgres
public import PostgresNIO

extension PostgresTransaction {
    /// Wraps a transaction that the application has opened, so that the record of an operation is committed with it.
    ///
    /// ```swift
    /// try await idempotency.run("charge", key: id) { context in
    ///     try await client.withTransaction(logger: logger) { connection in
    ///         try await connection.query("INSERT INTO charge VALUES (\(id))", logger: logger)
    ///         let receipt = Receipt(id)
    ///         try await context.complete(with: receipt, in: PostgresTransaction(connection))
    ///         return receipt
    ///     }
    /// }
    /// ```
    ///
    /// - Parameter connection: A connection on which a transaction is open. After an error of one of its statements let the
    ///   error pass: PostgresNIO takes a commit that the server turned into a rollback for a commit.
    public init(_ connection: PostgresConnection) {
        self.init { statement in
            do {
                return try await connection.values(of: statement).rows
            } catch let failure as StatementFailure {
                throw failure.error(ifLost: .unavailable)
            }
        }
    }
}
#endif
