extension Idempotency {
    /// Ends a claim.
    ///
    /// The lease is renewed until the store has answered.
    ///
    /// Runs in a task of its own: once an operation has run, nothing may keep its outcome from being stored.
    @discardableResult
    func settle(_ lease: HeldLease, as ending: Ending, policy: IdempotencyPolicy) async -> Settlement {
        await Task {
            defer {
                lease.end()
                self.waitingRoom.ring(lease.live.claim.key)
            }
            switch ending {
            case .complete(let outcome): return await self.complete(lease.live, with: outcome, policy: policy)
            case .release: return await self.release(lease.live, policy: policy)
            }
        }.value
    }

    private func complete(_ lease: LiveLease, with outcome: Outcome, policy: IdempotencyPolicy) async -> Settlement {
        do {
            let isStored = try await self.storing(lease, outcome, policy: policy)
            if !isStored { self.telemetry.outcomeNotStored(lease.claim, reason: "the claim no longer owns the key") }
            return isStored ? .stored : .unstored
        } catch {
            self.telemetry.outcomeNotStored(lease.claim, reason: "\(error)")
            return .unstored
        }
    }

    private func storing(
        _ lease: LiveLease,
        _ outcome: Outcome,
        policy: IdempotencyPolicy
    ) async throws(StoreError) -> Bool {
        do {
            return try await self.repeating(.complete, under: lease, policy: policy) {
                try await self.store.complete(lease.claim, with: outcome, keyTTL: policy.keyTTL)
            }
        } catch  where error.code == .recordTooLarge {
            let tombstone = Outcome.tombstone(outcome.tombstone)
            return try await self.repeating(.complete, under: lease, policy: policy) {
                try await self.store.complete(lease.claim, with: tombstone, keyTTL: policy.keyTTL)
            }
        }
    }

    private func release(_ lease: LiveLease, policy: IdempotencyPolicy) async -> Settlement {
        // If the store cannot be told, the end of the lease frees the key, by the rule for abandoned ones.
        _ = try? await self.repeating(.release, under: lease, policy: policy) {
            try await self.store.release(lease.claim)
        }
        return .released
    }

    /// Repeats a call while its failure may pass and the lease holds.
    private func repeating(
        _ call: Telemetry.StoreCall,
        under lease: LiveLease,
        policy: IdempotencyPolicy,
        _ operation: () async throws -> Bool
    ) async throws(StoreError) -> Bool {
        let deadline = self.time.now.advanced(by: policy.completionRetryTime)
        var backoff = Backoff()
        while true {
            do throws(StoreError) {
                return try await self.telemetry.storeCall(call, operation)
            } catch {
                let next = self.time.now.advanced(by: backoff.next())
                guard error.isTransient, next < min(deadline, lease.heldUntil) else { throw error }
                // This runs in a task that nobody cancels.
                try? await self.time.sleep(for: self.time.now.duration(to: next))
            }
        }
    }
}
