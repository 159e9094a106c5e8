/// What became of one request: the dimension `outcome` of the metric `idempotency.requests`.
enum RequestOutcome: String, CaseIterable, Sendable {
    /// The operation ran.
    case executed
    /// The operation ran without protection, because the store could not be used and the policy says so.
    case bypassed
    /// An earlier response was replayed.
    case replayed
    /// Another request with the key is running.
    case conflict
    /// The key was used for another request.
    case mismatch
    /// The request had no key, an invalid one, or a body that is too large or not whole.
    case rejected
    /// The outcome of an attempt is unknown, and the rule is to refuse.
    case unknown
    /// The response was not kept.
    case notReplayable = "not_replayable"
    /// The store could not be used.
    case unavailable

    init<Grant>(_ result: ClaimResult<Grant>) {
        self =
            switch result {
            case .granted: .executed
            case .completed(.response): .replayed
            case .completed(.tombstone): .notReplayable
            case .inProgress: .conflict
            case .mismatch: .mismatch
            case .unknown: .unknown
            }
    }
}
