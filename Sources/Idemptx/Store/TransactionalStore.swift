/// A store that can change one record in one atomic step.
///
/// Implement ``transact(_:priority:timeout:_:)``, and the calls of ``IdempotencyStore`` are there, by
/// the rules in this package, and so are the acts of operators. The function may be synchronous.
public protocol TransactionalStore: IdempotencyStore {
    /// Reads the record of a key, lets a step change it, and writes what has changed, all in one atomic step.
    ///
    /// The record must not change in between. What `step` made of it is durable, to the degree the store documents, and
    /// visible to every process before this returns.
    ///
    /// - Parameters:
    ///   - key: The record in question.
    ///   - priority: What goes first if calls have to wait for each other.
    ///   - timeout: How long the caller waits; `nil` stands for as long as the store lets a call take. A call that has
    ///     waited longer must not take effect.
    ///   - step: Called with the record, expired or not, and the present moment on the store's clock. It leaves the record
    ///     as it is, replaces it, or sets it to `nil`: then the store removes it. It can be called again if the store has to
    ///     start over; the last time counts. What it throws means that nothing changes.
    /// - Returns: The result of `step`.
    /// - Throws: What `step` throws, or ``StoreError``.
    func transact<Result: Sendable>(
        _ key: StorageKey,
        priority: TransactionPriority,
        timeout: Duration?,
        _ step: @escaping @Sendable (inout IdempotencyRecord?, Timestamp) throws -> Result
    ) async throws -> Result
}

/// Which calls of a store go ahead of which, if they have to wait for each other: the higher value first.
public enum TransactionPriority: Int, Sendable {
    /// Work that can wait as long as there is anything else to do.
    case background
    /// New operations.
    case claim
    /// What has begun already: renewals, completions and releases.
    case settle
}

extension TransactionalStore {
    /// Takes a step of ``RecordTransitions``.
    ///
    /// - Parameters:
    ///   - key: The record in question.
    ///   - priority: What goes first if calls have to wait for each other.
    ///   - timeout: How long the caller waits; `nil` stands for as long as the store lets a call take.
    ///   - step: The step.
    /// - Returns: The result of `step`.
    /// - Throws: What `step` throws, or ``StoreError``.
    package func take<Result: Sendable>(
        _ key: StorageKey,
        priority: TransactionPriority,
        timeout: Duration? = nil,
        _ step: @escaping @Sendable (IdempotencyRecord?, Timestamp) throws -> Transition<Result>
    ) async throws -> Result {
        try await self.transact(key, priority: priority, timeout: timeout) { record, now in
            let transition = try step(record, now)
            transition.change.apply(to: &record)
            return transition.result
        }
    }

    /// Asks to run an operation.
    public func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim> {
        let asked = request.timeout.map { (timeout: $0, at: ContinuousClock.now) }
        let result = try await self.take(request.key, priority: .claim, timeout: request.timeout) { record, now in
            if let asked, asked.timeout < .zero || asked.at.duration(to: .now) > asked.timeout {
                throw StoreError(.unavailable, "The store got to a claim after its caller had given up.")
            }
            return RecordTransitions.claim(record, request, now: now)
        }
        return result.map { Claim(granting: request, $0) }
    }

    /// Moves the end of a claim's lease.
    public func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        let (key, owner, retention) = (claim.key, claim.owner, claim.retention)
        let isRenewed = try await self.take(key, priority: .settle) { record, now in
            RecordTransitions.renew(record, owner: owner, lease: lease, retention: retention, now: now)
        }
        if isRenewed, lease <= .zero { self.announce(key) }
        return isRenewed
    }

    /// Stores how the operation ended.
    public func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        let (key, owner) = (claim.key, claim.owner)
        let isStored = try await self.take(key, priority: .settle) { record, now in
            RecordTransitions.complete(record, owner: owner, outcome: outcome, keyTTL: keyTTL, now: now)
        }
        if isStored { self.announce(key) }
        return isStored
    }

    /// Frees the key, because nothing was done.
    public func release(_ claim: borrowing Claim) async throws -> Bool {
        let (key, owner, keyTTL) = (claim.key, claim.owner, claim.keyTTL)
        let isReleased = try await self.take(key, priority: .settle) { record, now in
            RecordTransitions.release(record, owner: owner, keyTTL: keyTTL, now: now)
        }
        if isReleased { self.announce(key) }
        return isReleased
    }

    /// Hints at changes that were made in this process.
    ///
    /// - Parameter key: The record in question.
    /// - Returns: A stream for one consumer.
    public func changes(of key: StorageKey) -> AsyncStream<Void> {
        ChangeHub.shared.changes(of: key, in: self.identity)
    }

    /// Wakes the waiters of this process, because a record was completed, released or removed, or its lease was ended.
    package func announce(_ key: StorageKey) {
        ChangeHub.shared.announce(key, in: self.identity)
    }
}
