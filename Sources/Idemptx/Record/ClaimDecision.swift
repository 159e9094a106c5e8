/// The answer to a claim, as a plain value; a store hands it on as an ``Admission``.
public enum ClaimDecision: Hashable, Sendable {
    /// The attempt may run.
    case execute(attempt: Int)
    /// The operation has ended like this.
    case replay(Outcome)
    /// Another attempt is running.
    case inProgress(remainingLease: Duration)
    /// The key was used for another request.
    case mismatch
    /// An attempt was abandoned, and the rule is to refuse.
    case outcomeUnknown
}
