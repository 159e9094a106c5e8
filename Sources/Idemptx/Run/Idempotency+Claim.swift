extension Idempotency {
    /// Claims a key, and waits for the attempt that holds it as long as the policy says.
    ///
    /// - Throws: ``StoreError`` if the store cannot be used, `CancellationError` if the caller was cancelled before the
    ///   operation could start. Nothing is claimed then, as far as the store can be told so.
    func admit(_ request: ClaimRequest, policy: IdempotencyPolicy) async throws -> HeldAdmission {
        let outcome = try await self.admitOrWait(request, policy: policy)
        if case .execute(let lease) = outcome, Task.isCancelled {
            await self.giveBack(lease, policy: policy)
            throw CancellationError()
        }
        return outcome
    }

    private func admitOrWait(_ request: ClaimRequest, policy: IdempotencyPolicy) async throws -> HeldAdmission {
        let outcome = try await self.claim(request, policy: policy)
        guard case .inProgress(let remainingLease) = outcome, policy.waitTimeout > .zero else { return outcome }
        return try await self.waitingRoom.wait(
            for: WaitingRoom.Visit(request: request, timeout: policy.waitTimeout, remainingLease: remainingLease),
            limits: WaitingRoom.Limits(perKey: policy.maxWaitersPerKey, total: policy.maxWaiters),
            desk: WaitingRoom.Desk(
                claim: { try await self.claim($0, policy: policy) },
                giveBack: { await self.giveBack($0, policy: policy) }
            )
        )
    }

    /// Claims a key, repeating the call while its failure may pass.
    ///
    /// Runs in a task of its own: a caller who leaves between the store's decision and its reply must not leave a claim
    /// behind that nobody knows of.
    private func claim(_ request: ClaimRequest, policy: IdempotencyPolicy) async throws -> HeldAdmission {
        try await Task { try await self.claimRepeatedly(request, policy: policy) }.value
    }

    private func claimRepeatedly(_ request: ClaimRequest, policy: IdempotencyPolicy) async throws -> HeldAdmission {
        let deadline = self.time.now.advanced(by: min(policy.claimRetryTime, request.lease))
        var backoff = Backoff()
        var mayBeClaimed = false
        while true {
            do {
                return try await self.claimOnce(request)
            } catch {
                mayBeClaimed = mayBeClaimed || error.code == .replyLost
                let pause = backoff.next()
                guard error.isTransient, self.time.now.advanced(by: pause) < deadline else {
                    if mayBeClaimed { await self.withdraw(request) }
                    throw error
                }
                try await self.time.sleep(for: pause)
            }
        }
    }

    private func claimOnce(_ request: ClaimRequest) async throws(StoreError) -> HeldAdmission {
        let requestedAt = self.time.now
        return try await self.telemetry.storeCall(.claim) {
            switch try await self.store.claim(request) {
            case .granted(let claim):
                .execute(self.leases.hold(claim, lease: request.lease, requestedAt: requestedAt))
            case .completed(let outcome): .replay(outcome)
            case .inProgress(let remainingLease): .inProgress(remainingLease: remainingLease)
            case .mismatch: .mismatch
            case .unknown: .outcomeUnknown
            }
        }
    }

    /// Gives back a claim that may have been granted without our hearing of it.
    ///
    /// Nothing ran under it, so that nobody should have to wait for its lease, or be told of an unknown outcome. It may
    /// have been a takeover, which leaves the record, and with it the count of attempts; not so under the rule to
    /// refuse. One try: the lease ends it otherwise.
    private func withdraw(_ request: ClaimRequest) async {
        let claim = Claim(granting: request, ClaimGrant(attempt: 1))
        switch request.onAbandoned {
        case .rerun: _ = try? await self.telemetry.storeCall(.renew) { try await self.store.renew(claim, lease: .zero) }
        case .refuse, .recover: _ = try? await self.telemetry.storeCall(.release) { try await self.store.release(claim) }
        }
    }
}
