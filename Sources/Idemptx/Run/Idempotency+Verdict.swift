extension Idempotency {
    /// Claims a key and decides by the policy what is to be done about the call.
    ///
    /// - Throws: `CancellationError` if the caller was cancelled while waiting.
    func verdict(on request: ClaimRequest, policy: IdempotencyPolicy) async throws -> Verdict {
        let verdict = try await self.enforcedVerdict(on: request, policy: policy)
        self.telemetry.decided(verdict.requestOutcome, mode: policy.mode, key: request.key, attempt: verdict.attempt)
        guard policy.mode == .observe else { return verdict }
        switch verdict {
        case .execute, .executeUnprotected: return verdict
        case .replay, .refuse: return .executeUnprotected
        }
    }

    private func enforcedVerdict(on request: ClaimRequest, policy: IdempotencyPolicy) async throws -> Verdict {
        do {
            return Verdict(try await self.admit(request, policy: policy))
        } catch let error as StoreError {
            return Verdict(error, rule: policy.onStoreFailure)
        }
    }
}

extension ClaimRequest {
    /// The claim that `policy` makes for a key.
    init(key: IdempotencyKey, scope: Scope, fingerprint: Fingerprint, policy: IdempotencyPolicy) {
        self.init(
            key: StorageKey(namespace: policy.namespace, scope: scope, key: key),
            fingerprint: fingerprint,
            comparesFingerprint: policy.validateSignature,
            lease: policy.lease,
            keyTTL: policy.keyTTL,
            onAbandoned: policy.onAbandoned
        )
    }
}
