import Idemptx

/// The rules of the store, with the mistakes of mutants.
extension Mutant? {
    func claim(
        _ original: IdempotencyRecord?,
        _ asked: ClaimRequest,
        now: Timestamp
    ) -> Transition<ClaimResult<ClaimGrant>> {
        var (record, request) = (original, asked)
        switch self {
        case .rerunUnderLease where record?.owner != request.owner:
            if case .claimed = record?.state { record?.state = .claimed(leaseEnd: now) }
        case .ownTokenForgotten where record?.owner == request.owner: record?.owner = OwnerToken()
        case .fingerprintIgnored: request.comparesFingerprint = false
        case .stateBeforeFingerprint:
            if case .claimed(let leaseEnd) = record?.state, now < leaseEnd { request.comparesFingerprint = false }
        case .recordDiesWithLease:
            request.keyTTL = request.lease
            request.unresolvedRetention = .zero
        case .unknownExpires where request.onAbandoned != .rerun: request.unresolvedRetention = .milliseconds(2_500)
        case .freeKeyCountsFromOne: if case .free = record?.state { record = nil }
        case .tombstoneRerun: if case .completed(.tombstone) = record?.state { record?.state = .free }
        case .refuseIsRerun: request.onAbandoned = .rerun
        default: break
        }
        return RecordTransitions.claim(record, request, now: now)
    }

    func renew(
        _ record: IdempotencyRecord?,
        _ holder: StoreCall.Holder,
        lease: Duration,
        now: Timestamp
    ) -> Transition<Bool> {
        let owner = self == .unfencedRenewal ? record?.owner ?? holder.owner : holder.owner
        var retention = holder.retention
        if self == .unknownExpires, retention.onAbandoned != .rerun { retention.unresolved = .milliseconds(2_500) }
        return RecordTransitions.renew(record, owner: owner, lease: lease, retention: retention, now: now)
    }

    func complete(
        _ original: IdempotencyRecord?,
        _ holder: StoreCall.Holder,
        _ known: Outcome,
        keyTTL: Duration,
        now: Timestamp
    ) -> Transition<Bool> {
        var (record, owner, outcome, keyTTL) = (original, holder.owner, known, keyTTL)
        switch self {
        case .unfencedCompletion: owner = record?.owner ?? owner
        case .secondCompletionOverwrites:
            owner = record?.owner ?? owner
            if case .completed = record?.state { record?.state = .claimed(leaseEnd: now) }
        case .completionForgetsTTL: keyTTL = .seconds(2)
        case .outcomeSwallowed: outcome = .tombstone(Tombstone(status: 200))
        default: break
        }
        return RecordTransitions.complete(record, owner: owner, outcome: outcome, keyTTL: keyTTL, now: now)
    }

    func operatorRelease(_ record: IdempotencyRecord?, now: Timestamp) -> Transition<OperatorResult> {
        let step = RecordTransitions.operatorRelease(record, force: false, now: now)
        guard self == .attemptReset, step.change != .none else { return step }
        return Transition(step.result, .remove)
    }

    func release(_ record: IdempotencyRecord?, _ holder: StoreCall.Holder, now: Timestamp) -> Transition<Bool> {
        let owner = self == .unfencedRelease ? record?.owner ?? holder.owner : holder.owner
        let step = RecordTransitions.release(record, owner: owner, keyTTL: holder.retention.keyTTL, now: now)
        guard self == .attemptReset, step.result else { return step }
        return Transition(true, .remove)
    }
}
