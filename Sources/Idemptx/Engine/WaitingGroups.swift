import Logging

/// Who waits for what: the table behind a ``InFlightWaiters``.
struct WaitingGroups {
    struct Waiter {
        let id: UInt64
        let wait: InFlightWaiters.Wait
        let deadline: Timestamp
        let continuation: CheckedContinuation<ClaimResult<Lease>, any Error>
    }

    /// One poll of a group.
    struct Round {
        let request: ClaimRequest
        /// That of the request on whose behalf the group asks.
        let logger: Logger
        let firstDeadline: Timestamp
    }

    enum Entry {
        case refused
        case joined
        case formedGroup(PollPace)
    }

    private struct Group {
        /// In the order in which they came.
        var waiters: [Waiter]
        let pace = PollPace()
    }

    private(set) var count = 0
    private var lastID: UInt64 = 0
    private var groups: [StorageKey: [ClaimSubject: Group]] = [:]

    mutating func makeID() -> UInt64 {
        self.lastID += 1
        return self.lastID
    }

    func paces(of key: StorageKey) -> [PollPace] {
        self.groups[key].map { $0.values.map(\.pace) } ?? []
    }

    mutating func enter(_ waiter: Waiter, limits: InFlightWaiters.Limits) -> Entry {
        let subject = ClaimSubject(waiter.wait.request)
        let waitingForKey = self.groups[subject.key]?.values.reduce(0) { $0 + $1.waiters.count } ?? 0
        guard self.count < limits.total, waitingForKey < limits.perKey else { return .refused }
        self.count += 1
        if self[subject] != nil {
            self[subject]?.waiters.append(waiter)
            return .joined
        }
        let group = Group(waiters: [waiter])
        self[subject] = group
        return .formedGroup(group.pace)
    }

    mutating func leave(_ id: UInt64, _ subject: ClaimSubject) -> Waiter? {
        guard let index = self[subject]?.waiters.firstIndex(where: { $0.id == id }) else { return nil }
        self.count -= 1
        // The attempt may have ended just now; the group finds out when it claims.
        self[subject]?.pace.look()
        return self[subject]?.waiters.remove(at: index)
    }

    mutating func nextRound(of subject: ClaimSubject, now: Timestamp) -> (overdue: [Waiter], Round?) {
        let waiters = self[subject]?.waiters ?? []
        let remaining = waiters.filter { now < $0.deadline }
        let overdue = waiters.filter { $0.deadline <= now }
        self.count -= overdue.count
        guard let first = remaining.first, let firstDeadline = remaining.map(\.deadline).min() else {
            self[subject] = nil
            return (overdue, nil)
        }
        self[subject]?.waiters = remaining
        let round = Round(
            request: first.wait.request, logger: first.wait.logger, firstDeadline: firstDeadline)
        return (overdue, round)
    }

    mutating func dismissFirst(of subject: ClaimSubject) -> Waiter? {
        guard self[subject]?.waiters.isEmpty == false else { return nil }
        self.count -= 1
        return self[subject]?.waiters.removeFirst()
    }

    mutating func dismissAll(of subject: ClaimSubject) -> [Waiter] {
        let waiters = self[subject]?.waiters ?? []
        self.count -= waiters.count
        self[subject]?.waiters = []
        return waiters
    }

    private subscript(subject: ClaimSubject) -> Group? {
        get { self.groups[subject.key]?[subject] }
        set {
            self.groups[subject.key, default: [:]][subject] = newValue
            if self.groups[subject.key]?.isEmpty == true { self.groups[subject.key] = nil }
        }
    }
}
