/// What is to be done about a call.
enum Verdict: Sendable {
    case execute(HeldLease)
    case executeUnprotected
    case replay(StoredResponse)
    case refuse(IdempotencyProblem)

    init(_ outcome: HeldAdmission) {
        switch outcome {
        case .execute(let lease): self = .execute(lease)
        case .replay(.response(let response)): self = .replay(response)
        case .replay(.tombstone(let tombstone)):
            self = .refuse(
                IdempotencyProblem(
                    .responseNotReplayable, originalStatus: tombstone.status, location: tombstone.location))
        case .inProgress(let remainingLease):
            self = .refuse(IdempotencyProblem(.requestInProgress, retryAfter: Self.retryAfter(remainingLease)))
        case .mismatch: self = .refuse(IdempotencyProblem(.keyReused))
        case .outcomeUnknown: self = .refuse(IdempotencyProblem(.outcomeUnknown))
        }
    }

    /// A store that failed in a way that may pass can be bypassed.
    ///
    /// One that holds a record which cannot be read cannot: the operation has run before.
    init(_ error: StoreError, rule: IdempotencyPolicy.StoreFailureRule) {
        if rule == .bypass && error.isTransient {
            self = .executeUnprotected
        } else {
            self = .refuse(IdempotencyProblem(.storeUnavailable, retryAfter: Self.longestRetryAfter))
        }
    }

    var requestOutcome: RequestOutcome {
        switch self {
        case .execute: .executed
        case .executeUnprotected: .bypassed
        case .replay: .replayed
        case .refuse(let problem): RequestOutcome(problem.kind)
        }
    }

    /// The number of the attempt that may run.
    var attempt: Int? {
        guard case .execute(let lease) = self else { return nil }
        return lease.live.claim.attempt
    }

    /// In seconds.
    ///
    /// The attempt that runs rarely needs all of its lease.
    private static let longestRetryAfter = 5

    /// `Retry-After` knows whole seconds only (RFC 9110, section 10.2.3).
    private static func retryAfter(_ remainingLease: Duration) -> Int {
        let milliseconds = min(remainingLease.wholeMilliseconds, Int64(self.longestRetryAfter) * 1000)
        return max(1, Int((milliseconds + 999) / 1000))
    }
}
