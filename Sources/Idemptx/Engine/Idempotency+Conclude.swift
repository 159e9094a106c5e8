extension Idempotency {
    /// How long the caller waits at least for the first try to store an outcome.
    private static let firstTryTime = Duration.milliseconds(250)

    /// Ends the claim of an operation that has run.
    ///
    /// Returns when the store has taken it, when it is given up, or when the first try has failed: the others are made in a
    /// task of their own, so that of the response only what ``CompletionRetrier`` has counted stays in memory. The report is
    /// made no later than ``IdempotencyPolicy/completionRetryTime`` after this began: the caller does not wait longer. A
    /// known outcome is never thrown away before another attempt has the key, or the process shuts down.
    ///
    /// Runs in the task of the operation, which no caller cancels.
    ///
    /// - Parameters:
    ///   - lease: The lease.
    ///   - disposition: What becomes of the key.
    ///   - outcome: How the operation ended; not needed if it is not stored.
    ///   - policy: The policy.
    ///   - report: Called once.
    ///   - atEnd: Called once, after the report, with what became of the outcome in the end.
    func conclude(
        _ lease: Lease,
        as disposition: Disposition,
        _ outcome: Outcome? = nil,
        policy: SharedPolicy,
        report: @escaping @Sendable (Conclusion) -> Void,
        atEnd: @escaping @Sendable (Conclusion) -> Void = { _ in }
    ) async {
        let begin = self.time.now
        let completion = Completion(
            of: lease, as: disposition, outcome, policy: policy,
            deadline: begin.advanced(by: policy.completionRetryTime), telemetry: self.telemetry, tell: report,
            atEnd: atEnd)
        let isObserved = policy.mode == .observe
        let isHeld = lease.beginCompleting(
            staysAlive: disposition.isStored,
            deadline: isObserved ? nil : max(completion.deadline, begin.advanced(by: Self.firstTryTime))
        ) {
            self.callerLeaves(completion)
        }
        guard isHeld else {
            self.telemetry.outcomeNotStored(lease.claim, reason: "another attempt has the key")
            return self.end(completion, .unstored)
        }
        if !isObserved { self.renewer.update(lease) }
        var backoff = Backoff()
        switch await self.tryToTell(completion, &backoff) {
        case .ended(let conclusion): self.end(completion, conclusion)
        case .again(let pause):
            startTask { [backoff] in await self.tellRepeatedly(completion, after: pause, backoff) }
        }
    }

    /// Responds to the caller, who has waited long enough, while the call to the store is still pending.
    private func callerLeaves(_ completion: Completion) {
        let lease = completion.lease
        let hadResponse = completion.hasResponse
        self.keepForRetries(completion)
        // It may have been stored just now, and taken off the list before it was on it.
        if lease.isOver { self.retrier.remove(lease) }
        if completion.report(completion.disposition.conclusionIfLate) {
            self.logUnstored(completion, "the store is slow")
        }
        // The call that hangs holds a response for which there is no room; the next one has a tombstone.
        if hadResponse, !completion.hasResponse { lease.interruptAttempt() }
    }

    private func end(_ completion: Completion, _ conclusion: Conclusion) {
        self.renewer.remove(completion.lease)
        self.retrier.remove(completion.lease)
        completion.end(conclusion)
        self.waiters.hint(completion.lease.claim.key)
        // A call that asked for the claim can still be under way, and would be granted now that the key is free.
        if completion.disposition == .release, let end = completion.lease.mayBeGrantedUntil, self.time.now < end {
            self.release(completion.lease)
        }
    }

    /// What came of a try to tell the store.
    private enum Try {
        case ended(Conclusion)
        case again(after: Duration)
    }

    private func tellRepeatedly(_ completion: Completion, after pause: Duration, _ backoff: Backoff) async {
        var (pause, backoff) = (pause, backoff)
        while true {
            // This runs in a task that nobody cancels.
            try? await self.time.sleep(for: pause)
            self.retrier.report()
            switch await self.tryToTell(completion, &backoff) {
            case .ended(let conclusion): return self.end(completion, conclusion)
            case .again(let next): pause = next
            }
        }
    }

    private func tryToTell(_ completion: Completion, _ backoff: inout Backoff) async -> Try {
        let (lease, disposition) = (completion.lease, completion.disposition)
        while true {
            let outcome = completion.outcome
            do {
                let isDone = try await self.tell(lease, disposition, outcome, keyTTL: completion.policy.keyTTL)
                let conclusion = disposition.conclusion(of: outcome, isDone: isDone)
                let isFirstReport = completion.report(conclusion)
                if conclusion == .unstored { self.telemetry.leaseFoundLost() }
                if isFirstReport, conclusion == .unstored {
                    self.telemetry.outcomeNotStored(lease.claim, reason: "the claim no longer owns the key")
                } else if disposition.isStored, isDone, !isFirstReport || !backoff.isFresh {
                    self.telemetry.storedLate(lease.claim)
                }
                return .ended(conclusion)
            } catch {
                let error = StoreError(wrapping: error)
                if error.code == .recordTooLarge, completion.hasResponse {
                    completion.replaceOutcome { .tombstone($0.tombstone) }
                    continue
                }
                let pause = backoff.next()
                let isLate = completion.deadline <= self.time.now.advanced(by: pause)
                let goesOn = disposition.mayBeTold(after: error) && self.mayRetry(completion)
                if goesOn {
                    self.keepForRetries(completion)
                } else if disposition == .release, completion.policy.mode != .observe {
                    // The store may need an operator first. The caller does not wait for one.
                    self.release(lease)
                }
                if isLate || !goesOn, completion.report(disposition.conclusionIfLate) {
                    self.logUnstored(completion, "\(error)")
                }
                return goesOn ? .again(after: pause) : .ended(disposition.conclusionIfLate)
            }
        }
    }

    /// Tells the store.
    private func tell(
        _ lease: Lease,
        _ disposition: Disposition,
        _ outcome: Outcome?,
        keyTTL: Duration
    ) async throws -> Bool {
        if try await self.tellOnce(lease.claim, disposition, outcome, keyTTL: keyTTL) { return true }
        return try await self.tellAgain(lease, disposition, outcome, keyTTL: keyTTL)
    }

    /// Tells the store once more after it has refused: a record that is gone does not refuse, since no other attempt has the
    /// key.
    @inline(never)
    private func tellAgain(
        _ lease: Lease,
        _ disposition: Disposition,
        _ outcome: Outcome?,
        keyTTL: Duration
    ) async throws -> Bool {
        guard disposition.isStored, try await self.store.grantAgain(lease.request, self.telemetry) != nil else {
            return false
        }
        return try await self.tellOnce(lease.claim, disposition, outcome, keyTTL: keyTTL)
    }

    private func tellOnce(
        _ claim: borrowing Claim,
        _ disposition: Disposition,
        _ outcome: Outcome?,
        keyTTL: Duration
    ) async throws -> Bool {
        let store = self.store
        switch disposition {
        case .keep, .tombstone:
            let outcome = outcome ?? .tombstone(Tombstone(status: 500))
            return try await self.telemetry.storeCall(.complete) {
                try await store.complete(claim, with: outcome, keyTTL: keyTTL)
            }
        case .release, .unknown: return try await self.tellNoOutcome(claim, disposition)
        }
    }

    /// Tells the store that there is no outcome.
    @inline(never)
    private func tellNoOutcome(_ claim: borrowing Claim, _ disposition: Disposition) async throws -> Bool {
        if disposition == .release { return try await self.store.free(claim, self.telemetry) }
        return try await self.store.endLease(of: claim, self.telemetry)
    }

    /// The end of the lease does as well as a release, under the rule to run again.
    private func mayRetry(_ completion: Completion) -> Bool {
        let lease = completion.lease
        if completion.policy.mode == .observe || self.retrier.isStopped { return false }
        if completion.disposition.isStored || lease.claim.retention.onAbandoned != .rerun { return true }
        return self.time.now < lease.heldUntil
    }

    private func keepForRetries(_ completion: Completion) {
        guard completion.disposition.isStored else { return }
        let lease = completion.lease
        completion.replaceOutcome {
            self.retrier.keep($0, of: lease, maxBytes: completion.policy.maxUnstoredBytes)
        }
        // Those who wait for the key can have it from here.
        self.waiters.hint(lease.claim.key)
    }

    private func logUnstored(_ completion: Completion, _ reason: String) {
        guard completion.disposition.isStored else { return }
        self.telemetry.outcomeNotStored(completion.lease.claim, reason: reason)
    }
}

extension Disposition {
    /// Whether it makes sense to tell the store again.
    ///
    /// An outcome must not be lost because somebody has to repair the store first, such as by setting its password.
    fileprivate func mayBeTold(after error: StoreError) -> Bool {
        guard self.isStored else { return error.isTransient }
        return error.code != .recordTooLarge && error.code != .corruptRecord
    }

    /// Whether an outcome is stored.
    fileprivate var isStored: Bool { self == .keep || self == .tombstone }

    /// What a caller is told when storing takes too long.
    fileprivate var conclusionIfLate: Conclusion {
        switch self {
        case .keep, .tombstone: .unstored
        case .release: .released
        case .unknown: .unknown
        }
    }

    fileprivate func conclusion(of outcome: Outcome?, isDone: Bool) -> Conclusion {
        guard self.isStored else { return self.conclusionIfLate }
        guard isDone else { return .unstored }
        return outcome?.conclusion ?? .tombstone
    }
}
