import Synchronization

/// The end of an attempt: what is known of it, until the store has taken it.
///
/// Only this stays in memory once the caller has its response.
final class Completion: Sendable {
    let lease: Lease
    let disposition: Disposition
    let policy: SharedPolicy
    /// Until when the caller waits.
    let deadline: Timestamp
    private let telemetry: Telemetry
    /// A tombstone takes its place if there is no room to keep it.
    private let knownOutcome: Mutex<Outcome?>
    /// Set to `nil` after the call, because the closure retains the response.
    private let tell: Mutex<(@Sendable (Conclusion) -> Void)?>
    private let atEnd: @Sendable (Conclusion) -> Void

    init(
        of lease: Lease,
        as disposition: Disposition,
        _ outcome: Outcome?,
        policy: SharedPolicy,
        deadline: Timestamp,
        telemetry: Telemetry,
        tell: @escaping @Sendable (Conclusion) -> Void,
        atEnd: @escaping @Sendable (Conclusion) -> Void
    ) {
        self.lease = lease
        self.disposition = disposition
        self.policy = policy
        self.deadline = deadline
        self.telemetry = telemetry
        self.knownOutcome = Mutex(disposition == .tombstone ? outcome.map { .tombstone($0.tombstone) } : outcome)
        self.tell = Mutex(tell)
        self.atEnd = atEnd
    }

    /// How the operation ended; `nil` if that is not stored.
    var outcome: Outcome? { self.knownOutcome.withLock { $0 } }

    /// Whether there is more to keep than a tombstone.
    var hasResponse: Bool {
        if case .response? = self.outcome { true } else { false }
    }

    /// Puts in place of the outcome what `change` makes of it.
    func replaceOutcome(_ change: (Outcome) -> Outcome) {
        self.knownOutcome.withLock { $0 = $0.map(change) }
    }

    /// Tells the caller what became of the operation, once, early or late.
    ///
    /// - Returns: Whether this is the first word.
    @discardableResult
    func report(_ conclusion: Conclusion) -> Bool {
        guard let tell = self.tell.withLock({ $0.take() }) else { return false }
        self.telemetry.executed(conclusion)
        tell(conclusion)
        return true
    }

    /// Tells what became of the outcome in the end.
    func end(_ conclusion: Conclusion) {
        self.report(conclusion)
        self.atEnd(conclusion)
    }
}
