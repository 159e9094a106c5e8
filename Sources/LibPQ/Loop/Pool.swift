import Logging

/// The connections, the calls that wait for one, and the transactions.
final class Pool {
    /// Where a transaction is.
    enum LeaseState {
        /// Its first calls wait for a connection.
        case waiting([Entry])
        case active(Session)
        /// It cannot be committed any more.
        case lost(PostgresError)
    }

    let configuration: PostgresConfiguration
    let connect: () -> Void
    var sessions: [Session] = []
    var pending: PendingQueue
    var leases: [ObjectIdentifier: LeaseState] = [:]
    var waitingLeases: [ConnectionLease] = []
    /// Whether only transactions that have begun may go on.
    var isClosing = false
    var cycle: ConnectCycle
    /// When to call ``expire(now:)`` at the latest; it may be earlier than need be.
    var wakeAt: ContinuousClock.Instant?
    /// Whether a call has failed at once, so that somebody has to find out whether the server is back.
    private var wantsProbe = false

    /// - Parameters:
    ///   - configuration: The limits, and the logger.
    ///   - connect: Begins to make a connection.
    init(_ configuration: PostgresConfiguration, connect: @escaping () -> Void) {
        self.configuration = configuration
        self.connect = connect
        self.pending = PendingQueue(
            maximumCount: configuration.maximumPendingStatements, maximumSize: configuration.maximumPendingBytes)
        self.cycle = ConnectCycle(configuration.backoff, maximumFailures: configuration.maximumConnectFailures)
    }

    private var maximumConnections: Int { max(1, self.configuration.maximumConnections) }
    /// One connection is left to calls that are no transaction.
    private var maximumLeases: Int { max(1, self.maximumConnections - 1) }
    private var canGrow: Bool { self.sessions.count < self.maximumConnections }

    /// Whether nothing is under way.
    var isDone: Bool {
        self.pending.isEmpty && self.leases.isEmpty && self.sessions.allSatisfy(\.entries.isEmpty)
    }

    /// Takes a call.
    func submit(_ entry: Entry, now: ContinuousClock.Instant) {
        if entry.ticket?.isCancelled == true { return self.refuse(entry, .cancelled(mayHaveHappened: false)) }
        if entry.deadline <= now { return self.refuse(entry, .timedOut(mayHaveHappened: false)) }
        self.note(entry.deadline)
        if let lease = entry.lease { return self.submit(entry, to: lease, now: now) }
        if let error = self.refusal() { return entry.fail(error) }
        if !self.pending.append(entry) { entry.fail(.queueFull) }
    }

    private func submit(_ entry: Entry, to lease: ConnectionLease, now: ContinuousClock.Instant) {
        let id = ObjectIdentifier(lease)
        switch self.leases[id] {
        case .lost(let error): entry.fail(error)
        case .active(let session): session.send(entry, now: now)
        case .waiting(let entries): self.leases[id] = .waiting(entries + [entry])
        case nil:
            if let error = self.refusal() { return self.refuse(entry, error) }
            if self.waitingLeases.count >= self.configuration.maximumPendingStatements {
                return self.refuse(entry, .queueFull)
            }
            self.leases[id] = .waiting([entry])
            self.waitingLeases.append(lease)
        }
    }

    /// Fails a call that was not sent, and the transaction that would be incomplete without it.
    private func refuse(_ entry: Entry, _ error: PostgresError) {
        entry.fail(error)
        if entry.role == .inTransaction, let lease = entry.lease { self.lose(lease, error) }
    }

    /// Sees to it that ``expire(now:)`` is called then.
    func note(_ deadline: ContinuousClock.Instant) {
        self.wakeAt = self.wakeAt.map { min($0, deadline) } ?? deadline
    }

    private func refusal() -> PostgresError? {
        if self.isClosing { return .closed }
        guard self.sessions.isEmpty, let error = self.cycle.lastingFailure else { return nil }
        self.wantsProbe = true
        return error
    }

    /// Gives connections to calls, as far as there are any, and makes more if need be.
    func work(now: ContinuousClock.Instant) {
        self.dropLost()
        self.assignLeases(now)
        self.assignPending(now)
        if self.demandsConnection, self.canGrow, self.cycle.begin(now: now) {
            self.wantsProbe = false
            self.connect()
        }
        for session in self.sessions { session.flush() }
        // What waits may need a connection instead of one that was just lost.
        if self.dropLost() { self.work(now: now) }
    }

    private var demandsConnection: Bool {
        if self.wantsProbe || !self.pending.isEmpty { return true }
        if !self.waitingLeases.isEmpty && self.leasedCount < self.maximumLeases { return true }
        // Calls that share a connection while another could be made.
        return self.sessions.contains { $0.entries.count > 1 && $0.lease == nil }
            && !self.sessions.contains { $0.entries.isEmpty && $0.lease == nil }
    }

    private func assignPending(_ now: ContinuousClock.Instant) {
        while !self.pending.isEmpty, let session = self.leastLoaded(now), let entry = self.pending.popFirst() {
            session.send(entry, now: now)
        }
    }

    /// The connection on which a call is replied to soonest, if there is one that takes it.
    private func leastLoaded(_ now: ContinuousClock.Instant) -> Session? {
        let usable = self.sessions.lazy.filter { session in
            guard case .shared = session.use, session.end == nil, !session.isOutdated else { return false }
            if session.entries.isEmpty { return true }
            // A call that is sent behind a slow one could not be told any more that nothing happened.
            return self.sharesConnections && session.connection.isPipelined
                && session.entries.count < self.configuration.maximumPipelineDepth
                && !session.connection.hasUnsentOutput && now - session.headSince < self.configuration.slowThreshold
        }
        return usable.min { $0.entries.count < $1.entries.count }
    }

    /// Whether a call may be sent behind others: not while it could have a connection for itself a moment later.
    private var sharesConnections: Bool { !self.canGrow || self.cycle.failures > 0 }

    private var leasedCount: Int { self.sessions.count { $0.lease != nil } }

    private func assignLeases(_ now: ContinuousClock.Instant) {
        while self.leasedCount < self.maximumLeases, let lease = self.waitingLeases.first,
            let session = self.sessions.first(where: { $0.lease == nil && $0.entries.isEmpty && $0.end == nil })
        {
            self.waitingLeases.removeFirst()
            self.activate(lease, on: session, now)
        }
        self.reserve()
    }

    private func activate(_ lease: ConnectionLease, on session: Session, _ now: ContinuousClock.Instant) {
        let id = ObjectIdentifier(lease)
        guard case .waiting(let entries) = self.leases[id], let first = entries.first else { return }
        session.use = .leased(lease)
        self.leases[id] = .active(session)
        // Together, so that the first statement is skipped if the transaction does not begin.
        session.send(first.preceded(by: lease.begin), now: now)
        for entry in entries.dropFirst() { session.send(entry, now: now) }
    }

    /// Keeps further calls from as many connections as transactions wait for, unless more connections can be made.
    private func reserve() {
        for session in self.sessions { if case .reserved = session.use { session.use = .shared } }
        guard !self.canGrow else { return }
        let count = min(self.waitingLeases.count, self.maximumLeases - self.leasedCount)
        guard count > 0 else { return }
        let candidates = self.sessions.filter { $0.lease == nil }.sorted { $0.entries.count < $1.entries.count }
        for session in candidates.prefix(count) { session.use = .reserved }
    }
}

/// When to try to connect again.
struct ConnectCycle {
    private let backoff: PostgresBackoff
    private let maximumFailures: Int
    private(set) var isConnecting = false
    private(set) var failures = 0
    private(set) var lastFailure: PostgresError?
    /// Not before then.
    private(set) var nextAttempt: ContinuousClock.Instant?

    init(_ backoff: PostgresBackoff, maximumFailures: Int) {
        self.backoff = backoff
        self.maximumFailures = maximumFailures
    }

    /// The last failure, if waiting for the next attempt is not worth it.
    var lastingFailure: PostgresError? {
        switch self.lastFailure {
        case .misconfigured, .settingsRefused: return self.lastFailure
        default: break
        }
        return self.failures >= max(1, self.maximumFailures) ? self.lastFailure : nil
    }

    /// - Returns: Whether to connect now.
    mutating func begin(now: ContinuousClock.Instant) -> Bool {
        guard !self.isConnecting, self.nextAttempt.map({ now >= $0 }) ?? true else { return false }
        self.isConnecting = true
        return true
    }

    /// There is a connection, and it is not known yet whether it is of use.
    mutating func attemptEnded() {
        self.isConnecting = false
    }

    mutating func succeeded() {
        self = ConnectCycle(self.backoff, maximumFailures: self.maximumFailures)
    }

    mutating func failed(_ error: PostgresError, now: ContinuousClock.Instant) {
        self.isConnecting = false
        self.failures += 1
        self.lastFailure = error
        self.nextAttempt = now + self.backoff.pause(after: self.failures)
    }
}
