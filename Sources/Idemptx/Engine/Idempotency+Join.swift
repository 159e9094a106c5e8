/// The operation does not want its outcome stored, so that its writes must not be committed.
private struct RolledBack: Error {}

extension Idempotency {
    /// Refuses the transactions of another store than that of the records.
    func check(_ store: some TransactionJoining) throws(StoreError) {
        guard store.identity == self.store.identity else {
            throw StoreError(.misconfigured, "The transaction is one of another store than that of the records.")
        }
    }

    /// Runs an operation in a transaction, and commits what it wrote together with its outcome, or neither.
    ///
    /// - Parameters:
    ///   - store: The store.
    ///   - context: The context of the operation; without a lease, there is no record, and what was written is committed.
    ///   - operation: The operation.
    ///   - judge: What becomes of the key, and what is stored.
    /// - Returns: What `operation` returned.
    /// - Throws: What `operation` throws, ``IdempotencyProblem`` or ``StoreError``; nothing was committed, as far as is known.
    func join<Store: TransactionJoining, Result>(
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
        return IdempotencyProblem.storeUnavailable(under: self.policy)
    }
}
