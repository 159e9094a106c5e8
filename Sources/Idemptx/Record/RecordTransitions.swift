/// The life of a record: the specification that every store follows.
///
/// Pure functions from a record (or nothing), an event and the present moment to what becomes of the record and what the
/// caller is told. A store runs them inside one atomic step, or transcribes them.
///
/// ```
/// absent ──claim──▶ claimed ──complete──▶ completed ──keyTTL──▶ absent
///                    │  ▲ renew
///                    │  └ claim after the lease: the rule for unknown outcomes
///                    └──release──▶ absent, or free if it must not be forgotten ──claim──▶ claimed
/// ```
package enum RecordTransitions {
    // MARK: Attempts

    /// Decides whether an attempt may run.
    ///
    /// The fingerprint is compared before the state. An attempt that owns the key already (the reply to its claim was
    /// lost) is granted it again, with the same attempt number, even after its lease: no other attempt has replaced it.
    ///
    /// - Parameters:
    ///   - record: The record of the key, if there is one.
    ///   - request: What the attempt asks for.
    ///   - now: The present moment on the store's clock.
    /// - Returns: What becomes of the record, and the result.
    package static func claim(
        _ record: IdempotencyRecord?,
        _ request: ClaimRequest,
        now: Timestamp
    ) -> Transition<ClaimResult<ClaimGrant>> {
        guard let record = self.live(record, now: now) else {
            return self.grant(request, attempt: 1, created: now, now: now)
        }
        if case .free = record.state {
            return self.grant(request, attempt: record.attempt + 1, created: now, now: now)
        }
        if request.comparesFingerprint && record.fingerprint.disagrees(with: request.fingerprint) {
            return Transition(.mismatch)
        }
        switch record.state {
        case .free: return Transition(.mismatch)
        case .completed(let outcome): return Transition(.completed(outcome))
        case .claimed where record.owner == request.owner:
            return self.grant(
                request, attempt: record.attempt, created: record.created, unknownSince: record.unknownSince,
                now: now)
        case .claimed(let leaseEnd) where now < leaseEnd:
            return Transition(.inProgress(remainingLease: now.duration(to: leaseEnd)))
        case .claimed(let leaseEnd):
            switch request.onAbandoned {
            case .refuse: return Transition(.unknown)
            case .rerun, .recover:
                return self.grant(
                    request, attempt: record.attempt + 1, created: record.created, unknownSince: leaseEnd, now: now)
            }
        }
    }

    /// Moves the end of a lease.
    ///
    /// A lease of no length ends now: its owner does not know what became of the operation.
    ///
    /// - Parameters:
    ///   - record: The record of the key, if there is one.
    ///   - owner: Who asks.
    ///   - lease: How long the lease runs from now on.
    ///   - retention: How long the record is kept.
    ///   - now: The present moment on the store's clock.
    /// - Returns: What becomes of the record, and whether `owner` still owns the key.
    package static func renew(
        _ record: IdempotencyRecord?,
        owner: OwnerToken,
        lease: Duration,
        retention: ClaimRetention,
        now: Timestamp
    ) -> Transition<Bool> {
        guard var renewed = self.live(record, now: now), renewed.owner == owner, case .claimed = renewed.state else {
            return Transition(false)
        }
        renewed.state = .claimed(leaseEnd: now.advanced(by: lease))
        renewed.expires = retention.expiry(lease: lease, now: now)
        return Transition(true, .write(renewed))
    }

    /// Stores how the operation ended.
    ///
    /// An owner that has not been replaced may do so after its lease. Completing again, after a lost reply, changes
    /// nothing and has the same result as the first time.
    ///
    /// - Parameters:
    ///   - record: The record of the key, if there is one.
    ///   - owner: Who asks.
    ///   - outcome: How the operation ended.
    ///   - keyTTL: How long the record is kept from now on.
    ///   - now: The present moment on the store's clock.
    /// - Returns: What becomes of the record, and whether an outcome of `owner` is stored.
    package static func complete(
        _ record: IdempotencyRecord?,
        owner: OwnerToken,
        outcome: Outcome,
        keyTTL: Duration,
        now: Timestamp
    ) -> Transition<Bool> {
        guard let record = self.live(record, now: now), record.owner == owner else { return Transition(false) }
        switch record.state {
        case .claimed: return Transition(true, .write(record.completed(outcome, keyTTL: keyTTL, now: now)))
        case .completed: return Transition(true)
        case .free: return Transition(false)
        }
    }

    /// Frees a key because nothing was done under it.
    ///
    /// The first attempt leaves nothing behind: no other attempt has ever held the key. A later one leaves a free record, so
    /// that no attempt number is given out twice while an earlier attempt may still be running.
    ///
    /// - Parameters:
    ///   - record: The record of the key, if there is one.
    ///   - owner: Who asks.
    ///   - keyTTL: How long a free record is kept from now on.
    ///   - now: The present moment on the store's clock.
    /// - Returns: What becomes of the record, and whether `owner` freed the key just now.
    package static func release(
        _ record: IdempotencyRecord?,
        owner: OwnerToken,
        keyTTL: Duration,
        now: Timestamp
    ) -> Transition<Bool> {
        guard let record = self.live(record, now: now), record.owner == owner, case .claimed = record.state else {
            return Transition(false)
        }
        return Transition(true, record.attempt == 1 ? .remove : .write(record.freed(keyTTL: keyTTL, now: now)))
    }

    // MARK: Operators

    /// Frees a key on behalf of an operator, whichever attempt owns it.
    ///
    /// It always leaves a free record: the attempt that is released may still be running.
    ///
    /// - Parameters:
    ///   - record: The record of the key, if there is one.
    ///   - force: Whether to do so while the lease is running, which lets the operation run twice.
    ///   - keyTTL: How long the free record is kept from now on.
    ///   - now: The present moment on the store's clock.
    /// - Returns: What becomes of the record, and what the operator is told.
    package static func operatorRelease(
        _ record: IdempotencyRecord?,
        force: Bool,
        keyTTL: Duration = ClaimRequest.defaultKeyTTL,
        now: Timestamp
    ) -> Transition<OperatorResult> {
        self.settle(record, force: force, now: now) { $0.freed(keyTTL: keyTTL, now: now) }
    }

    /// Stores an outcome that an operator has found out, in place of the attempt that owns the key.
    ///
    /// If the attempt completes later, its own outcome is not stored; it is told that an outcome is stored.
    ///
    /// - Parameters:
    ///   - record: The record of the key, if there is one.
    ///   - outcome: How the operation ended.
    ///   - keyTTL: How long the record is kept from now on.
    ///   - force: Whether to do so while the lease is running.
    ///   - now: The present moment on the store's clock.
    /// - Returns: What becomes of the record, and what the operator is told.
    package static func operatorComplete(
        _ record: IdempotencyRecord?,
        outcome: Outcome,
        keyTTL: Duration,
        force: Bool,
        now: Timestamp
    ) -> Transition<OperatorResult> {
        self.settle(record, force: force, now: now) { $0.completed(outcome, keyTTL: keyTTL, now: now) }
    }

    private static func settle(
        _ record: IdempotencyRecord?,
        force: Bool,
        now: Timestamp,
        _ settled: (IdempotencyRecord) -> IdempotencyRecord
    ) -> Transition<OperatorResult> {
        guard let record = self.live(record, now: now) else { return Transition(.absent) }
        switch record.state {
        case .free: return Transition(.absent)
        case .completed: return Transition(.alreadyCompleted)
        case .claimed(let leaseEnd) where now < leaseEnd && !force:
            return Transition(.leaseRunning(remaining: now.duration(to: leaseEnd)))
        case .claimed: return Transition(.done, .write(settled(record)))
        }
    }

    // MARK: Parts

    /// The record, unless it has expired.
    ///
    /// - Parameters:
    ///   - record: What the store holds.
    ///   - now: The present moment on the store's clock.
    /// - Returns: `record`, or `nil` from the moment it expires.
    package static func live(_ record: IdempotencyRecord?, now: Timestamp) -> IdempotencyRecord? {
        guard let record, now < record.expires else { return nil }
        return record
    }

    private static func grant(
        _ request: ClaimRequest,
        attempt: Int,
        created: Timestamp,
        unknownSince: Timestamp? = nil,
        now: Timestamp
    ) -> Transition<ClaimResult<ClaimGrant>> {
        let record = IdempotencyRecord(
            fingerprint: request.fingerprint,
            owner: request.owner,
            attempt: attempt,
            created: created,
            expires: request.retention.expiry(lease: request.lease, now: now),
            unknownSince: unknownSince,
            state: .claimed(leaseEnd: now.advanced(by: request.lease))
        )
        let unknownAttempt = unknownSince.map {
            UnknownAttempt(attempt: attempt - 1, created: created, leaseEnd: $0)
        }
        return Transition(.granted(ClaimGrant(attempt: attempt, unknownAttempt: unknownAttempt)), .write(record))
    }
}

extension IdempotencyRecord {
    fileprivate func completed(_ outcome: Outcome, keyTTL: Duration, now: Timestamp) -> IdempotencyRecord {
        var record = self
        record.state = .completed(outcome)
        record.unknownSince = nil
        record.expires = now.advanced(by: keyTTL)
        return record
    }

    fileprivate func freed(keyTTL: Duration, now: Timestamp) -> IdempotencyRecord {
        var record = self
        record.state = .free
        record.unknownSince = nil
        record.expires = now.advanced(by: keyTTL)
        return record
    }
}

/// One step in the life of a record: what the caller is told, and what becomes of the record.
package struct Transition<Result: ~Copyable>: ~Copyable {
    /// What the caller is told.
    package let result: Result

    /// What becomes of the record.
    package let change: RecordChange

    /// Creates a step.
    ///
    /// - Parameters:
    ///   - result: What the caller is told.
    ///   - change: What becomes of the record.
    package init(_ result: consuming Result, _ change: RecordChange = .none) {
        self.result = result
        self.change = change
    }
}

extension Transition: Copyable where Result: Copyable {}
extension Transition: Sendable where Result: Sendable & ~Copyable {}
extension Transition: Equatable where Result: Equatable {}

/// What a store does to a record after a transition.
package enum RecordChange: Hashable, Sendable {
    /// Nothing.
    case none
    /// It becomes this one, until the expiry this one names.
    case write(IdempotencyRecord)
    /// It is removed.
    case remove

    /// The difference between two states of a record.
    ///
    /// Outcomes are not compared: no step changes nothing but an outcome.
    ///
    /// - Parameters:
    ///   - old: What the store holds, or `nil`.
    ///   - new: What the step left.
    package init(from old: IdempotencyRecord?, to new: IdempotencyRecord?) {
        switch (old, new) {
        case (nil, nil): self = .none
        case (_?, nil): self = .remove
        case (nil, let new?): self = .write(new)
        // Header fields are slow to compare.
        case (let old?, let new?): self = RecordHeader(old) == RecordHeader(new) ? .none : .write(new)
        }
    }

    /// Does to `record` what the change says.
    ///
    /// - Parameter record: What the store holds, or `nil`.
    package func apply(to record: inout IdempotencyRecord?) {
        switch self {
        case .none: break
        case .write(let written): record = written
        case .remove: record = nil
        }
    }
}

/// What an operator is told who releases or completes a key.
public enum OperatorResult: Hashable, Sendable {
    /// The key is free, or the outcome is stored.
    case done
    /// No attempt has the key; nothing was changed.
    case absent
    /// The operation has an outcome already; nothing was changed. Remove the record to let it run again.
    case alreadyCompleted
    /// An attempt is running; nothing was changed.
    case leaseRunning(remaining: Duration)
}
