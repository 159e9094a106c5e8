import Synchronization

/// What a running operation knows about its attempt, and its say in what becomes of the key.
public final class IdempotencyContext: Sendable {
    /// The context of the operation that the current task runs; `nil` outside of one.
    @TaskLocal public static var current: IdempotencyContext?

    /// The client's key, as it was sent.
    public let key: String

    /// The number of this attempt: 1, then one more with each later attempt.
    ///
    /// It never repeats while an earlier attempt may be running, so that whatever the operation writes to can refuse a
    /// smaller number than it has seen: a fencing number. A key that its first attempt releases, or that expires, counts
    /// from 1 again. An attempt that runs unprotected, or is only observed, counts as the first.
    public let attempt: Int

    /// The store that the records of its engine are kept in.
    package let store: any IdempotencyStore

    /// `nil` if the operation runs unprotected.
    let lease: Lease?
    let policy: SharedPolicy
    private let storageKey: StorageKey
    private let time: TimeSource
    private let chosenDisposition = Mutex<Disposition?>(nil)
    private let currentJoinedOutcome = Mutex<JoinedOutcome?>(nil)
    private let joinedFlag = Atomic(false)

    /// - Parameters:
    ///   - key: The client's key.
    ///   - storageKey: The name of its record.
    ///   - lease: `nil` if the operation runs unprotected.
    ///   - policy: The policy.
    ///   - idempotency: Whose operation it is.
    init(
        key: IdempotencyKey,
        storageKey: StorageKey,
        lease: Lease?,
        policy: SharedPolicy,
        of idempotency: Idempotency
    ) {
        self.key = key.rawValue
        self.storageKey = storageKey
        self.attempt = lease?.claim.attempt ?? 1
        self.lease = lease
        self.policy = policy
        self.store = idempotency.store
        self.time = idempotency.time
    }

    /// Whether this attempt can be sure that no other is running.
    ///
    /// `false` once another attempt has the key, while the lease could not be renewed in time, and in an operation that runs
    /// unprotected. Look before an effect that must not happen twice; it can still turn `false` right afterwards, which is
    /// what ``attempt`` is for.
    public var isLeaseHeld: Bool {
        guard let lease, !lease.isLost else { return false }
        return self.time.now < lease.heldUntil
    }

    /// Calls `action` if another attempt gets the key while this one runs, unless the layer only observes.
    ///
    /// - Parameter action: Called at most once, on any thread, such as to cancel a task.
    package func onLeaseLoss(_ action: @escaping @Sendable () -> Void) {
        guard self.policy.mode == .enforce else { return }
        self.lease?.onLoss(action)
    }

    /// Takes note of the task that the attempt runs in, which the loss of its lease cancels.
    func runs(cancel: @escaping @Sendable () -> Void) {
        self.onLeaseLoss(cancel)
        self.lease?.runs(cancel: cancel)
    }

    /// A key for another service that this operation calls, such as a payment provider.
    ///
    /// It is the same for each attempt and each retry, and differs between services and between callers: two tenants who
    /// both chose `order-1` have different ones there. The client's key cannot be derived from it.
    ///
    /// ```swift
    /// request.headers["Idempotency-Key"] = context.downstreamKey("stripe")
    /// ```
    ///
    /// - Parameter service: Names the service, or one of several calls to it.
    /// - Returns: A UUID (RFC 9562, version 8) in lower case.
    public func downstreamKey(_ service: String) -> String {
        self.storageKey.downstreamKey(for: service)
    }

    /// Frees the key when the operation has ended, whatever its response: nothing was done, and a retry may run it.
    public func release() {
        self.choose(.release)
    }

    /// Keeps the response for replays, whatever the policy says of it.
    public func keep() {
        self.choose(.keep)
    }

    /// Keeps the fact that the operation is done, but not its response, such as one that holds a secret.
    public func tombstone() {
        self.choose(.tombstone)
    }

    /// Says that it is not known whether anything was done: the rule for unknown outcomes decides about a retry.
    public func markUnknown() {
        self.choose(.unknown)
    }

    /// Says what becomes of the key when the operation has ended.
    ///
    /// - Parameter disposition: What becomes of it, whatever the policy says.
    package func choose(_ disposition: Disposition) {
        self.chosenDisposition.withLock { $0 = disposition }
    }

    /// Whether the operation runs under a claim of `key` in a store that is not over yet.
    func holds(_ key: StorageKey, in store: StoreIdentity) -> Bool {
        self.lease.map { $0.claim.key == key && $0.store == store && !$0.isOver } ?? false
    }

    /// Takes note of what the operation threw.
    ///
    /// A problem of another call inside of it that speaks of the moment, such as that something is in progress, must not
    /// be replayed for as long as responses are kept. Nor does it say that this operation had no effect before, so that it
    /// does not free the key.
    func operationThrew(_ error: any Error) {
        guard let problem = error as? IdempotencyProblem, problem.kind.isOfTheMoment else { return }
        self.chosenDisposition.withLock { $0 = $0 ?? .tombstone }
    }

    /// What the operation has written in a transaction of the application; `nil` if the layer has to store its outcome.
    var joinedOutcome: JoinedOutcome? {
        get { self.currentJoinedOutcome.withLock { $0 } }
        set { self.currentJoinedOutcome.withLock { $0 = newValue } }
    }

    /// Whether the layer completes the operation in a transaction that it has opened itself.
    var isJoined: Bool {
        get { self.joinedFlag.load(ordering: .relaxed) }
        set { self.joinedFlag.store(newValue, ordering: .relaxed) }
    }

    /// Whether the layer itself has committed the outcome together with what the operation wrote.
    var hasCommitted: Bool {
        if case .committed? = self.joinedOutcome { true } else { false }
    }

    /// What the operation decided; `nil` leaves it to the policy.
    var disposition: Disposition? { self.chosenDisposition.withLock { $0 } }
}
