/// The life of a record: the specification that every store follows.
///
/// Pure functions from a record (or nothing), an event and the present moment to what becomes of the record and the
/// answer to give. A store runs them inside one atomic step, or transcribes them.
///
/// ```
/// absent ──claim──▶ claimed ──complete──▶ completed ──keyTTL──▶ absent
///                    │  ▲ renew
///                    │  └ claim after the lease: takeover, or refusal
///                    └──release──▶ absent
/// ```
public enum RecordTransitions {
    /// Decides whether an attempt may run.
    ///
    /// The fingerprint is compared before the state. An attempt that owns the key already (the reply to its claim was
    /// lost) is told to execute, with the same attempt number, even after its lease: nobody else has replaced it.
    ///
    /// - Parameters:
    ///   - record: The record of the key, if there is one.
    ///   - request: What the attempt asks for.
    ///   - now: The present moment on the store's clock.
    /// - Returns: What becomes of the record, and the decision.
    public static func claim(
        _ record: IdempotencyRecord?,
        _ request: ClaimRequest,
        now: Timestamp
    ) -> Transition<ClaimDecision> {
        guard let record = self.live(record, now: now) else {
            return self.grant(request, attempt: 1, created: now, now: now)
        }
        if request.comparesFingerprint && record.fingerprint.disagrees(with: request.fingerprint) {
            return Transition(.mismatch)
        }
        switch record.state {
        case .completed(let outcome):
            return Transition(.replay(outcome))
        case .claimed where record.owner == request.owner:
            return self.grant(request, attempt: record.attempt, created: record.created, now: now)
        case .claimed(let leaseEnd) where now < leaseEnd:
            return Transition(.inProgress(remainingLease: now.duration(to: leaseEnd)))
        case .claimed:
            switch request.onAbandoned {
            case .rerun:
                return self.grant(request, attempt: record.attempt + 1, created: record.created, now: now)
            case .refuse: return Transition(.outcomeUnknown)
            }
        }
    }

    /// Moves the end of a lease.
    ///
    /// The record then outlives this moment by `keyTTL`, so that a crash stays visible.
    ///
    /// - Parameters:
    ///   - record: The record of the key, if there is one.
    ///   - owner: Who asks.
    ///   - lease: How long the lease runs from now on.
    ///   - keyTTL: How long the record is kept from now on.
    ///   - now: The present moment on the store's clock.
    /// - Returns: What becomes of the record, and whether `owner` still owns the key.
    public static func renew(
        _ record: IdempotencyRecord?,
        owner: OwnerToken,
        lease: Duration,
        keyTTL: Duration,
        now: Timestamp
    ) -> Transition<Bool> {
        guard var renewed = self.live(record, now: now), renewed.owner == owner, case .claimed = renewed.state else {
            return Transition(false)
        }
        renewed.state = .claimed(leaseEnd: now.advanced(by: lease))
        renewed.expires = self.expiry(lease: lease, keyTTL: keyTTL, now: now)
        return Transition(true, .write(renewed))
    }

    /// Stores how the operation ended.
    ///
    /// An owner that nobody has replaced may do so after its lease. Completing again, after a lost reply, changes
    /// nothing and is answered as the first time.
    ///
    /// - Parameters:
    ///   - record: The record of the key, if there is one.
    ///   - owner: Who asks.
    ///   - outcome: How the operation ended.
    ///   - keyTTL: How long the record is kept from now on.
    ///   - now: The present moment on the store's clock.
    /// - Returns: What becomes of the record, and whether an outcome of `owner` is stored.
    public static func complete(
        _ record: IdempotencyRecord?,
        owner: OwnerToken,
        outcome: Outcome,
        keyTTL: Duration,
        now: Timestamp
    ) -> Transition<Bool> {
        guard var completed = self.live(record, now: now), completed.owner == owner else { return Transition(false) }
        guard case .claimed = completed.state else { return Transition(true) }
        completed.state = .completed(outcome)
        completed.expires = now.advanced(by: keyTTL)
        return Transition(true, .write(completed))
    }

    /// Gives a key back because the operation had no effect.
    ///
    /// - Parameters:
    ///   - record: The record of the key, if there is one.
    ///   - owner: Who asks.
    ///   - now: The present moment on the store's clock.
    /// - Returns: What becomes of the record, and whether `owner` gave the key back just now.
    public static func release(_ record: IdempotencyRecord?, owner: OwnerToken, now: Timestamp) -> Transition<Bool> {
        guard let record = self.live(record, now: now), record.owner == owner, case .claimed = record.state else {
            return Transition(false)
        }
        return Transition(true, .remove)
    }

    /// Gives a key back on behalf of an operator, whoever owns it.
    ///
    /// - Parameters:
    ///   - record: The record of the key, if there is one.
    ///   - force: Whether to do so while the lease is running, which lets the operation run twice.
    ///   - now: The present moment on the store's clock.
    /// - Returns: What becomes of the record, and what the operator is told.
    public static func operatorRelease(
        _ record: IdempotencyRecord?, force: Bool, now: Timestamp
    ) -> Transition<OperatorRelease> {
        guard let record = self.live(record, now: now) else { return Transition(.absent) }
        switch record.state {
        case .completed: return Transition(.completed)
        case .claimed(let leaseEnd) where now < leaseEnd && !force:
            return Transition(.leaseRunning(remaining: now.duration(to: leaseEnd)))
        case .claimed: return Transition(.released, .remove)
        }
    }

    /// The record, unless it has expired.
    ///
    /// - Parameters:
    ///   - record: What the store holds.
    ///   - now: The present moment on the store's clock.
    /// - Returns: `record`, or `nil` from the moment it expires.
    public static func live(_ record: IdempotencyRecord?, now: Timestamp) -> IdempotencyRecord? {
        guard let record, now < record.expires else { return nil }
        return record
    }

    private static func grant(
        _ request: ClaimRequest,
        attempt: Int,
        created: Timestamp,
        now: Timestamp
    ) -> Transition<ClaimDecision> {
        let record = IdempotencyRecord(
            fingerprint: request.fingerprint,
            owner: request.owner,
            attempt: attempt,
            created: created,
            expires: self.expiry(lease: request.lease, keyTTL: request.keyTTL, now: now),
            state: .claimed(leaseEnd: now.advanced(by: request.lease))
        )
        return Transition(.execute(attempt: attempt), .write(record))
    }

    /// A record never expires under a running lease.
    private static func expiry(lease: Duration, keyTTL: Duration, now: Timestamp) -> Timestamp {
        now.advanced(by: max(lease, keyTTL))
    }
}
