extension Idempotency {
    /// Frees a key under whose claim nothing ran.
    func release(_ lease: Lease) {
        self.renewer.remove(lease)
        self.freeInBackground(
            lease.claim.key, rule: lease.claim.retention.onAbandoned, until: lease.heldUntil,
            grantedUntil: lease.mayBeGrantedUntil
        ) {
            try await self.store.free(lease.claim, self.telemetry)
        }
    }

    /// Releases a claim that may have been granted, although its reply was lost.
    ///
    /// Nothing ran under it, so that no request should wait for its lease, or be told of an unknown outcome.
    func releaseUnconfirmed(_ request: ClaimRequest) {
        let grantedUntil = self.time.now.advanced(by: request.timeout ?? .zero)
        let box = ClaimBox(claim: Claim(granting: request, ClaimGrant(attempt: 1)))
        self.freeInBackground(
            request.key, rule: request.onAbandoned, until: grantedUntil.advanced(by: request.lease),
            grantedUntil: grantedUntil
        ) {
            try await self.freeUnconfirmed(box.claim, request)
        }
    }

    /// Tells the store that nothing runs under a claim, until it has heard.
    ///
    /// - Parameters:
    ///   - key: What was claimed.
    ///   - rule: What happens once the lease is over; under the rule to run again, that does as well.
    ///   - end: When the lease is over.
    ///   - grantedUntil: Until when the store may still grant the claim: another call that asks for it can be on its way, so
    ///     that what the store says before is not the last word.
    ///   - free: Tells the store. Returns whether the claim was there.
    private func freeInBackground(
        _ key: StorageKey,
        rule: UnknownOutcomeRule.Kind,
        until end: Timestamp,
        grantedUntil: Timestamp? = nil,
        _ free: @escaping @Sendable () async throws -> Bool
    ) {
        guard self.retrier.beginRelease() else {
            let reason = self.retrier.isStopped ? "the process shuts down" : "too many others are to be released"
            return self.telemetry.notReleased(key, rule: rule, reason: reason)
        }
        startTask {
            defer { self.retrier.endRelease() }
            // In a task that the cancellation of the caller does not reach.
            var (backoff, isTold) = (Backoff(), false)
            while !self.retrier.isStopped {
                let askedAt = self.time.now
                do {
                    isTold = false
                    if try await free() { self.waiters.hint(key) }
                    isTold = true
                    if grantedUntil.map({ $0 <= askedAt }) ?? true { return }
                } catch {
                    if rule == .rerun, end <= self.time.now { return }
                    guard let error = error as? StoreError, error.isTransient || error.isOutage else {
                        return self.telemetry.notReleased(key, rule: rule, reason: "\(error)")
                    }
                }
                try? await self.time.sleep(for: backoff.next())
            }
            if !isTold { self.telemetry.notReleased(key, rule: rule, reason: "the process shuts down") }
        }
    }

    /// Frees a claim that may have replaced an attempt whose outcome is unknown.
    private func freeUnconfirmed(_ claim: borrowing Claim, _ request: ClaimRequest) async throws -> Bool {
        // This rule replaces none.
        if request.onAbandoned == .refuse { return try await self.store.free(claim, self.telemetry) }
        guard try await self.store.endLease(of: claim, self.telemetry) else { return false }
        // A store says what a claim replaced only when the key is claimed again with the same token. That claim has a lease
        // of zero: if its reply is lost too, no request has to wait for the lease to end.
        var question = request
        question.lease = .zero
        guard let grant = try await self.store.grantAgain(question, self.telemetry) else { return true }
        return try await self.store.free(Claim(granting: request, grant), self.telemetry)
    }
}

/// A claim that several closures look at.
private final class ClaimBox: Sendable {
    let claim: Claim

    init(claim: consuming Claim) {
        self.claim = claim
    }
}
