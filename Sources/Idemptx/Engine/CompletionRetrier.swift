import Synchronization

/// The outcomes that are known in this process and not stored yet.
///
/// An operation that has run must not run again because its store was away. Its task goes on storing the outcome, and
/// meanwhile a retry that reaches this process gets it from here.
final class CompletionRetrier: Sendable {
    private struct Pending {
        let lease: Lease
        let outcome: Outcome
        let since: Timestamp
    }

    private struct State {
        var pending: [StorageKey: Pending] = [:]
        var bytes = 0
        var releases = 0
        var observations = 0
        var observedBytes = 0
        var isStopped = false
        var oldest: Timestamp?
        var oldestFoundAt: Timestamp?
    }

    /// How often the oldest outcome is looked for, which takes a time that grows with their number.
    private static let searchInterval = Duration.seconds(1)

    /// Beyond this number, claims are left to expire with their leases.
    private static let maxReleases = 10_000

    /// Beyond this number, observations are skipped.
    private static let maxObservations = 1_000

    private let time: TimeSource
    private let telemetry: Telemetry
    private let state = Mutex(State())
    /// Lets claims skip the table, which is nearly always empty.
    private let count = Atomic(0)

    init(time: TimeSource, telemetry: Telemetry) {
        self.time = time
        self.telemetry = telemetry
    }

    /// Keeps an outcome until it is stored.
    ///
    /// - Returns: What is kept: a tombstone if there is no room for more.
    func keep(_ outcome: Outcome, of lease: Lease, maxBytes: Int) -> Outcome {
        let (key, now) = (lease.claim.key, self.time.now)
        let kept = self.state.withLock { state in
            let earlier = state.pending.removeValue(forKey: key)
            if let earlier { state.bytes -= earlier.outcome.size }
            let since = earlier?.lease === lease ? earlier?.since : nil
            let hasRoom = state.bytes + state.observedBytes + outcome.size <= maxBytes
            let kept = hasRoom ? outcome : .tombstone(outcome.tombstone)
            state.pending[key] = Pending(lease: lease, outcome: kept, since: since ?? now)
            state.bytes += kept.size
            self.count.store(state.pending.count, ordering: .releasing)
            return kept
        }
        self.report()
        return kept
    }

    /// The outcome of an attempt is stored, or given up.
    ///
    /// That of another attempt with the same key stays.
    func remove(_ lease: Lease) {
        guard self.count.load(ordering: .acquiring) > 0 else { return }
        let key = lease.claim.key
        let isRemoved = self.state.withLock { state in
            guard let pending = state.pending[key], pending.lease === lease else { return false }
            state.pending[key] = nil
            state.bytes -= pending.outcome.size
            self.count.store(state.pending.count, ordering: .releasing)
            return true
        }
        if isRemoved { self.report() }
    }

    /// What a claim comes to that meets an outcome which is not stored yet.
    ///
    /// - Parameters:
    ///   - request: The claim.
    ///   - leaseIsHeld: Only if no other attempt can have the key. Otherwise the store knows better, if it replies: another
    ///     outcome may be stored.
    /// - Returns: The result; `nil` if there is no such outcome.
    func result(for request: ClaimRequest, ifLeaseIsHeld leaseIsHeld: Bool = false) -> ClaimResult<Lease>? {
        guard self.count.load(ordering: .acquiring) > 0 else { return nil }
        guard let pending = self.state.withLock({ $0.pending[request.key] }) else { return nil }
        if leaseIsHeld, pending.lease.heldUntil <= self.time.now { return nil }
        let fingerprint = pending.lease.claim.fingerprint
        if request.comparesFingerprint, fingerprint.disagrees(with: request.fingerprint) { return .mismatch }
        return .completed(pending.outcome)
    }

    /// Tells the gauges how many outcomes there are, and how old the oldest is.
    func report() {
        guard self.telemetry.isMeasured else { return }
        let now = self.time.now
        let (count, oldest) = self.state.withLock { state in
            let isStale = state.oldestFoundAt.map { $0.advanced(by: Self.searchInterval) <= now } ?? true
            if isStale || state.oldest == nil || state.pending.isEmpty {
                state.oldest = state.pending.values.map(\.since).min()
                state.oldestFoundAt = now
            }
            return (state.pending.count, state.oldest)
        }
        self.telemetry.recordUnstored(count, oldest: oldest.map { $0.duration(to: now) } ?? .zero)
    }

    // MARK: Releases

    /// Takes note of a release in the background that begins.
    ///
    /// - Returns: `false` if there are too many.
    func beginRelease() -> Bool {
        self.state.withLock { state in
            guard !state.isStopped, state.releases < Self.maxReleases else { return false }
            state.releases += 1
            return true
        }
    }

    func endRelease() {
        self.state.withLock { $0.releases -= 1 }
    }

    // MARK: Observations

    /// Takes note of an operation that is observed.
    ///
    /// - Returns: `false` if the store is behind with too many.
    func beginObservation() -> Bool {
        self.state.withLock { state in
            guard state.observations < Self.maxObservations else { return false }
            state.observations += 1
            return true
        }
    }

    /// Makes room for the outcome of an operation that is observed, which nobody waits for.
    ///
    /// - Returns: What there is room for: the outcome or its tombstone, and how many bytes it takes until
    ///   ``endObservation(freeing:)``.
    func keepObserved(_ outcome: Outcome, maxBytes: Int) -> (Outcome, Int) {
        self.state.withLock { state in
            // There is always room for one.
            guard state.observedBytes == 0 || state.bytes + state.observedBytes + outcome.size <= maxBytes else {
                return (.tombstone(outcome.tombstone), 0)
            }
            state.observedBytes += outcome.size
            return (outcome, outcome.size)
        }
    }

    func endObservation(freeing bytes: Int) {
        self.state.withLock { state in
            state.observations -= 1
            state.observedBytes -= bytes
        }
    }

    // MARK: The end

    var isEmpty: Bool { self.state.withLock { $0.pending.isEmpty && $0.releases == 0 } }

    var isStopped: Bool { self.state.withLock { $0.isStopped } }

    func stop() {
        self.state.withLock { $0.isStopped = true }
    }
}
