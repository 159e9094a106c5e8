import Synchronization

/// What a running operation knows about its attempt, and its say in what becomes of the answer.
public final class IdempotencyContext: Sendable {
    /// The context of the operation that the current task runs; `nil` outside of one.
    @TaskLocal public static var current: IdempotencyContext?

    /// The client's key.
    public let key: IdempotencyKey

    /// The number of this attempt: 1, then one more each time an attempt was abandoned and taken over.
    ///
    /// It only rises while the record of the key lives, so that whatever the operation writes to can refuse a smaller
    /// number than it has seen: a fencing number. A key that is released, or expires, counts from 1 again. An attempt
    /// that runs unprotected counts as the first.
    public let attempt: Int

    private let lease: LiveLease?
    private let mode: IdempotencyPolicy.Mode
    private let time: TimeSource
    private let chosenDisposition = Mutex<ReplayPolicy.Disposition?>(nil)

    /// - Parameters:
    ///   - key: The client's key.
    ///   - lease: `nil` if the operation runs unprotected.
    ///   - mode: Whether the rules apply.
    ///   - time: The clock that the lease is measured by.
    init(key: IdempotencyKey, lease: LiveLease?, mode: IdempotencyPolicy.Mode, time: TimeSource) {
        self.key = key
        self.attempt = lease?.claim.attempt ?? 1
        self.lease = lease
        self.mode = mode
        self.time = time
    }

    /// Whether this attempt can be sure that no other is running.
    ///
    /// `false` once another attempt has taken the key, while the lease could not be renewed in time, and in an operation
    /// that runs unprotected. Look before an effect that must not happen twice; it can still turn `false` right
    /// afterwards, which is what ``attempt`` is for.
    public var isLeaseHeld: Bool {
        guard let lease, !lease.isLost else { return false }
        return self.time.now < lease.heldUntil
    }

    /// Calls `action` if another attempt takes the key while this one runs, unless the layer only observes.
    ///
    /// - Parameter action: Called at most once, on any thread, such as to cancel a task.
    public func onLeaseLoss(_ action: @escaping @Sendable () -> Void) {
        guard self.mode == .enforce else { return }
        self.lease?.onLoss(action)
    }

    /// Frees the key when the operation has answered, whatever the answer: it had no effect, and a retry may run it.
    public func release() {
        self.chosenDisposition.withLock { $0 = .release }
    }

    /// Keeps the answer for replays, whatever the policy says of it.
    public func keep() {
        self.chosenDisposition.withLock { $0 = .keep }
    }

    /// Keeps the fact that the operation is done, but not its answer, such as one that holds a secret.
    public func tombstone() {
        self.chosenDisposition.withLock { $0 = .tombstone }
    }

    /// Whether the operation runs under a claim of `key` in `store`.
    func holds(_ key: StorageKey, in store: any IdempotencyStore) -> Bool {
        self.lease.map { $0.claim.key == key && $0.store == store.identity } ?? false
    }

    /// Takes note of what the operation threw.
    ///
    /// A problem of another call inside of it, such as that something is in progress, speaks of the moment: it must not
    /// be replayed for as long as answers are kept. Nor does it say that this operation had no effect before, so that
    /// it does not free the key.
    package func operationThrew(_ error: any Error) {
        guard let problem = error as? IdempotencyProblem, problem.retryAfter != nil else { return }
        self.chosenDisposition.withLock { $0 = $0 ?? .tombstone }
    }

    /// What the operation decided; `nil` leaves it to the policy.
    var disposition: ReplayPolicy.Disposition? { self.chosenDisposition.withLock { $0 } }
}
