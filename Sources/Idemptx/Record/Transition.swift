/// One step in the life of a record: the answer to the caller, and what becomes of the record.
public struct Transition<Answer: Sendable>: Sendable {
    /// The answer to the caller.
    public let answer: Answer

    /// What becomes of the record.
    public let change: RecordChange

    init(_ answer: Answer, _ change: RecordChange = .none) {
        self.answer = answer
        self.change = change
    }
}

extension Transition: Equatable where Answer: Equatable {}

/// What a store does to a record after a transition.
public enum RecordChange: Hashable, Sendable {
    /// Nothing.
    case none
    /// It becomes this one, until the expiry this one names.
    case write(IdempotencyRecord)
    /// It is removed.
    case remove
}

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

/// What an operator is told who asks to release a key.
public enum OperatorRelease: Hashable, Sendable {
    /// The key is free.
    case released
    /// There is no such record.
    case absent
    /// The operation has ended; a release would make it run again. Remove the record if that is meant.
    case completed
    /// An attempt is running; nothing was changed.
    case leaseRunning(remaining: Duration)
}
