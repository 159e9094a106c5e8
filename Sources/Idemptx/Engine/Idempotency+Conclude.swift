extension Idempotency {
    /// How long the caller waits at least for the first try to store an outcome.
    private static let firstTryTime = Duration.milliseconds(250)

    /// Ends the claim of an operation that has run.
    ///
    /// Returns when the store has taken it, or it is given up. The report is made no later than
    /// ``IdempotencyPolicy/completionRetryTime`` after this began: the caller does not wait longer. A known outcome is
    /// never thrown away before another attempt has the key, or the process shuts down.
    ///
    /// Runs in the task of the operation, which no caller cancels.
    ///
    /// - Parameters:
    ///   - lease: The lease.
    ///   - disposition: What becomes of the key.
    ///   - outcome: How the operation ended; not needed if it is not stored.
    ///   - policy: The policy.
    ///   - report: Called once.
    /// - Returns: What became of the outcome in the end.
    @discardableResult
    func conclude(
        _ lease: Lease,
        as disposition: Disposition,
        _ outcome: Outcome? = nil,
        policy: SharedPolicy,
        report: @escaping @Sendable (Conclusion) -> Void
    ) async -> Conclusion {
        let report = ConclusionReport(telemetry: self.telemetry, tell: report)
        let begin = self.time.now
        let deadline = begin.advanced(by: policy.completionRetryTime)
        let outcome = disposition == .tombstone ? outcome.map { .tombstone($0.tombstone) } : outcome
        let isObserved = policy.mode == .observe
        let isHeld = lease.beginCompleting(
            staysAlive: disposition.isStored,
            deadline: isObserved ? nil : max(deadline, begin.advanced(by: Self.firstTryTime))
        ) {
            self.keepForRetries(outcome, lease, disposition, policy)
            // It may have been stored just now, and taken off the list before it was on it.
            if lease.isOver { self.retrier.remove(lease.claim) }
            if report.make(disposition.conclusionIfLate) { self.tellUnstored(lease, disposition, "the store is slow") }
        }
        defer {
            self.renewer.remove(lease)
            self.retrier.remove(lease.claim)
            self.waiters.hint(lease.claim.key)
        }
        guard isHeld else {
            self.telemetry.outcomeNotStored(lease.claim, reason: "another attempt has the key")
            report.make(.unstored)
            return .unstored
        }
        if !isObserved { self.renewer.update(lease) }
        return await self.conclude(lease, as: disposition, outcome, policy: policy, deadline: deadline, report)
    }

    private func conclude(
        _ lease: Lease,
        as disposition: Disposition,
        _ outcome: Outcome?,
        policy: SharedPolicy,
        deadline: Timestamp,
        _ report: ConclusionReport
    ) async -> Conclusion {
        var outcome = outcome
        var backoff = Backoff()
        while true {
            do {
                let isDone = try await self.tell(lease, disposition, outcome, keyTTL: policy.keyTTL)
                let conclusion = disposition.conclusion(of: outcome, isDone: isDone)
                if report.make(conclusion), conclusion == .unstored {
                    self.telemetry.outcomeNotStored(lease.claim, reason: "the claim no longer owns the key")
                } else if disposition.isStored, isDone, !backoff.isFresh {
                    self.telemetry.storedLate(lease.claim)
                }
                return conclusion
            } catch {
                let error = StoreError(wrapping: error)
                if error.code == .recordTooLarge, case .response? = outcome {
                    outcome = outcome.map { .tombstone($0.tombstone) }
                    continue
                }
                let pause = backoff.next()
                let isLate = deadline <= self.time.now.advanced(by: pause)
                let goesOn = disposition.mayBeTold(after: error) && self.mayRetry(lease, disposition, policy)
                if goesOn { outcome = self.keepForRetries(outcome, lease, disposition, policy) }
                if isLate || !goesOn, report.make(disposition.conclusionIfLate) {
                    self.tellUnstored(lease, disposition, "\(error)")
                }
                guard goesOn else { return disposition.conclusionIfLate }
                // This runs in a task that nobody cancels.
                try? await self.time.sleep(for: pause)
                self.retrier.report()
            }
        }
    }

    /// Tells the store.
    ///
    /// That the record of an operation has gone is no refusal of its outcome: nobody else has the key.
    private func tell(
        _ lease: Lease,
        _ disposition: Disposition,
        _ outcome: Outcome?,
        keyTTL: Duration
    ) async throws -> Bool {
        if try await self.tellOnce(lease.claim, disposition, outcome, keyTTL: keyTTL) { return true }
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
        case .release: return try await self.telemetry.storeCall(.release) { try await store.release(claim) }
        case .unknown: return try await self.telemetry.storeCall(.renew) { try await store.renew(claim, lease: .zero) }
        }
    }

    /// The end of the lease does as well as a release, under the rule to run again.
    private func mayRetry(_ lease: Lease, _ disposition: Disposition, _ policy: SharedPolicy) -> Bool {
        if policy.mode == .observe || self.retrier.isStopped { return false }
        if disposition.isStored || lease.claim.retention.onAbandoned != .rerun { return true }
        return self.time.now < lease.heldUntil
    }

    @discardableResult
    private func keepForRetries(
        _ outcome: Outcome?,
        _ lease: Lease,
        _ disposition: Disposition,
        _ policy: SharedPolicy
    ) -> Outcome? {
        guard disposition.isStored, let outcome else { return outcome }
        let kept = self.retrier.keep(outcome, of: lease.claim, maxBytes: policy.maxUnstoredBytes)
        // Those who wait for the key can have it from here.
        self.waiters.hint(lease.claim.key)
        return kept
    }

    private func tellUnstored(_ lease: Lease, _ disposition: Disposition, _ reason: String) {
        guard disposition.isStored else { return }
        self.telemetry.outcomeNotStored(lease.claim, reason: reason)
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

    /// What the caller is told who cannot wait any longer.
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
        if case .response? = outcome { return .stored }
        return .tombstone
    }
}
