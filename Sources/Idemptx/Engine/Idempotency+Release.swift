extension Idempotency {
    /// Frees a key under whose claim nothing ran.
    ///
    /// What became of an attempt that it has replaced is as unknown as before: the key stays that of the same request.
    func release(_ lease: Lease) {
        self.renewer.remove(lease)
        let endsLease = lease.claim.unknownAttempt != nil
        self.freeInBackground(
            lease.claim.key, rule: lease.claim.retention.onAbandoned, until: lease.heldUntil,
            grantedUntil: lease.mayBeGrantedUntil
        ) {
            try await self.free(lease.claim, endsLease: endsLease)
        }
    }

    /// Releases a claim that may have been granted, although its reply was lost.
    ///
    /// Nothing ran under it, so that no request should wait for its lease, or be told of an unknown outcome. Under the
    /// rule to recover, it may have replaced an attempt whose outcome is unknown, which it has to stay.
    func releaseUnconfirmed(_ request: ClaimRequest) {
        let grantedUntil = self.time.now.advanced(by: request.timeout ?? .zero)
        let box = ClaimBox(claim: Claim(granting: request, ClaimGrant(attempt: 1)))
        self.freeInBackground(
            request.key, rule: request.onAbandoned, until: grantedUntil.advanced(by: request.lease),
            grantedUntil: grantedUntil
        ) {
            try await self.free(box.claim, endsLease: request.onAbandoned == .recover)
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

    private func free(_ claim: borrowing Claim, endsLease: Bool) async throws -> Bool {
        let store = self.store
        return if endsLease {
            try await self.telemetry.storeCall(.renew) { try await store.renew(claim, lease: .zero) }
        } else {
            try await self.telemetry.storeCall(.release) { try await store.release(claim) }
        }
    }
}

/// A claim that several closures look at.
private final class ClaimBox: Sendable {
    let claim: Claim

    init(claim: consuming Claim) {
        self.claim = claim
    }
}
