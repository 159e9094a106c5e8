import Dispatch
import Logging
import Synchronization

/// Renews the leases of all running attempts, a third of the lease after each renewal.
///
/// Renewals run on a queue of their own: an attempt must not lose its key because handlers block the pool of threads. One
/// alarm serves all leases, so that a short operation costs an entry in a heap and no task.
final class LeaseRenewer: Sendable {
    private struct State {
        var heap = DateHeap<Lease, Timestamp>()
        var alarm: (date: Timestamp, number: Int, cancel: @Sendable () -> Void)?
        var alarmCount = 0
    }

    private let store: any IdempotencyStore
    private let time: TimeSource
    private let telemetry: Telemetry
    private let executor: any TaskExecutor
    /// Whether the queue's own timers go by the clock; a test's clock does not.
    private let isRealTime: Bool
    private let state = Mutex(State())

    init(
        store: any IdempotencyStore,
        time: TimeSource,
        isRealTime: Bool,
        executor: any TaskExecutor,
        telemetry: Telemetry
    ) {
        self.store = store
        self.time = time
        self.isRealTime = isRealTime
        self.executor = executor
        self.telemetry = telemetry
    }

    /// Keeps a lease alive until it is removed.
    func add(_ lease: Lease) {
        let count = self.state.withLock { state in
            lease.slot.store(state.heap.add(lease, at: lease.nextDate), ordering: .relaxed)
            self.setAlarm(&state)
            return state.heap.count
        }
        self.telemetry.recordRunning(count)
    }

    /// Ends a lease.
    ///
    /// Without an effect the second time.
    func remove(_ lease: Lease) {
        lease.end()
        let slot = lease.slot.exchange(-1, ordering: .relaxed)
        guard slot >= 0 else { return }
        let count = self.state.withLock { state in
            state.heap.remove(slot)
            return state.heap.count
        }
        self.telemetry.recordRunning(count)
    }

    /// Takes note that something else is due for a lease now.
    func update(_ lease: Lease) {
        self.state.withLock { state in
            let slot = lease.slot.load(ordering: .relaxed)
            guard slot >= 0 else { return }
            state.heap.move(slot, to: lease.nextDate)
            self.setAlarm(&state)
        }
    }

    /// How many leases are kept alive.
    var count: Int { self.state.withLock { $0.heap.count } }

    // MARK: The alarm

    private func setAlarm(_ state: inout State) {
        guard let date = state.heap.firstDate else { return }
        if let alarm = state.alarm, alarm.date <= date { return }
        state.alarm?.cancel()
        state.alarmCount += 1
        let number = state.alarmCount
        state.alarm = (date, number, self.alarm(number, at: date))
    }

    private func alarm(_ number: Int, at date: Timestamp) -> @Sendable () -> Void {
        guard self.isRealTime, let queue = self.executor as? DispatchQueueExecutor else {
            // It serves many requests, so that it must not carry the trace and the logger of one.
            let task = Task.detached(executorPreference: self.executor) { [weak self, time] in
                guard (try? await time.sleep(for: max(.zero, time.now.duration(to: date)))) != nil else { return }
                self?.alarmRang(number)
            }
            return { task.cancel() }
        }
        queue.run(after: max(.zero, self.time.now.duration(to: date))) { [weak self] in self?.alarmRang(number) }
        // A stale alarm is harmless.
        return {}
    }

    private func alarmRang(_ number: Int) {
        let now = self.time.now
        let due = self.state.withLock { state in
            if state.alarm?.number == number { state.alarm = nil }
            var due: [(Lease, Lease.Due)] = []
            while let (slot, lease) = state.heap.firstDue(now: now) {
                due.append((lease, lease.takeDue(now: now)))
                state.heap.move(slot, to: lease.nextDate)
            }
            self.setAlarm(&state)
            return due
        }
        for (lease, event) in due {
            withLogger(lease.logger) { _ in event.action?() }
            guard event.isRenewal else { continue }
            Task.detached(executorPreference: self.executor) {
                await withLogger(lease.logger) { _ in await self.renew(lease) }
            }
        }
    }

    // MARK: Renewing

    private func renew(_ lease: Lease) async {
        let requestedAt = self.time.now
        do {
            let isHeld = try await self.telemetry.storeCall(.renew) {
                try await self.store.renew(lease.claim, lease: lease.duration)
            }
            if isHeld {
                lease.renewalSucceeded(requestedAt: requestedAt)
                self.telemetry.leaseRenewed()
            } else if lease.isRunning, try await self.claimAgain(lease) {
                lease.renewalSucceeded(requestedAt: requestedAt)
            } else if lease.renewalRefused(now: self.time.now) {
                self.telemetry.leaseLost(lease.claim)
            }
        } catch {
            lease.renewalFailed(now: self.time.now)
        }
        self.update(lease)
    }

    /// Claims a key once more whose record the store may have lost.
    ///
    /// - Returns: Whether no other attempt has had the key, so that this one can go on.
    private func claimAgain(_ lease: Lease) async throws -> Bool {
        guard let grant = try await self.store.grantAgain(lease.request, self.telemetry) else { return false }
        let isOurs = grant.continues(lease.claim)
        // The operation may have ended, and freed its key, before the claim arrived.
        if isOurs, !lease.hasEnded { return true }
        _ = try await self.store.free(Claim(granting: lease.request, grant), self.telemetry)
        return isOurs
    }
}

extension IdempotencyStore {
    /// Claims a key once more with the token of an attempt that the store does not know, or has replaced.
    ///
    /// The store may have restarted without its last writes, or the record has expired while it could not be reached.
    ///
    /// - Returns: `nil` if another attempt has the key, or its operation has ended.
    func grantAgain(_ request: ClaimRequest, _ telemetry: Telemetry) async throws -> ClaimGrant? {
        let result = try await telemetry.storeCall(.claim) {
            try await self.claim(request).map { ClaimGrant(attempt: $0.attempt, unknownAttempt: $0.unknownAttempt) }
        }
        guard case .granted(let grant) = result else { return nil }
        return grant
    }
}

extension ClaimGrant {
    /// Whether no other attempt can have had the key since `claim` was granted.
    fileprivate func continues(_ claim: borrowing Claim) -> Bool {
        // Where there is no record, attempts count from 1.
        if self.unknownAttempt == nil, self.attempt == 1 { return true }
        return self.attempt == claim.attempt && self.unknownAttempt == claim.unknownAttempt
    }
}

/// Runs tasks on a queue of its own.
final class DispatchQueueExecutor: TaskExecutor {
    /// One for all instances, and for good: a task does not keep its executor alive.
    static let leases = DispatchQueueExecutor(label: "idemptx.leases")

    private let queue: DispatchQueue

    private init(label: String) {
        self.queue = DispatchQueue(label: label, qos: .userInitiated)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        self.queue.async {
            unsafe job.runSynchronously(on: self.asUnownedTaskExecutor())
        }
    }

    func run(after pause: Duration, _ action: @escaping @Sendable () -> Void) {
        let milliseconds = Int(clamping: min(pause.wholeMilliseconds, 3_600_000))
        self.queue.asyncAfter(deadline: .now() + .milliseconds(milliseconds), execute: action)
    }
}
