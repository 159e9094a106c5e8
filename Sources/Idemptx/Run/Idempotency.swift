import Synchronization

/// Runs operations so that retrying one is safe.
///
/// The first call with a key runs its operation; every later one gets the same answer. Concurrent ones never run beside
/// it. If the process dies in the middle, the next call follows the rule of ``IdempotencyPolicy/onAbandoned``.
///
/// The promise is *at most once while the store keeps acknowledged writes and the lease holds; after a crash, the rule
/// you chose*.
///
/// One runner serves any number of operations at a time. Plain functions go through
/// ``run(key:scope:fingerprint:operation:)->_``; adapters of HTTP servers go through ``screen(_:under:)``.
public final class Idempotency: Sendable {
    let store: any IdempotencyStore
    let time: TimeSource
    let telemetry: Telemetry
    let leases: LeaseKeeper
    let waitingRoom: WaitingRoom
    private let currentPolicy: Mutex<IdempotencyPolicy>

    /// Creates a runner.
    ///
    /// - Parameters:
    ///   - store: Where records are kept.
    ///   - policy: The rules.
    ///   - clock: What leases are renewed, and waits are measured, by.
    public init(
        store: any IdempotencyStore,
        policy: IdempotencyPolicy = IdempotencyPolicy(),
        clock: some Clock<Duration> = ContinuousClock()
    ) {
        self.store = store
        self.time = TimeSource(clock)
        self.telemetry = Telemetry()
        self.leases = LeaseKeeper(store: store, time: self.time, telemetry: self.telemetry)
        self.waitingRoom = WaitingRoom(store: store, time: self.time, telemetry: self.telemetry)
        self.currentPolicy = Mutex(policy.checked())
    }

    /// The rules, which may be changed at any time.
    ///
    /// An operation ends by the rules it started with.
    public var policy: IdempotencyPolicy {
        get { self.currentPolicy.withLock { $0 } }
        set { self.currentPolicy.withLock { $0 = newValue.checked() } }
    }

    /// The rules as they apply to the next operation.
    var effectivePolicy: IdempotencyPolicy { self.policy.effective }

    /// Whether the rules apply: the kill switch.
    public var mode: IdempotencyPolicy.Mode {
        get { self.currentPolicy.withLock { $0.mode } }
        set { self.currentPolicy.withLock { $0.mode = newValue } }
    }
}
