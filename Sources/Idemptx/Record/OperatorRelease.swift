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
