public import ServiceLifecycle
import Synchronization

/// Runs operations so that retrying one is safe.
///
/// The first call with a key runs its operation; every later one gets the same response. Concurrent ones never run beside
/// it. If the process dies in the middle, the next call follows the rule of ``IdempotencyPolicy/onAbandoned``.
///
/// The promise is *at most once while the store keeps acknowledged writes and the lease holds; after a crash, the rule
/// you chose*.
///
/// One instance serves any number of operations at a time. Plain functions go through ``run(_:key:scope:fingerprint:operation:)->_``,
/// requests through ``respond(to:through:scope:policy:operation:)``.
///
/// It is a `Service`: in a service group, a graceful shutdown waits for operations and for outcomes that could not be stored
/// yet. Without one, call ``drain(atMost:)`` before the process ends.
public final class Idempotency: Sendable {
    let store: any IdempotencyStore
    let time: TimeSource
    let telemetry: Telemetry
    let renewer: LeaseRenewer
    let waiters: InFlightWaiters
    let retrier: CompletionRetrier
    let coalescer = ClaimCoalescer()
    let health: StoreHealth
    let cache: ReplayCache
    private let currentPolicy: Mutex<SharedPolicy>

    /// Creates an instance.
    ///
    /// - Parameters:
    ///   - store: Where records are kept.
    ///   - policy: How operations are made idempotent.
    ///   - clock: What leases are renewed, and waits are measured, by.
    public convenience init(
        store: any IdempotencyStore,
        policy: IdempotencyPolicy = IdempotencyPolicy(),
        clock: some Clock<Duration> = ContinuousClock()
    ) {
        self.init(store: store, policy: policy, clock: clock, leaseExecutor: DispatchQueueExecutor.leases)
    }

    /// Creates an instance whose leases are renewed on an executor of the caller's choice, such as one that a simulation
    /// drives.
    ///
    /// - Parameters:
    ///   - store: Where records are kept.
    ///   - policy: How operations are made idempotent.
    ///   - clock: What leases are renewed, and waits are measured, by.
    ///   - leaseExecutor: Where leases are renewed. It has to live for as long as any of its tasks.
    package init(
        store: any IdempotencyStore,
        policy: IdempotencyPolicy,
        clock: some Clock<Duration>,
        leaseExecutor: any TaskExecutor
    ) {
        let (time, telemetry) = (TimeSource(clock), Telemetry())
        self.store = store
        self.time = time
        self.telemetry = telemetry
        self.renewer = LeaseRenewer(
            store: store, time: time, isRealTime: clock is ContinuousClock, executor: leaseExecutor,
            telemetry: telemetry)
        self.waiters = InFlightWaiters(store: store, time: time, telemetry: telemetry)
        self.retrier = CompletionRetrier(time: time, telemetry: telemetry)
        self.health = StoreHealth(time: time)
        self.cache = ReplayCache(time: time)
        self.currentPolicy = Mutex(SharedPolicy(policy))
    }

    /// The policy, which may be changed at any time.
    ///
    /// An operation ends by the policy it started with. `idempotency.policy.mode = .off` is the kill switch.
    public var policy: IdempotencyPolicy {
        get { self.sharedPolicy.values }
        set { self.currentPolicy.withLock { $0 = SharedPolicy(newValue) } }
    }

    /// The policy as it is passed on.
    var sharedPolicy: SharedPolicy { self.currentPolicy.withLock { $0 } }
}

extension Idempotency: Service {
    /// Waits for a graceful shutdown, then drains; until then, it tells metrics how many outcomes are unknown.
    ///
    /// Put it behind the store and in front of the server in a list of services: those in front of it shut down later.
    public func run() async throws {
        await self.recordingUnknownOutcomes { try? await gracefulShutdown() }
        await self.drain()
    }

    /// Waits until no operation runs and every known outcome is stored.
    ///
    /// Outcomes that are not stored by then are given up.
    ///
    /// - Parameter duration: How long to wait.
    public func drain(atMost duration: Duration = .seconds(10)) async {
        let deadline = self.time.now.advanced(by: duration)
        while self.renewer.count > 0 || !self.retrier.isEmpty, self.time.now < deadline {
            guard (try? await self.time.sleep(for: .milliseconds(20))) != nil else { break }
        }
        self.retrier.stop()
    }
}
