public import Idemptx

extension PostgresStore: TransactionJoining {
    /// Runs a function in a transaction, on a connection of its own, under `READ COMMITTED`.
    ///
    /// Under a stricter isolation, a renewal of the lease or a waiting request would make the commit fail.
    ///
    /// - Parameter body: Writes by means of the transaction. It must not end it.
    /// - Throws: What `body` throws, or `StoreError`.
    public func withTransaction(_ body: (PostgresTransaction) async throws -> Void) async throws {
        var isAtWork = false
        do {
            try await self.executor.withTransaction { transaction in
                let transaction = transaction.marked("\(UInt64.random(in: 0...UInt64.max))")
                _ = try await transaction.execute(RecordStatements.mark(transaction))
                isAtWork = true
                try await body(transaction)
                isAtWork = false
            }
        } catch let error as PostgresServerError {
            let failure = StoreError(error, schema: self.configuration.schema)
            // Of a statement of the application only what says nothing about that statement.
            if isAtWork, failure.code != .unavailable, failure.code != .replyLost { throw error }
            throw failure
        }
    }

    /// Stores how an operation ended, as a write of a transaction.
    public func complete(
        _ claim: borrowing Claim,
        with outcome: Outcome,
        keyTTL: Duration,
        in transaction: PostgresTransaction
    ) async throws -> Bool {
        let statement = self.statements.complete(
            claim.key, owner: claim.owner, with: OutcomeColumns(outcome), keyTTL: keyTTL,
            lockWait: Self.lockWait(within: self.configuration.callTimeout), mayRepeat: false)
        do {
            var row = try RowReader(
                try await transaction.execute(
                    RecordStatements.inside(transaction, statement, idleTimeout: self.configuration.callTimeout)
                ).first)
            guard let isStored = try row.optionalBoolean() else { throw StoreError.transactionEnded }
            return isStored
        } catch let error as PostgresServerError {
            throw StoreError(error, schema: self.configuration.schema)
        }
    }
}

extension RecordStatements {
    /// Marks a transaction, until its end.
    fileprivate static func mark(_ transaction: PostgresTransaction) -> PostgresStatement {
        PostgresStatement(
            "SELECT set_config('idemptx.transaction', $1, true)", [.text(transaction.mark ?? "")])
    }

    /// A function that is called only if the transaction is still the one that was marked; else the result is `NULL`.
    ///
    /// It locks the record. Should the way to the client be lost without a sign, or its process stand still, the server ends
    /// the transaction soon: nothing but the commit is to follow.
    fileprivate static func inside(
        _ transaction: PostgresTransaction, _ statement: PostgresStatement, idleTimeout: Duration
    ) -> PostgresStatement {
        guard let mark = transaction.mark else { return statement }
        let call = statement.sql.dropFirst("SELECT ".count)
        let count = statement.parameters.count
        return PostgresStatement(
            """
            SELECT CASE WHEN current_setting('idemptx.transaction', true) = $\(count + 1) THEN \(call) END,
                set_config('idle_in_transaction_session_timeout', $\(count + 2), true)
            """,
            statement.parameters + [.text(mark), .text("\(max(1, idleTimeout.wholeMilliseconds))")])
    }
}
