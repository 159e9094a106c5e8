/// What became of an operation that ran: the dimension `conclusion` of the metric `idempotency.executions`.
enum Conclusion: String, CaseIterable, Sendable {
    /// Its response is stored.
    case stored
    /// A tombstone is stored.
    case tombstone
    /// The key was freed.
    case released
    /// The rule for unknown outcomes decides.
    case unknown
    /// Its outcome is not stored, or not yet.
    case unstored
}

extension Outcome {
    /// What became of an operation whose outcome is stored.
    var conclusion: Conclusion {
        if case .response = self { .stored } else { .tombstone }
    }
}
