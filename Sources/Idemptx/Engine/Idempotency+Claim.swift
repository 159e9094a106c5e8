extension Idempotency {
    /// Claims a key, and waits for the attempt that holds it as long as the policy says.
    ///
    /// Runs in the task of the caller. One that is cancelled leaves no claim behind: what the store may have granted is
    /// released in the background.
    ///
    /// - Parameters:
    ///   - request: What is claimed.
    ///   - key: The caller's key.
    ///   - policy: The policy.
    ///   - onWait: Called when the caller begins to wait for another attempt: nothing of its own is under way then.
    /// - Returns: If the key is granted, there is time to start the operation under its lease.
    /// - Throws: ``StoreError`` if the store cannot be used, `CancellationError` if the caller was cancelled before the
    ///   operation could start.
    func claim(
        _ request: ClaimRequest,
        key: IdempotencyKey,
        policy: SharedPolicy,
        onWait: (@Sendable () -> Void)? = nil
    ) async throws -> ClaimResult<Lease> {
        let result = try await self.claimOrWait(request, policy: policy, onWait: onWait)
        guard case .granted(let lease) = result, !self.isReady(lease, policy: policy) else { return result }
        return try await self.makeReady(result, key: key, policy: policy)
    }

    /// Whether nothing stands between a claim and its operation, as for nearly every claim.
    private func isReady(_ lease: Lease, policy: SharedPolicy) -> Bool {
        !Task.isCancelled && lease.maySafelyStart(at: self.time.now)
            && (policy.onAbandoned.recover == nil || lease.claim.unknownAttempt == nil)
    }

    /// Claims again, and asks about unknown outcomes, until the operation may start.
    @inline(never)
    private func makeReady(
        _ result: ClaimResult<Lease>,
        key: IdempotencyKey,
        policy: SharedPolicy
    ) async throws -> ClaimResult<Lease> {
        var result = result
        var recovered: UnknownAttempt?
        for _ in 0..<4 {
            guard case .granted(let lease) = result else { return result }
            if Task.isCancelled {
                self.release(lease)
                throw CancellationError()
            }
            guard lease.maySafelyStart(at: self.time.now) else {
                // The reply came late, or the process was paused. Nothing has run: the same token claims again.
                result = try await self.claimAgain(lease, policy: policy)
                continue
            }
            // Another attempt may have had the key, and have failed, since the last one was asked about.
            guard let recover = policy.onAbandoned.recover, let attempt = lease.claim.unknownAttempt,
                attempt != recovered
            else { return result }
            recovered = attempt
            result = await self.recover(lease, key: key, from: attempt, policy: policy, by: recover)
        }
        guard case .granted(let lease) = result else { return result }
        self.release(lease)
        throw StoreError(.unavailable, "The store takes longer than the lease to grant it.")
    }

    /// Claims with the token of a lease under which it is too late to start.
    private func claimAgain(_ lease: Lease, policy: SharedPolicy) async throws -> ClaimResult<Lease> {
        self.renewer.remove(lease)
        do {
            let result = try await self.claimRepeatedly(lease.request, policy: policy, mayBeClaimed: true)
            if !result.isGranted { self.release(lease) }
            return result
        } catch {
            self.release(lease)
            throw error
        }
    }

    private func claimOrWait(
        _ request: ClaimRequest,
        policy: SharedPolicy,
        onWait: (@Sendable () -> Void)?
    ) async throws -> ClaimResult<Lease> {
        let result =
            policy.onStoreFailure == .bypass
            ? try await self.claimOrBypass(request, policy: policy)
            : try await self.claimRepeatedly(request, policy: policy)
        guard case .inProgress(let remainingLease) = result, policy.waitTimeout > .zero else { return result }
        onWait?()
        return try await self.wait(request, remainingLease: remainingLease, policy: policy)
    }

    @inline(never)
    private func wait(
        _ request: ClaimRequest,
        remainingLease: Duration,
        policy: SharedPolicy
    ) async throws -> ClaimResult<Lease> {
        try await self.waiters.wait(
            for: InFlightWaiters.Wait(request: request, timeout: policy.waitTimeout, remainingLease: remainingLease),
            limits: InFlightWaiters.Limits(perKey: policy.maxWaitersPerKey, total: policy.maxWaiters),
            claimer: InFlightWaiters.Claimer(
                claim: { try await self.claimRepeatedly($0, policy: policy) },
                release: { self.release($0) }
            )
        )
    }

    /// Claims where the operation may run without the store: one that does not reply delays only a few requests.
    @inline(never)
    private func claimOrBypass(
        _ request: ClaimRequest,
        policy: SharedPolicy
    ) async throws -> ClaimResult<Lease> {
        if let known = self.resultKnownHere(request, policy: policy) { return known }
        guard self.health.mayAsk() else {
            if let known = self.retrier.result(for: request) { return known }
            throw StoreError(.unavailable, "The store did not reply just now.")
        }
        do {
            let result = try await self.claimInTime(request, policy: policy)
            self.health.replied()
            return result
        } catch {
            guard (error as? StoreError)?.isOutage == true else {
                self.health.replied()
                throw error
            }
            self.health.failed()
            if let known = self.retrier.result(for: request) { return known }
            throw error
        }
    }

    private func claimInTime(_ request: ClaimRequest, policy: SharedPolicy) async throws -> ClaimResult<Lease> {
        let handover = Handover<Result<ClaimResult<Lease>, any Error>>()
        startTask {
            do {
                let result = try await self.claimRepeatedly(request, policy: policy)
                if !handover.fulfil(.success(result)), case .granted(let lease) = result { self.release(lease) }
            } catch {
                handover.fulfil(.failure(error))
            }
        }
        if let result = handover.valueIfReady { return try result.get() }
        let timer = startTask {
            guard (try? await self.time.sleep(for: policy.claimTimeout + policy.claimRetryTime)) != nil else { return }
            handover.fulfil(.failure(StoreError(.unavailable, "The store did not reply in time.")))
        }
        defer { timer.cancel() }
        return try await handover.value.get()
    }

    /// Claims a key, repeating the call while its failure may pass.
    ///
    /// - Parameters:
    ///   - request: What is claimed.
    ///   - policy: The policy.
    ///   - mayBeClaimed: Whether the store may have granted it before.
    /// - Returns: The store's result.
    /// - Throws: ``StoreError``, or `CancellationError`.
    func claimRepeatedly(
        _ request: ClaimRequest,
        policy: SharedPolicy,
        mayBeClaimed: Bool = false
    ) async throws -> ClaimResult<Lease> {
        let begin = self.time.now
        do {
            return try await self.claimOnce(request, policy: policy, requestedAt: begin, mayBeClaimed: mayBeClaimed)
        } catch {
            let deadline = begin.advanced(by: min(policy.claimRetryTime, request.lease))
            return try await self.claim(
                request, after: error, until: deadline, policy: policy, mayBeClaimed: mayBeClaimed)
        }
    }

    /// Goes on with a claim whose first call has failed.
    @inline(never)
    private func claim(
        _ request: ClaimRequest,
        after failure: any Error,
        until deadline: Timestamp,
        policy: SharedPolicy,
        mayBeClaimed: Bool
    ) async throws -> ClaimResult<Lease> {
        var (failure, mayBeClaimed) = (failure, mayBeClaimed || Self.mayHaveClaimed(failure))
        var backoff = Backoff()
        do {
            while true {
                if failure is StoreError, let known = self.retrier.result(for: request) {
                    // The store cannot say more than is known here.
                    if mayBeClaimed { self.releaseUnconfirmed(request) }
                    return known
                }
                let pause = backoff.next()
                guard let error = failure as? StoreError, error.isTransient,
                    self.time.now.advanced(by: pause) < deadline
                else { throw failure }
                try await self.time.sleep(for: pause)
                do {
                    let result = try await self.claimOnce(
                        request, policy: policy, requestedAt: self.time.now, mayBeClaimed: mayBeClaimed)
                    if mayBeClaimed, !result.isGranted { self.releaseUnconfirmed(request) }
                    return result
                } catch {
                    mayBeClaimed = mayBeClaimed || Self.mayHaveClaimed(error)
                    // That others had the record is not forgotten: their operation may be running.
                    let isBusy = (failure as? StoreError)?.isRecordBusy == true
                    if !isBusy || !(error is StoreError) { failure = error }
                }
            }
        } catch {
            if mayBeClaimed { self.releaseUnconfirmed(request) }
            throw error
        }
    }

    /// Whether the store may have granted a claim that failed.
    ///
    /// Any error but its own is a cancellation, which says nothing of what the store has done.
    private static func mayHaveClaimed(_ error: any Error) -> Bool {
        (error as? StoreError)?.code ?? .replyLost == .replyLost
    }

    /// Makes one call to the store, or shares that of another claim.
    ///
    /// One that the store may have granted before (`mayBeClaimed`) shares none: to another claim, that grant is an attempt
    /// that runs.
    private func claimOnce(
        _ request: ClaimRequest,
        policy: SharedPolicy,
        requestedAt: Timestamp,
        mayBeClaimed: Bool
    ) async throws -> ClaimResult<Lease> {
        if let known = self.resultKnownHere(request, policy: policy) { return known }
        let result =
            if mayBeClaimed {
                try await self.askStore(
                    request, policy: policy, requestedAt: requestedAt,
                    mayBeGrantedUntil: requestedAt.advanced(by: request.timeout ?? .zero))
            } else {
                try await self.coalescer.claim(request) { isFirst in
                    // One that has waited for another call asks at a later moment.
                    let requestedAt = isFirst ? requestedAt : self.time.now
                    return try await self.askStore(request, policy: policy, requestedAt: requestedAt)
                }
            }
        switch result {
        case .completed(let outcome): self.cache.insert(outcome, for: request, policy: policy)
        case .granted(let lease):
            // An outcome that could not be stored has become known since we looked.
            guard let known = self.retrier.result(for: request) else { break }
            self.settle(lease, by: known, policy: policy)
            return known
        case .unknown:
            // Unknown to the store: it is this process that knows.
            if let known = self.retrier.result(for: request) { return known }
        case .inProgress, .mismatch: break
        }
        return result
    }

    @inline(never)
    private func askStore(
        _ request: ClaimRequest,
        policy: SharedPolicy,
        requestedAt: Timestamp,
        mayBeGrantedUntil: Timestamp? = nil
    ) async throws -> ClaimResult<Lease> {
        let result = try await self.telemetry.storeCall(.claim) {
            try await self.store.claim(request).map { claim in
                let lease = Lease(
                    claim, for: request, store: self.store.identity, requestedAt: requestedAt,
                    mayBeGrantedUntil: mayBeGrantedUntil, maxRunTime: policy.maxRunTime)
                self.renewer.add(lease)
                return lease
            }
        }
        if self.health.endsOutage() { self.telemetry.storeIsBack() }
        return result
    }

    /// Stores the outcome of an earlier attempt, which this one has replaced before the outcome was known.
    private func settle(_ lease: Lease, by known: ClaimResult<Lease>, policy: SharedPolicy) {
        guard case .completed(let outcome) = known else { return self.release(lease) }
        startTask {
            await self.conclude(lease, as: outcome.disposition, outcome, policy: policy) { _ in }
        }
    }

    private func resultKnownHere(_ request: ClaimRequest, policy: SharedPolicy) -> ClaimResult<Lease>? {
        if let result = self.retrier.result(for: request, ifLeaseIsHeld: true) { return result }
        return policy.maxReplayCacheBytes > 0 ? self.cache.result(for: request) : nil
    }

    // MARK: Recovery

    /// Finds out what happened in an attempt whose outcome is unknown.
    ///
    /// Runs in a task of its own, so that cancelling the caller does not start a second recovery.
    private func recover(
        _ lease: Lease,
        key: IdempotencyKey,
        from attempt: UnknownAttempt,
        policy: SharedPolicy,
        by recover: @escaping @Sendable (UnknownOutcome) async throws -> Recovery
    ) async -> ClaimResult<Lease> {
        let unknown = UnknownOutcome(
            key: key.rawValue, attempt: attempt.attempt, created: attempt.created, leaseEnd: attempt.leaseEnd,
            storageKey: lease.claim.key)
        let handover = Handover<ClaimResult<Lease>>()
        startTask {
            switch (try? await recover(unknown)) ?? .refuse {
            case .rerun: handover.fulfil(.granted(lease))
            case .complete(let outcome):
                await self.conclude(lease, as: .keep, outcome, policy: policy) { _ in
                    handover.fulfil(.completed(outcome))
                }
            case .refuse:
                await self.conclude(lease, as: .unknown, policy: policy) { _ in handover.fulfil(.unknown) }
            }
        }
        return await handover.value
    }
}

extension ClaimResult<Lease> {
    fileprivate var isGranted: Bool {
        if case .granted = self { true } else { false }
    }
}

extension Outcome {
    fileprivate var disposition: Disposition {
        switch self {
        case .response: .keep
        case .tombstone: .tombstone
        }
    }
}
