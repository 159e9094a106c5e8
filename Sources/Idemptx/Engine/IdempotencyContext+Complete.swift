extension IdempotencyContext {
    /// Stores the result of a function in a transaction that it has opened itself.
    ///
    /// ```swift
    /// try await idempotency.run("charge", key: order.id) { context in
    ///     try await database.withTransaction { transaction in
    ///         let receipt = try await charge(order, in: transaction)
    ///         try await context.complete(with: receipt, in: transaction)
    ///         return receipt
    ///     }
    /// }
    /// ```
    ///
    /// Make this the last write, commit, and return the same value. If the transaction is rolled back, it may be tried
    /// again. In an operation that runs unprotected this does nothing.
    ///
    /// - Parameters:
    ///   - value: The result of the function.
    ///   - transaction: A transaction of the store's kind, of the database that holds the records.
    /// - Throws: ``IdempotencyProblem`` if another attempt has the key, ``StoreError``, or what `value` throws when it is
    ///   encoded: do not commit then.
    public func complete<Transaction>(
        with value: some Encodable & Sendable,
        in transaction: Transaction
    ) async throws {
        try await self.complete(with: StoredResponse(json: value), in: transaction)
    }

    /// Stores the response of a request in a transaction that its handler has opened itself.
    ///
    /// Works like the form with a value.
    ///
    /// - Parameters:
    ///   - response: The response that the handler is going to return.
    ///   - transaction: A transaction of the store's kind, of the database that holds the records.
    /// - Throws: ``IdempotencyProblem`` if another attempt has the key, or ``StoreError``: do not commit then.
    public func complete<Transaction>(with response: StoredResponse, in transaction: Transaction) async throws {
        try self.checkCompletes()
        guard let store = self.store as? any TransactionJoining<Transaction> else {
            throw StoreError.joinsNoTransaction
        }
        try await self.write(.response(response), in: transaction, of: store)
    }

    /// Refuses the operation's own completion where the layer completes the operation in the same transaction.
    package func checkCompletes() throws(StoreError) {
        guard !self.isJoined else {
            throw StoreError(.misconfigured, "The layer completes this transaction itself: return the response.")
        }
    }

    /// Writes an outcome in a transaction.
    func write<Store: TransactionJoining>(
        _ outcome: Outcome,
        in transaction: Store.Transaction,
        of store: Store
    ) async throws {
        guard let lease = try self.leaseToComplete() else { return }
        try self.completed(
            with: outcome,
            isStored: await store.complete(
                lease.claim, with: outcome, keyTTL: self.policy.keyTTL, in: transaction))
    }

    /// Writes an outcome in a transaction that does not wait.
    ///
    /// - Parameters:
    ///   - outcome: How the operation ends.
    ///   - complete: Writes it; returns `false` if the claim no longer owns the key.
    /// - Throws: ``IdempotencyProblem`` if another attempt has the key, and what `complete` throws.
    package func write(_ outcome: Outcome, _ complete: (borrowing Claim, _ keyTTL: Duration) throws -> Bool) throws {
        guard let lease = try self.leaseToComplete() else { return }
        try self.completed(with: outcome, isStored: complete(lease.claim, self.policy.keyTTL))
    }

    /// The lease of the attempt, of which a refused renewal is no loss from now on: the record may be completed.
    private func leaseToComplete() throws(IdempotencyProblem) -> Lease? {
        guard let lease else { return nil }
        guard lease.beginCompleting(staysAlive: true, deadline: nil, action: {}) else { throw self.lost() }
        return lease
    }

    private func completed(with outcome: Outcome, isStored: Bool) throws(IdempotencyProblem) {
        // Another outcome may be stored, such as that of an operator: the store is asked in the end.
        self.joinedOutcome = .written(outcome)
        guard isStored else { throw self.lost() }
    }

    /// Another attempt has the key; what this one wrote is rolled back.
    private func lost() -> IdempotencyProblem {
        self.choose(.release)
        return IdempotencyProblem.leaseLost.under(self.policy)
    }
}

extension StoreError {
    package static let transactionEnded = StoreError(
        .transactionEnded, "The operation ended its transaction itself.")

    package static let joinsNoTransaction = StoreError(
        .misconfigured, "The store of this operation cannot write in a transaction of this kind.")
}
