extension Idempotency {
    /// Ends the claim of an operation that has run.
    ///
    /// - Parameters:
    ///   - lease: The lease.
    ///   - ending: What is to become of the claim.
    ///   - policy: The rules.
    ///   - isFinal: `false` if the operation goes on: then the lease is kept if the outcome could not be stored.
    /// - Returns: What became of the claim.
    @discardableResult
    func settle(
        _ lease: HeldLease,
        as ending: Ending,
        policy: IdempotencyPolicy,
        isFinal: Bool = true
    ) async -> Settlement {
        let settlement = await self.end(lease, as: ending, policy: policy, isFinal: isFinal)
        if isFinal || settlement != .unstored { self.telemetry.executed(ExecutionEnding(ending, settlement)) }
        return settlement
    }

    /// Ends a claim.
    ///
    /// The lease is renewed until the store has answered.
    ///
    /// Runs in a task of its own: once an operation has run, nothing may keep its outcome from being stored.
    private func end(
        _ lease: HeldLease,
        as ending: Ending,
        policy: IdempotencyPolicy,
        isFinal: Bool
    ) async -> Settlement {
        await Task {
            lease.live.beginSettling()
            let settlement = await self.settlement(lease.live, ending, policy: policy, isFinal: isFinal)
            if isFinal || settlement != .unstored {
                lease.end()
                self.waitingRoom.ring(lease.live.claim.key)
            } else {
                lease.live.resume()
            }
            return settlement
        }.value
    }

    /// Ends a claim; while the layer only observes, nobody waits for that.
    ///
    /// - Returns: What became of the claim; ``Settlement/stored`` if nobody waits.
    @discardableResult
    func settleUnlessObserving(_ lease: HeldLease, as ending: Ending, policy: IdempotencyPolicy) async -> Settlement {
        guard policy.mode == .observe else { return await self.settle(lease, as: ending, policy: policy) }
        Task { await self.settle(lease, as: ending, policy: policy) }
        return .stored
    }

    /// Ends a claim under which nothing ran.
    ///
    /// One that took over an abandoned key leaves it abandoned, so that attempts go on to count up.
    func giveBack(_ lease: HeldLease, policy: IdempotencyPolicy) async {
        let ending = lease.live.claim.attempt > 1 ? Ending.abandon : .release
        _ = await self.end(lease, as: ending, policy: policy, isFinal: true)
    }

    private func settlement(
        _ lease: LiveLease,
        _ ending: Ending,
        policy: IdempotencyPolicy,
        isFinal: Bool
    ) async -> Settlement {
        switch ending {
        case .complete(let outcome):
            do {
                if try await self.storing(lease, outcome, policy: policy) { return .stored }
                if isFinal { self.telemetry.outcomeNotStored(lease.claim, reason: "the claim no longer owns the key") }
            } catch {
                if isFinal { self.telemetry.outcomeNotStored(lease.claim, reason: "\(error)") }
            }
            return .unstored
        case .release:
            // If the store cannot be told, the end of the lease frees the key, by the rule for abandoned ones.
            _ = try? await self.repeating(.release, under: lease, policy: policy) {
                try await self.store.release(lease.claim)
            }
            return .released
        case .abandon:
            _ = try? await self.repeating(.renew, under: lease, policy: policy) {
                try await self.store.renew(lease.claim, lease: .zero)
            }
            return .released
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
