import Synchronization

extension Idempotency {
    /// Claims a key, and counts what it comes to.
    ///
    /// - Returns: The result of the claim; without a lease if the operation is to run without the store.
    /// - Throws: ``IdempotencyProblem`` if the store cannot be used; `CancellationError` if the caller was cancelled.
    func decide(
        _ request: ClaimRequest,
        key: IdempotencyKey,
        policy: SharedPolicy,
        onWait: (@Sendable () -> Void)? = nil
    ) async throws -> ClaimResult<Lease?> {
        do {
            let result = try await self.claim(request, key: key, policy: policy, onWait: onWait)
            self.telemetry.decided(result, mode: policy.mode, key: request.key)
            return result.map { $0 }
        } catch let error as StoreError {
            let isBypassed = policy.onStoreFailure == .bypass && error.isOutage
            if error.isOutage, self.health.beginsOutage() { self.telemetry.storeLost(error, isBypassed: isBypassed) }
            guard isBypassed else {
                self.telemetry.decided(.unavailable, mode: policy.mode, key: request.key)
                throw IdempotencyProblem.storeUnavailable(under: policy)
            }
            self.telemetry.decided(.bypassed, mode: policy.mode, key: request.key)
            return .granted(nil)
        }
    }

    /// Begins to find out beside an operation what enforcing would have done.
    ///
    /// - Returns: Where to say how the operation ended; `nil` if so many observations wait for the store already that this
    ///   one is left out.
    func observe(_ request: ClaimRequest, key: IdempotencyKey, policy: SharedPolicy) -> Observation? {
        guard self.retrier.beginObservation() else {
            self.telemetry.decided(.unavailable, mode: policy.mode, key: request.key)
            return nil
        }
        var values = policy.values
        values.waitTimeout = .zero
        values.claimRetryTime = .zero
        let policy = SharedPolicy(values)
        let observation = Observation(idempotency: self, policy: policy)
        startTask {
            do {
                let result = try await self.claimRepeatedly(request, policy: policy)
                self.telemetry.decided(result, mode: .observe, key: request.key)
                if case .granted(let lease) = result { observation.granted(lease) } else { observation.notGranted() }
            } catch {
                self.telemetry.decided(.unavailable, mode: .observe, key: request.key)
                observation.notGranted()
            }
        }
        return observation
    }
}

/// An operation that is only observed: it does not wait for the store, and the store does not wait for it.
final class Observation: Sendable {
    private enum State {
        case begun
        case granted(Lease)
        case ended(Disposition, Outcome?)
        case over
    }

    private let idempotency: Idempotency
    private let policy: SharedPolicy
    private let state = Mutex(State.begun)
    private let keptBytes = Atomic(0)

    init(idempotency: Idempotency, policy: SharedPolicy) {
        self.idempotency = idempotency
        self.policy = policy
    }

    deinit {
        if case .granted(let lease) = self.state.withLock({ $0 }) { self.idempotency.renewer.remove(lease) }
        self.idempotency.retrier.endObservation(freeing: self.keptBytes.load(ordering: .relaxed))
    }

    fileprivate func granted(_ lease: Lease) {
        let end = self.state.withLock { state -> (Disposition, Outcome?)? in
            guard case .ended(let disposition, let outcome) = state else {
                state = .granted(lease)
                return nil
            }
            state = .over
            return (disposition, outcome)
        }
        if let end { self.conclude(lease, end.0, end.1) }
    }

    fileprivate func notGranted() {
        self.state.withLock { $0 = .over }
    }

    /// The operation has ended; its caller does not wait for the outcome to be stored.
    func conclude(as disposition: Disposition, _ outcome: Outcome?) {
        let outcome = outcome.map { outcome in
            let (kept, bytes) = self.idempotency.retrier.keepObserved(
                outcome, maxBytes: self.policy.maxUnstoredBytes)
            self.keptBytes.add(bytes, ordering: .relaxed)
            return kept
        }
        let lease = self.state.withLock { state -> Lease? in
            switch state {
            case .begun:
                state = .ended(disposition, outcome)
                return nil
            case .granted(let lease):
                state = .over
                return lease
            case .ended, .over: return nil
            }
        }
        if let lease { self.conclude(lease, disposition, outcome) }
    }

    private func conclude(_ lease: Lease, _ disposition: Disposition, _ outcome: Outcome?) {
        // The observation stays in memory, and is counted, until the store has replied.
        startTask {
            await self.idempotency.conclude(lease, as: disposition, outcome, policy: self.policy) { _ in }
        }
    }
}

extension ClaimRequest {
    /// The claim that `policy` makes for a key.
    init(key: IdempotencyKey, scope: Scope, fingerprint: Fingerprint, policy: SharedPolicy) {
        self.init(
            key: StorageKey(namespace: policy.namespace, scope: scope, key: key),
            fingerprint: fingerprint,
            comparesFingerprint: policy.validateSignature,
            lease: policy.lease,
            keyTTL: policy.keyTTL,
            onAbandoned: policy.onAbandoned.kind,
            unresolvedRetention: policy.unresolvedRetention,
            timeout: policy.claimTimeout
        )
    }
}
