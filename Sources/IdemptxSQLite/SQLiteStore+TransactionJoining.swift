public import GRDB
public import Idemptx

extension SQLiteStore: TransactionJoining {
    /// Runs a function in a transaction of the one connection that writes.
    ///
    /// All of the function runs on the thread that has the database, also after it has waited for something. Nobody else
    /// can write in the meantime, this store and other processes included: do not wait for anything slow in it, such as
    /// another service, and not for another write.
    ///
    /// - Parameter body: Writes by means of the database. It must not end the transaction; savepoints are fine.
    /// - Throws: What `body` throws, or `StoreError`.
    public func withTransaction(_ body: (Database) async throws -> Void) async throws {
        let deadline = ContinuousClock.now + self.timeout
        let turn = WriterTurn()
        try await turn.begin(with: self.database, timeout: self.timeout)
        defer { turn.end() }
        try await withTaskExecutorPreference(turn) {
            try await JoinedTransaction(turn.database, deadline: deadline).run(body)
        }
    }

    /// Stores how an operation ended, as a write of a transaction.
    public func complete(
        _ claim: borrowing Claim,
        with outcome: Outcome,
        keyTTL: Duration,
        in db: Database
    ) throws -> Bool {
        let (key, owner) = (claim.key, claim.owner)
        guard db.isInsideTransaction else { throw StoreError.transactionEnded }
        do {
            let isStored = try self.change(key, in: db) { record, now in
                let transition = RecordTransitions.complete(
                    record, owner: owner, outcome: outcome, keyTTL: keyTTL, now: now)
                transition.change.apply(to: &record)
                // An outcome that is there already is not that of this transaction.
                return transition.result && transition.change != .none
            }
            if isStored { db.afterNextTransaction { _ in self.announce(key) } }
            return isStored
        } catch {
            throw StoreError(sqlite: error)
        }
    }
}

extension IdempotencyContext {
    /// Stores the result of a function in a transaction of SQLite that it has opened itself.
    ///
    /// ```swift
    /// try await idempotency.run("charge", key: order.id) { context in
    ///     try await database.write { db in
    ///         let receipt = try charge(order, in: db)
    ///         try context.complete(with: receipt, in: db)
    ///         return receipt
    ///     }
    /// }
    /// ```
    ///
    /// Make this the last write, and return the same value. If the transaction is rolled back, it may be tried again. In an
    /// operation that runs unprotected this does nothing.
    ///
    /// - Parameters:
    ///   - value: The result of the function.
    ///   - db: The database that holds the records, inside a transaction.
    /// - Throws: `IdempotencyProblem` if another attempt has the key, `StoreError`, or what `value` throws when it is encoded:
    ///   do not commit then.
    public func complete(with value: some Encodable & Sendable, in db: Database) throws {
        try self.complete(with: StoredResponse(json: value), in: db)
    }

    /// Stores the response of a request in a transaction of SQLite that its handler has opened itself.
    ///
    /// Works like the form with a value.
    ///
    /// - Parameters:
    ///   - response: The response that the handler is going to return.
    ///   - db: The database that holds the records, inside a transaction.
    /// - Throws: `IdempotencyProblem` if another attempt has the key, or `StoreError`: do not commit then.
    public func complete(with response: StoredResponse, in db: Database) throws {
        try self.checkCompletes()
        guard let store = self.store as? SQLiteStore else { throw StoreError.joinsNoTransaction }
        try self.write(.response(response)) { claim, keyTTL in
            try store.complete(claim, with: .response(response), keyTTL: keyTTL, in: db)
        }
    }
}
