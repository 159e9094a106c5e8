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
    ///   - judge: Decides what happens to the key and what is stored.
    /// - Returns: What `operation` returned.
    /// - Throws: What `operation` throws, ``IdempotencyProblem`` or ``StoreError``; nothing was committed, as far as is known.
    func join<Store: TransactionJoining, Result>(
        _ store: Store,
        as context: IdempotencyContext?,
        _ operation: (Store.Transaction) async throws -> Result,
        judge: (Result) -> (Disposition, Outcome?)
    ) async throws -> Result {
        var result: Result?
        var (hasBegun, mayBeCommitted) = (false, false)
        context?.isJoined = true
        do {
            try await store.withTransaction { transaction in
                hasBegun = true
                let value = try await operation(transaction)
                result = value
                guard let context, context.lease != nil else { return }
                let judged = judge(value)
                guard let outcome = Self.kept(judged) else {
                    // The layer judges once more after the rollback. That decision must be the same.
                    context.choose(judged.0)
                    throw RolledBack()
                }
                try await context.write(outcome, in: transaction, of: store)
                mayBeCommitted = true
            }
            context?.transactionCommitted()
        } catch is RolledBack {
            // The layer frees the key, or ends its lease.
        } catch let error as StoreError {
            guard let context else { throw error }
            if let lease = context.lease {
                self.telemetry.transactionFailed(
                    lease.claim, error, hasRun: hasBegun, mayBeCommitted: mayBeCommitted)
            }
            throw self.transactionFailed(error, in: context, hasRun: hasBegun)
        }
        guard let result else { throw StoreError(.unavailable, "The store did not run the transaction.") }
        return result
    }

    /// The error to throw if a transaction could not be begun or committed, and what becomes of the key.
    private func transactionFailed(_ error: StoreError, in context: IdempotencyContext, hasRun: Bool) -> any Error {
        if !hasRun {
            context.choose(.release)
        } else if error.code == .transactionEnded {
            // What was written may be committed, so that nothing may run again.
            context.choose(.tombstone)
            return error
        } else if error.isTransient {
            // As after a crash: nothing was committed, or the store knows the outcome.
            context.choose(.unknown)
        } else {
            // A retry would come to the same: the policy decides.
            return error
        }
        return IdempotencyProblem.storeUnavailable(under: context.policy)
    }

    /// The part of an outcome to store, or `nil` to store nothing.
    private static func kept(_ judged: (disposition: Disposition, outcome: Outcome?)) -> Outcome? {
        switch judged.disposition {
        case .keep: judged.outcome
        case .tombstone: judged.outcome.map { .tombstone($0.tombstone) }
        case .release, .unknown: nil
        }
    }

    /// Whether the operation, which has ended, has committed an outcome in a transaction.
    ///
    /// Whether one was committed that the application opened, or whose commit had no reply, is known to the store.
    func joinedResult(of lease: Lease, in context: IdempotencyContext) async -> JoinedResult {
        switch context.joinedOutcome {
        case nil: return .nothing
        case .committed(let outcome): return .stored(outcome)
        case .written: break
        }
        let deadline = self.time.now.advanced(by: context.policy.completionRetryTime)
        var backoff = Backoff()
        while true {
            do {
                return try await self.storedResult(of: lease)
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

    /// Asks the store for the outcome of an attempt.
    ///
    /// The renewal waits for any transaction that has changed the record, and succeeds if it was rolled back. If it fails,
    /// a claim reads the outcome. That claim uses the rule `refuse`, so that it never takes the key over from an abandoned
    /// attempt.
    private func storedResult(of lease: Lease) async throws -> JoinedResult {
        let store = self.store
        let isClaimed = try await self.telemetry.storeCall(.renew) {
            try await store.renew(lease.claim, lease: lease.duration)
        }
        if isClaimed { return .nothing }
        var request = lease.request
        request.onAbandoned = .refuse
        switch try await store.claim(request) {
        case .completed(let outcome): return .stored(outcome)
        case .granted(let claim):
            // The record is gone. Nothing runs under this claim.
            _ = try await store.release(claim)
            return .nothing
        case .inProgress: return .nothing
        case .mismatch: return .nothing
        case .unknown: return .nothing
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
}
