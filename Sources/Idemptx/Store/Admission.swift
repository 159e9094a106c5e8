/// A store's answer to a claim.
public enum Admission: ~Copyable, Sendable {
    /// The attempt may run, and has to end with the claim.
    case execute(Claim)
    /// The operation has ended like this.
    case replay(Outcome)
    /// Another attempt is running, and its lease lasts this long.
    case inProgress(remainingLease: Duration)
    /// The key was used for another request.
    case mismatch
    /// An attempt was abandoned, and the rule is to refuse.
    case outcomeUnknown

    /// Creates the answer that ``RecordTransitions/claim(_:_:now:)`` decided on.
    ///
    /// - Parameters:
    ///   - decision: The decision.
    ///   - request: What was asked for.
    public init(_ decision: ClaimDecision, for request: ClaimRequest) {
        switch decision {
        case .execute(let attempt): self = .execute(Claim(granting: request, attempt: attempt))
        case .replay(let outcome): self = .replay(outcome)
        case .inProgress(let remainingLease): self = .inProgress(remainingLease: remainingLease)
        case .mismatch: self = .mismatch
        case .outcomeUnknown: self = .outcomeUnknown
        }
    }
}
