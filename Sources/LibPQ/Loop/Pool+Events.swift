import Logging

/// What happens to calls and connections from outside.
extension Pool {
    /// An attempt to connect has ended.
    func connected(_ result: Result<PQConnection, PostgresError>, now: ContinuousClock.Instant) {
        switch result {
        case .success(let connection):
            self.cycle.succeeded()
            self.sessions.append(Session(connection, now: now))
            self.note(now + self.configuration.idleTimeout)
            self.configuration.logger.debug("Connected", metadata: ["postgres.connections": "\(self.sessions.count)"])
        case .failure(let error):
            self.cycle.failed(error, now: now)
            self.configuration.logger.debug(
                "Could not connect",
                metadata: ["postgres.reason": "\(error)", "postgres.failures": "\(self.cycle.failures)"])
            if self.sessions.isEmpty, let error = self.cycle.lastingFailure { self.failWaiting(error) { _ in true } }
        }
    }

    /// Something has happened to the socket of a connection.
    func ready(_ session: Session, now: ContinuousClock.Instant) {
        for entry in session.receive(now: now) { self.finished(entry, session) }
        if session.entries.isEmpty { self.note(now + self.configuration.idleTimeout) }
    }

    /// Fails the calls of connections that are of no use any more.
    ///
    /// - Returns: Whether there were any.
    @discardableResult
    func dropLost() -> Bool {
        let lost = self.sessions.filter { $0.end != nil }
        for session in lost { self.drop(session) }
        return !lost.isEmpty
    }

    /// The caller waits no more.
    func cancel(_ ticket: Ticket) {
        self.failWaiting(.cancelled(mayHaveHappened: false)) { $0.ticket === ticket }
        for session in self.sessions {
            for entry in session.entries where entry.ticket === ticket {
                self.abandon(entry, on: session, .cancelled(mayHaveHappened: entry.mayHaveHappened))
            }
        }
    }

    /// The transaction is not going to be committed: rolls it back.
    func release(_ lease: ConnectionLease, now: ContinuousClock.Instant) {
        let id = ObjectIdentifier(lease)
        switch self.leases[id] {
        case .active(let session): self.rollBack(session, now)
        case .waiting(let entries):
            self.waitingLeases.removeAll { $0 === lease }
            self.leases[id] = nil
            for entry in entries { entry.fail(.cancelled(mayHaveHappened: false)) }
        case .lost, nil: self.leases[id] = nil
        }
    }

    /// Ends what is overdue: waiting calls, sent statements, and idle connections.
    func expire(now: ContinuousClock.Instant) {
        // Whoever waited for a server that is away is told so.
        let failure = self.sessions.isEmpty ? self.cycle.lastFailure : nil
        self.failWaiting(failure ?? .timedOut(mayHaveHappened: false)) { $0.deadline <= now }
        for session in self.sessions {
            for entry in session.entries where entry.deadline <= now && !entry.isAbandoned {
                self.abandon(entry, on: session, .timedOut(mayHaveHappened: entry.mayHaveHappened))
            }
            switch session.overdue(now: now, grace: self.configuration.cancelGrace) {
            case .nothing: break
            case .cancel: session.requestCancel()
            case .close: session.lose("The server has not replied in time.")
            }
        }
        self.dropLost()
        self.dropIdle(now)
        self.wakeAt = self.nextDeadline
    }

    private var nextDeadline: ContinuousClock.Instant? {
        var deadlines = self.sessions.compactMap { $0.nextDeadline(grace: self.configuration.cancelGrace) }
        if let first = self.pending.deadlines.min() { deadlines.append(first) }
        for case .waiting(let entries) in self.leases.values { deadlines += entries.map(\.deadline) }
        if self.sessions.count > 1 {
            let idle = self.sessions.filter { $0.entries.isEmpty && $0.lease == nil }
            deadlines += idle.map { $0.idleSince + self.configuration.idleTimeout }
        }
        return deadlines.min()
    }

    /// When the next attempt to connect is due, if somebody waits for it.
    var nextAttempt: ContinuousClock.Instant? {
        if self.cycle.isConnecting || self.pending.isEmpty && self.waitingLeases.isEmpty { return nil }
        return self.cycle.nextAttempt
    }

    /// Fails everything, and closes all connections.
    func closeAll() {
        self.failWaiting(.closed) { _ in true }
        for session in self.sessions { session.lose("The client was closed.") }
        self.dropLost()
    }

    private func finished(_ entry: Entry, _ session: Session) {
        switch entry.role {
        case .alone: break
        case .commit, .rollback: self.returnLeased(session, isIdle: entry.leavesIdle)
        case .inTransaction:
            if entry.results.count < entry.prefix, let error = entry.error {
                // The transaction has not begun.
                entry.fail(.server(error))
                return self.giveUp(session, .server(error))
            }
            if let isCommitted = entry.endOfTransaction {
                let error = PostgresError.transactionEnded(committed: isCommitted)
                entry.fail(error)
                for other in session.entries { other.fail(error) }
                return self.giveUp(session, error)
            }
        }
        entry.concludeWithReplies()
    }

    private func returnLeased(_ session: Session, isIdle: Bool) {
        if let lease = session.lease { self.leases[ObjectIdentifier(lease)] = nil }
        session.use = .shared
        // If it is not known in which state the session is, nobody else shall have it.
        if !isIdle { session.lose("A transaction did not end.") }
    }

    private func rollBack(_ session: Session, _ now: ContinuousClock.Instant) {
        // A commit that is under way ends the transaction by itself.
        if session.entries.contains(where: { $0.role == .commit }) { return }
        guard session.entries.isEmpty else {
            session.requestCancel()
            if let lease = session.lease { self.leases[ObjectIdentifier(lease)] = nil }
            session.use = .shared
            return session.lose("The transaction was given up.")
        }
        let deadline = now + self.configuration.statementTimeout
        self.note(deadline)
        session.send(Entry([EncodedStatement(own: "ROLLBACK")], role: .rollback, deadline: deadline) { _ in }, now: now)
    }

    /// Lets the caller go, whose call goes on at the server unless it belongs to a transaction.
    private func abandon(_ entry: Entry, on session: Session, _ error: PostgresError) {
        entry.fail(error)
        guard entry.role == .inTransaction else { return }
        session.requestCancel()
        self.giveUp(session, .unavailable("The transaction was rolled back, since one of its statements was given up."))
    }

    /// Sees to it that a transaction is not committed.
    func lose(_ lease: ConnectionLease, _ error: PostgresError) {
        let id = ObjectIdentifier(lease)
        switch self.leases[id] {
        case .active(let session): self.giveUp(session, error)
        case .waiting(let entries):
            self.waitingLeases.removeAll { $0 === lease }
            for entry in entries { entry.fail(error) }
            self.leases[id] = .lost(error)
        case .lost: break
        case nil: self.leases[id] = .lost(error)
        }
    }

    /// Closes the connection of a transaction, whose further calls fail.
    private func giveUp(_ session: Session, _ error: PostgresError) {
        if let lease = session.lease { self.leases[ObjectIdentifier(lease)] = .lost(error) }
        session.use = .shared
        session.lose("The transaction was given up.")
    }

    private func drop(_ session: Session) {
        let sentence = session.end ?? ""
        self.sessions.removeAll { $0 === session }
        self.configuration.logger.debug("Connection ended", metadata: ["postgres.reason": "\(sentence)"])
        for entry in session.entries { entry.lose(sentence) }
        guard let lease = session.lease else { return }
        let id = ObjectIdentifier(lease)
        // Whoever committed or rolled back asks no more.
        let isOver = session.entries.contains { $0.role == .commit || $0.role == .rollback }
        self.leases[id] =
            isOver ? nil : .lost(.unavailable("The connection was lost, and the transaction with it: \(sentence)"))
    }

    private func dropIdle(_ now: ContinuousClock.Instant) {
        let idle = self.sessions.filter { session in
            session.entries.isEmpty && session.lease == nil && now - session.idleSince >= self.configuration.idleTimeout
        }
        let surplus = idle.count == self.sessions.count ? Array(idle.dropFirst()) : idle
        self.sessions.removeAll { session in surplus.contains { $0 === session } }
    }

    private func failWaiting(_ error: PostgresError, _ condition: (Entry) -> Bool) {
        for entry in self.pending.removeAll(where: condition) { entry.fail(error) }
        for lease in self.waitingLeases {
            guard case .waiting(let entries) = self.leases[ObjectIdentifier(lease)], entries.contains(where: condition)
            else { continue }
            self.lose(lease, error)
        }
    }
}

extension Entry {
    /// Whether a statement has ended the transaction that it was in, and if so, whether by committing it.
    fileprivate var endOfTransaction: Bool? {
        let commands = self.results.map(\.command)
        if commands.contains("COMMIT") || commands.contains("PREPARE TRANSACTION") { return true }
        guard self.leavesIdle else { return nil }
        return !commands.contains("ROLLBACK")
    }
}
