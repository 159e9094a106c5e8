extension Idempotency {
    /// Runs a function once per key, in a transaction that commits what it wrote together with the record of its result.
    ///
    /// ```swift
    /// let receipt = try await idempotency.run("charge", key: order.id, in: store) { context, db in
    ///     try Charge(order, attempt: context.attempt).inserted(db).receipt
    /// }
    /// ```
    ///
    /// What is said of ``run(_:key:scope:fingerprint:operation:)->_`` holds here, and for what `operation` writes through its
    /// transaction exactly once is true: if the process dies before the commit, nothing was written, and a later call runs it
    /// as the next attempt; if it dies afterwards, a later call gets the result.
    ///
    /// An operation that throws is rolled back, and so is one that does not want its result kept, such as by
    /// ``IdempotencyContext/release()``. An attempt that another has replaced cannot commit.
    ///
    /// - Parameters:
    ///   - name: Names what is done: two operations with the same key, such as `charge` and `receipt`, both run.
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
    /// All that is said of the form with a result holds here.
    ///
    /// - Parameters:
    ///   - name: Names what is done: two operations with the same key, such as `charge` and `receipt`, both run.
    ///   - key: Names this one; in 1 to 255 characters of printable ASCII.
    ///   - scope: Whose key it is. Needed if the key comes from outside.
    ///   - fingerprint: What the operation is asked to do. A later call with another fingerprint is refused; `nil` agrees
    ///     with all.
    ///   - store: The store of this instance.
    ///   - operation: What runs once. It must not end the transaction.
    /// - Throws: What the form with a result throws.
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

    /// Responds to a request like ``respond(to:through:scope:policy:operation:)``, in a transaction that commits what the
    /// operation wrote together with the record of its response; only then the response is sent.
    ///
    /// An operation that throws is rolled back, and so is one whose response is not kept, by the policy or by its own word. A
    /// request that is not guarded runs in a transaction, too. The body of a request is read before the transaction begins,
    /// and one of known length is made for a response before it is committed; a stream is kept as a tombstone.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - adapter: Translates between the framework and this.
    ///   - scope: Finds out whose key it is.
    ///   - policy: The policy for this request, to its end; `nil` for ``policy``.
    ///   - store: The store of this instance.
    ///   - operation: The handler. It must not end the transaction. Gets no context if the request is not guarded.
    /// - Returns: The response to send.
    /// - Throws: What the other form throws, and ``StoreError`` with code ``StoreError/Code/misconfigured`` if `store` is
    ///   another one.
    public func respond<Adapter: HTTPAdapter, Store: TransactionJoining>(
        to request: Adapter.Request,
        through adapter: Adapter,
        scope: (Adapter.Request) async throws -> Scope,
        policy: IdempotencyPolicy? = nil,
        in store: Store,
        operation: (Adapter.Request, IdempotencyContext?, Store.Transaction) async throws -> Adapter.Response
    ) async throws -> Adapter.Response {
        try self.check(store)
        let policy = policy.map(SharedPolicy.init) ?? self.sharedPolicy
        return try await self.respond(to: request, through: adapter, scope: scope, under: policy) { request, context in
            var request = request
            let allowance = BodyAllowance(maximum: policy.maxRequestBody, budget: policy.bodyBudget)
            defer { allowance.release() }
            if context == nil {
                // A transaction must not wait for a client that is slow. The body of a guarded request is here already.
                _ = try await adapter.readBody(of: &request, within: allowance)
            }
            return adapter.assemble(
                try await self.join(store, as: context) { transaction in
                    var parts = adapter.takeApart(try await operation(request, context, transaction))
                    try await parts.collect(upTo: policy.maxResponseBody)
                    return parts
                } judge: { parts in
                    guard let context else { return (.release, nil) }
                    return policy.judge(parts.head, parts.bytes, in: context)
                })
        }
    }

    private func check(_ store: some TransactionJoining) throws(StoreError) {
        guard store.identity == self.store.identity else {
            throw StoreError(.misconfigured, "The transaction is one of another store than that of the records.")
        }
    }
}

// MARK: - The transaction

/// The operation does not want its outcome stored, so that its writes must not be committed.
private struct RolledBack: Error {}

extension Idempotency {
    /// Runs an operation in a transaction, and commits what it wrote together with its outcome, or neither.
    ///
    /// - Parameters:
    ///   - store: The store.
    ///   - context: The context of the operation; without a lease, there is no record, and what was written is committed.
    ///   - operation: The operation.
    ///   - judge: What becomes of the key, and what is stored.
    /// - Returns: What `operation` returned.
    /// - Throws: What `operation` throws, ``IdempotencyProblem`` or ``StoreError``; nothing was committed, as far as is known.
    private func join<Store: TransactionJoining, Result>(
        _ store: Store,
        as context: IdempotencyContext?,
        _ operation: (Store.Transaction) async throws -> Result,
        judge: (Result) -> (Disposition, Outcome?)
    ) async throws -> Result {
        var result: Result?
        var hasBegun = false
        do {
            try await store.withTransaction { transaction in
                hasBegun = true
                let value = try await operation(transaction)
                result = value
                guard let context, context.lease != nil else { return }
                guard let outcome = Self.kept(judge(value)) else { throw RolledBack() }
                try await context.write(outcome, in: transaction, of: store)
            }
            context?.transactionCommitted()
        } catch is RolledBack {
            // The layer frees the key, or ends its lease.
        } catch let error as StoreError {
            throw context?.transactionFailed(error, hasRun: hasBegun) ?? error
        }
        guard let result else { throw StoreError(.unavailable, "The store did not run the transaction.") }
        return result
    }

    /// What is stored of an outcome; `nil` if nothing is.
    private static func kept(_ judged: (disposition: Disposition, outcome: Outcome?)) -> Outcome? {
        switch judged.disposition {
        case .keep: judged.outcome
        case .tombstone: judged.outcome.map { .tombstone($0.tombstone) }
        case .release, .unknown: nil
        }
    }

    /// What the transactions of an operation that has ended came to.
    ///
    /// Whether one was committed that the application opened, or whose commit had no reply, is known to the store: a claim
    /// by the same owner finds the outcome, or the key as it was claimed.
    func joinedEnd(of lease: Lease, in context: IdempotencyContext) async -> JoinedEnd {
        switch context.joinedOutcome {
        case nil: return .nothing
        case .committed(let outcome): return .stored(outcome)
        case .written: break
        }
        let deadline = self.time.now.advanced(by: context.policy.completionRetryTime)
        var backoff = Backoff()
        while true {
            do {
                let result = try await self.telemetry.storeCall(.claim) {
                    try await self.store.claim(lease.request).map { _ in }
                }
                guard case .completed(let outcome) = result else { return .nothing }
                return .stored(outcome)
            } catch {
                let pause = backoff.next()
                guard StoreError(wrapping: error).isTransient, self.time.now.advanced(by: pause) < deadline else {
                    return .unknown
                }
                // This runs in a task that no caller cancels.
                try? await self.time.sleep(for: pause)
            }
        }
    }

    /// Ends an attempt whose outcome the application has stored, or of which nothing more can be found out.
    func end(_ lease: Lease, as conclusion: Conclusion) {
        self.renewer.remove(lease)
        self.telemetry.executed(conclusion)
        self.waiters.hint(lease.claim.key)
    }
}

extension IdempotencyContext {
    fileprivate func transactionCommitted() {
        if case .written(let outcome)? = self.joinedOutcome { self.joinedOutcome = .committed(outcome) }
    }

    /// The error to throw if a transaction could not be begun or committed.
    fileprivate func transactionFailed(_ error: StoreError, hasRun: Bool) -> any Error {
        if error.code == .transactionEnded {
            // What was written may be committed, so that nothing may run again.
            self.choose(.tombstone)
            return error
        }
        // As after a crash: nothing was committed, or the store knows the outcome.
        self.choose(hasRun ? .unknown : .release)
        return IdempotencyProblem(.storeUnavailable, retryAfter: self.policy.values.retryAfter()).under(self.policy)
    }
}
