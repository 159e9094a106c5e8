import Logging
import Synchronization

/// Where requests wait for another with the same key to end.
///
/// All that wait for one ``ClaimSubject`` form a group. A group has one subscription and one poll: a claim on
/// behalf of the request that has waited longest. If it is granted, because the running attempt released the key or its
/// outcome is unknown, that request runs and the others keep waiting. Any final result is for all of them.
final class InFlightWaiters: Sendable {
    /// One request's wish to wait.
    struct Wait: Sendable {
        let request: ClaimRequest
        let timeout: Duration
        /// The remaining lease of the running attempt, as far as it is known.
        let remainingLease: Duration
        let logger = Logger.current
    }

    struct Limits: Sendable {
        let perKey: Int
        let total: Int
    }

    /// How a group claims, and what it does with a claim that no request waits for any more.
    struct Claimer: Sendable {
        let claim: @Sendable (ClaimRequest) async throws -> ClaimResult<Lease>
        let release: @Sendable (Lease) async -> Void
    }

    private let store: any IdempotencyStore
    private let time: TimeSource
    private let telemetry: Telemetry
    private let groups = Mutex(WaitingGroups())

    init(store: any IdempotencyStore, time: TimeSource, telemetry: Telemetry) {
        self.store = store
        self.time = time
        self.telemetry = telemetry
    }

    /// Waits until the operation has an outcome, or the caller may run it, or its time is over.
    ///
    /// - Returns: ``ClaimResult/inProgress(remainingLease:)`` if the time is over, or too many wait already.
    func wait(for wait: Wait, limits: Limits, claimer: Claimer) async throws -> ClaimResult<Lease> {
        try await self.telemetry.waited {
            let id = self.groups.withLock { $0.makeID() }
            return try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let deadline = self.time.now.advanced(by: wait.timeout)
                    self.enter(
                        WaitingGroups.Waiter(id: id, wait: wait, deadline: deadline, continuation: continuation),
                        limits: limits, claimer: claimer)
                    // The handler below has already run if the task was cancelled before it came here.
                    if Task.isCancelled { self.leave(id, wait.request) }
                }
            } onCancel: {
                self.leave(id, wait.request)
            }
        }
    }

    /// Lets the groups that wait for `key` ask the store now.
    func hint(_ key: StorageKey) {
        for pace in self.groups.withLock({ $0.paces(of: key) }) { pace.hint() }
    }

    private func enter(_ waiter: WaitingGroups.Waiter, limits: Limits, claimer: Claimer) {
        let entry = self.groups.withLock { $0.enter(waiter, limits: limits) }
        switch entry {
        case .refused:
            waiter.continuation.resume(returning: .inProgress(remainingLease: waiter.wait.remainingLease))
        case .joined: break
        case .formedGroup(let pace):
            // The group serves many requests, so that it belongs to the task of none of them, nor carries the trace and
            // the logger of the first. It ends with its last.
            Task.detached { await self.serve(ClaimSubject(waiter.wait.request), pace: pace, claimer: claimer) }
        }
        self.reportCount()
    }

    private func leave(_ id: UInt64, _ request: ClaimRequest) {
        let waiter = self.groups.withLock { $0.leave(id, ClaimSubject(request)) }
        waiter?.continuation.resume(throwing: CancellationError())
        self.reportCount()
    }

    private func reportCount() {
        self.telemetry.recordWaiting(self.groups.withLock { $0.count })
    }

    // MARK: Serving a group

    private func serve(_ subject: ClaimSubject, pace: PollPace, claimer: Claimer) async {
        await withDiscardingTaskGroup { tasks in
            // Subscribed before the first poll: a change between the two must not be missed.
            let changes = self.store.changes(of: subject.key)
            tasks.addTask { for await _ in changes { pace.hint() } }
            while let round = self.nextRound(of: subject) {
                if pace.beginPoll(now: self.time.now) {
                    // Beside the loop, which sends away those whose time is over while a store does not reply.
                    tasks.addTask {
                        await withLogger(round.logger) { _ in
                            await self.poll(round.request, for: subject, claimer: claimer)
                        }
                        pace.endPoll(now: self.time.now)
                    }
                }
                await pace.wait(until: round.firstDeadline, time: self.time)
            }
            tasks.cancelAll()
        }
    }

    /// Ends the waits whose timeout is over.
    ///
    /// `nil` if no request is left; the group is gone then.
    private func nextRound(of subject: ClaimSubject) -> WaitingGroups.Round? {
        let now = self.time.now
        let (overdue, round) = self.groups.withLock { $0.nextRound(of: subject, now: now) }
        for waiter in overdue {
            waiter.continuation.resume(returning: .inProgress(remainingLease: waiter.wait.remainingLease))
        }
        self.reportCount()
        return round
    }

    /// Claims once for the whole group.
    private func poll(_ request: ClaimRequest, for subject: ClaimSubject, claimer: Claimer) async {
        var request = request
        // A token of its own: the one before may be about to be released.
        request.owner = OwnerToken()
        do {
            switch try await claimer.claim(request) {
            case .inProgress: break
            case .granted(let lease): await self.handOver(lease, to: subject, claimer: claimer)
            case let final: self.dismissAll(of: subject) { $0.resume(returning: final) }
            }
        } catch let error as StoreError where error.isTransient {
            // No result: the attempt that they wait for may still be running.
        } catch {
            self.dismissAll(of: subject) { $0.resume(throwing: error) }
        }
    }

    private func handOver(_ lease: Lease, to subject: ClaimSubject, claimer: Claimer) async {
        if let first = self.groups.withLock({ $0.dismissFirst(of: subject) }) {
            self.reportCount()
            first.continuation.resume(returning: .granted(lease))
        } else {
            await claimer.release(lease)
        }
    }

    private func dismissAll(
        of subject: ClaimSubject,
        _ resume: (CheckedContinuation<ClaimResult<Lease>, any Error>) -> Void
    ) {
        let waiters = self.groups.withLock { $0.dismissAll(of: subject) }
        self.reportCount()
        for waiter in waiters { resume(waiter.continuation) }
    }
}
