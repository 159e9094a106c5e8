extension Idempotency {
    /// Runs a function once per key, in a transaction that commits what it wrote together with the record of its result.
    ///
    /// ```swift
    /// let receipt = try await idempotency.run("charge", key: order.id, in: store) { context, db in
    ///     try Charge(order, attempt: context.attempt).inserted(db).receipt
    /// }
    /// ```
    ///
    /// Works like ``run(_:key:scope:fingerprint:operation:)->_``. In addition, `operation` takes effect exactly once, as far as
    /// it writes through its transaction: if the process dies before the commit, nothing was written, and a later call runs
    /// it as the next attempt; if it dies afterwards, a later call gets the result.
    ///
    /// An operation that throws is rolled back, and so is one that does not want its result kept, such as by
    /// ``IdempotencyContext/release()``. An attempt that another has replaced cannot commit.
    ///
    /// - Parameters:
    ///   - name: The name of the operation. The same key can be used with another name: `charge` and `receipt` both run.
    ///   - key: Names this one; in 1 to 255 characters of printable ASCII.
    ///   - scope: Whose key it is. Needed if the key comes from outside.
    ///   - fingerprint: What the operation is asked to do. A later call with another fingerprint is refused; `nil` agrees
    ///     with all.
    ///   - store: The store of this instance.
    ///   - operation: What runs once. It must not end the transaction. Its result has to survive a round trip through JSON.
    /// - Returns: The result of `operation`, now or then.
    /// - Throws: ``IdempotencyProblem`` if the operation was neither run to its end nor replayed, or could not be committed;
    ///   ``StoreError`` with code ``StoreError/Code/transactionEnded`` if the operation ended the transaction itself, or with
    ///   code ``StoreError/Code/misconfigured`` if `store` is another one; what `operation` throws; `DecodingError`;
    ///   `CancellationError` if the caller is cancelled before the operation starts.
    public func run<Value: Codable & Sendable, Store: TransactionJoining>(
        _ name: String,
        key: String,
        scope: Scope = .unscoped,
        fingerprint: Fingerprint? = nil,
        in store: Store,
        operation: @escaping @Sendable (IdempotencyContext, Store.Transaction) async throws -> Value
    ) async throws -> Value {
        try self.check(store)
        return try await self.run(name, key: key, scope: scope, fingerprint: fingerprint) { context in
            try await self.join(store, as: context) { transaction in
                try await operation(context, transaction)
            } judge: { value in
                self.judge(.success(value), in: context, policy: context.policy)
            }
        }
    }

    /// Runs a function without a result once per key, in a transaction that commits what it wrote together with the record of it.
    ///
    /// Works like the form with a result.
    ///
    /// - Parameters:
    ///   - name: The name of the operation. The same key can be used with another name: `charge` and `receipt` both run.
    ///   - key: Names this one; in 1 to 255 characters of printable ASCII.
    ///   - scope: Whose key it is. Needed if the key comes from outside.
    ///   - fingerprint: What the operation is asked to do. A later call with another fingerprint is refused; `nil` agrees
    ///     with all.
    ///   - store: The store of this instance.
    ///   - operation: What runs once. It must not end the transaction.
    /// - Throws: The same errors as the form with a result.
    public func run<Store: TransactionJoining>(
        _ name: String,
        key: String,
        scope: Scope = .unscoped,
        fingerprint: Fingerprint? = nil,
        in store: Store,
        operation: @escaping @Sendable (IdempotencyContext, Store.Transaction) async throws -> Void
    ) async throws {
        _ = try await self.run(
            name, key: key, scope: scope, fingerprint: fingerprint, in: store
        ) { context, transaction in
            try await operation(context, transaction)
            return NoResult()
        }
    }
}
