extension Idempotency {
    /// Frees a key under whose claim nothing ran.
    func release(_ lease: Lease) {
        self.renewer.remove(lease)
        self.freeInBackground(
            lease.claim.key, rule: lease.claim.retention.onAbandoned, until: lease.heldUntil,
            grantedUntil: lease.mayBeGrantedUntil
        ) {
            try await self.free(lease.claim)
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
        guard self.retrier.beginRelease() else { return }
        startTask {
            // In a task that the cancellation of the caller does not reach.
            var backoff = Backoff()
            while !self.retrier.isStopped {
                let askedAt = self.time.now
                do {
                    if try await free() { self.waiters.hint(key) }
                    if grantedUntil.map({ $0 <= askedAt }) ?? true { break }
                } catch {
                    guard (error as? StoreError)?.isTransient == true else { break }
                    if rule == .rerun, end <= self.time.now { break }
                }
                try? await self.time.sleep(for: backoff.next())
            }
            self.retrier.endRelease()
        }
    }

    /// Frees a claim of which it is not known whether it has replaced an attempt.
    private func freeUnconfirmed(_ claim: borrowing Claim, _ request: ClaimRequest) async throws -> Bool {
        // Under this rule, it has not.
        if request.onAbandoned == .refuse { return try await self.free(claim) }
        guard try await self.endLease(of: claim) else { return false }
        // Only another claim with the same token tells. Nobody waits for its lease, should its reply be lost, too.
        var brief = request
        brief.lease = .zero
        guard let grant = try await self.store.grantAgain(brief, self.telemetry) else { return true }
        return try await self.free(Claim(granting: request, grant))
    }

    /// Frees the key of a claim under which nothing was done.
    ///
    /// If the claim has replaced an attempt whose outcome is unknown, that stays unknown, and the key that of the same
    /// request: the lease is ended instead.
    ///
    /// - Returns: Whether the claim was there.
    func free(_ claim: borrowing Claim) async throws -> Bool {
        guard claim.unknownAttempt == nil else { return try await self.endLease(of: claim) }
        let store = self.store
        return try await self.telemetry.storeCall(.release) { try await store.release(claim) }
    }

    /// Ends the lease of a claim, which leaves its outcome unknown.
    ///
    /// - Returns: Whether the claim was there.
    func endLease(of claim: borrowing Claim) async throws -> Bool {
        let store = self.store
        return try await self.telemetry.storeCall(.renew) { try await store.renew(claim, lease: .zero) }
    }
}

/// A claim that several closures look at.
private final class ClaimBox: Sendable {
    let claim: Claim

    init(claim: consuming Claim) {
        self.claim = claim
    }
}
