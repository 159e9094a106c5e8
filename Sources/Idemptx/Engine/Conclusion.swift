import Synchronization

/// What became of an operation that ran: the dimension `ending` of the metric `idempotency.executions`.
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

/// Tells what became of an operation, once, early or late.
final class ConclusionReport: Sendable {
    private let telemetry: Telemetry
    /// Let go of once it is called, since it holds the response.
    private let tell: Mutex<(@Sendable (Conclusion) -> Void)?>

    init(telemetry: Telemetry, tell: @escaping @Sendable (Conclusion) -> Void) {
        self.telemetry = telemetry
        self.tell = Mutex(tell)
    }

    /// - Returns: Whether this is the first word.
    @discardableResult
    func make(_ conclusion: Conclusion) -> Bool {
        guard let tell = self.tell.withLock({ $0.take() }) else { return false }
        self.telemetry.executed(conclusion)
        tell(conclusion)
        return true
    }
}
