/// What became of one request: the dimension `outcome` of the metric `idempotency.requests`.
enum RequestOutcome: String, CaseIterable, Sendable {
    /// The operation ran.
    case executed
    /// The operation ran without protection, because the store could not be used and the policy says so.
    case bypassed
    /// An earlier answer was repeated.
    case replayed
    /// Another request with the key is running.
    case conflict
    /// The key was used for another request.
    case mismatch
    /// The request had no key, an invalid one, or a body that is too large or not whole.
    case rejected
    /// An attempt was abandoned, and the rule is to refuse.
    case unknown
    /// The answer was not kept.
    case notReplayable = "not_replayable"
    /// The store could not be used.
    case unavailable

    init(_ kind: IdempotencyProblem.Kind) {
        self =
            switch kind {
            case .keyMissing, .keyInvalid, .bodyTooLarge, .bodyIncomplete, .lengthRequired: .rejected
            case .keyReused: .mismatch
            case .requestInProgress: .conflict
            case .outcomeUnknown: .unknown
            case .responseNotReplayable: .notReplayable
            case .storeUnavailable: .unavailable
            }
    }
}
