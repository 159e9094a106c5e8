/// An outcome that was written in a transaction of the application.
enum JoinedOutcome: Sendable {
    /// Whether the transaction is committed is not known yet.
    case written(Outcome)
    /// The transaction is committed.
    case committed(Outcome)
}

/// Whether an operation that has ended has committed an outcome in a transaction.
enum JoinedResult: Sendable {
    /// No outcome is stored: the layer has to do so.
    case nothing
    /// This outcome is stored.
    case stored(Outcome)
    /// The store did not say.
    case unknown
}
