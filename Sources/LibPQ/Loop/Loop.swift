import Foundation

/// What runs on the one thread of a client: waits for sockets, calls and deadlines, and does what is due.
final class Loop {
    /// How often to look, in milliseconds, for input that sockets do not show.
    private static let hiddenInputInterval: UInt32 = 10

    private let inbox: Inbox
    private let configuration: PostgresConfiguration
    private let pq: PQFunctions
    private let isPipelined: Bool
    private let pool: Pool
    private let hub: ListenHub
    private var closers: [CheckedContinuation<Void, Never>] = []
    private var closingDeadline: ContinuousClock.Instant?
    private var isFinished = false

    /// Starts the thread, which ends after ``LoopEvent/close(_:)`` or ``LoopEvent/abandon``.
    static func start(_ inbox: Inbox, _ configuration: PostgresConfiguration, _ connector: Connector) {
        // The loop is made on the thread and never leaves it.
        let thread = Thread { Loop(inbox, configuration, connector).run() }
        thread.name = "libpq"
        thread.start()
    }

    private init(_ inbox: Inbox, _ configuration: PostgresConfiguration, _ connector: Connector) {
        self.inbox = inbox
        self.configuration = configuration
        self.pq = connector.pq
        self.isPipelined = connector.usesPipelines && connector.pq.pipeline != nil
        func connect(isListener: Bool) {
            connector.connect { _ = inbox.post(.connected($0, isListener: isListener)) }
        }
        self.pool = Pool(configuration) { connect(isListener: false) }
        self.hub = ListenHub(configuration) { connect(isListener: true) }
    }

    private func run() {
        while !self.isFinished { self.turn() }
        for event in self.inbox.close() { self.refuse(event) }
    }

    private func turn() {
        let sessions = self.pool.sessions + [self.hub.session].compactMap(\.self)
        let ready = self.wait(for: sessions)
        let now = ContinuousClock.now
        // What the server has said comes first: nothing shall be sent on a connection that is known to be gone.
        for (session, isReady) in zip(sessions, ready.dropFirst()) where isReady {
            if session === self.hub.session { self.hub.ready(now: now) } else { self.pool.ready(session, now: now) }
        }
        if ready.first == true { for event in self.inbox.take() { self.handle(event, now) } }
        if let wakeAt = self.pool.wakeAt, wakeAt <= now { self.pool.expire(now: now) }
        self.pool.work(now: now)
        self.hub.work(now: now)
        if let deadline = self.closingDeadline, self.pool.isDone || deadline <= now { self.finish() }
    }

    private var nextDeadline: ContinuousClock.Instant? {
        [self.pool.wakeAt, self.pool.nextAttempt, self.hub.nextDeadline, self.closingDeadline].compactMap(\.self).min()
    }

    private func handle(_ event: LoopEvent, _ now: ContinuousClock.Instant) {
        switch event {
        case .submit(let submission): self.pool.submit(Entry(submission), now: now)
        case .cancel(let ticket): self.pool.cancel(ticket)
        case .release(let lease): self.pool.release(lease, now: now)
        case .connected(let result, isListener: true): self.hub.connected(self.adopt(result), now: now)
        case .connected(let result, isListener: false): self.pool.connected(self.adopt(result), now: now)
        case .listen(let listener): self.hub.add(listener, now: now)
        case .unlisten(let id): self.hub.remove(id, now: now)
        case .close(let closer):
            self.closers.append(closer)
            self.pool.isClosing = true
            self.closingDeadline = self.closingDeadline ?? now + self.configuration.statementTimeout
        case .abandon: self.finish()
        }
    }

    private func adopt(_ result: Result<OpenedConnection, PostgresError>) -> Result<PQConnection, PostgresError> {
        result.flatMap { opened in
            guard let connection = PQConnection(opened, self.pq, isPipelined: self.isPipelined) else {
                return .failure(.unavailable("The connection is already in use."))
            }
            return .success(connection)
        }
    }

    private func finish() {
        self.isFinished = true
        self.pool.closeAll()
        self.hub.close()
        for closer in self.closers { closer.resume() }
        self.closers = []
    }

    private func refuse(_ event: LoopEvent) {
        switch event {
        case .submit(let submission): submission.continuation.resume(returning: .failure(.closed))
        case .listen(let listener): listener.continuation.finish()
        case .close(let closer): closer.resume()
        case .cancel, .release, .connected, .unlisten, .abandon: break
        }
    }

    /// Waits until something is ready or the time has come.
    ///
    /// - Returns: Whether there are events, and then for each session whether there is something to receive.
    private func wait(for sessions: [Session]) -> [Bool] {
        var entries = [pollfd(fd: self.inbox.readEnd, events: Int16(POLLIN), revents: 0)]
        for session in sessions {
            let events = POLLIN | (session.connection.hasUnsentOutput ? POLLOUT : 0)
            entries.append(pollfd(fd: session.connection.socket, events: Int16(events), revents: 0))
        }
        let hidesInput = sessions.contains(where: \.mayHideInput)
        let timeout = Self.milliseconds(until: self.nextDeadline)
        let limited =
            hidesInput ? min(UInt32(bitPattern: timeout), Self.hiddenInputInterval) : UInt32(bitPattern: timeout)
        _ = unsafe poll(&entries, nfds_t(entries.count), Int32(bitPattern: limited))
        return [entries[0].revents != 0]
            + zip(sessions, entries.dropFirst()).map { $0.mayHideInput || $1.revents != 0 }
    }

    private static func milliseconds(until deadline: ContinuousClock.Instant?) -> Int32 {
        guard let deadline else { return -1 }
        let (seconds, attoseconds) = (deadline - .now).components
        if seconds < 0 || attoseconds < 0 { return 0 }
        // Rounded up, so that the deadline has passed when it is looked at.
        return Int32(min(seconds, 60)) * 1000 + Int32(attoseconds / 1_000_000_000_000_000) + 1
    }
}
