/// How an operation that ran ended: the dimension `ending` of the metric `idempotency.executions`.
enum ExecutionEnding: String, CaseIterable, Sendable {
    /// Its answer is stored.
    case stored
    /// A tombstone is stored.
    case tombstone
    /// The key was freed.
    case released
    /// Its outcome is not stored.
    case unstored

    init(_ ending: Ending, _ settlement: Settlement) {
        self =
            switch (settlement, ending) {
            case (.released, _): .released
            case (.unstored, _): .unstored
            case (.stored, .complete(.tombstone)): .tombstone
            case (.stored, _): .stored
            }
    }
}
