/// A connection, and the calls whose replies it owes.
final class Session {
    /// What it is for.
    enum Use {
        /// All callers share it.
        case shared
        /// It takes no more calls, since a transaction waits for it to have no others.
        case reserved
        /// A transaction has it for itself.
        case leased(ConnectionLease)
    }

    /// The SQLSTATE `read_only_sql_transaction`.
    private static let readOnlyState = "25006"
    /// A younger session has the server's current settings, so that replacing it would not help.
    private static let settlingTime = Duration.seconds(1)

    let connection: PQConnection
    var use = Use.shared
    /// The calls, the oldest first; without a pipeline, all but the first wait.
    private(set) var entries: [Entry] = []
    /// Since when the first call is the first.
    private(set) var headSince: ContinuousClock.Instant
    /// Since when there is no call, if there is none.
    var idleSince: ContinuousClock.Instant { self.headSince }
    /// When the server last said something.
    private(set) var lastReceived: ContinuousClock.Instant
    /// Why it is of no use any more.
    private(set) var end: String?
    /// Whether it takes no more calls and is closed behind the last one.
    private(set) var isOutdated = false
    private let openedAt: ContinuousClock.Instant
    private var hasAskedToCancel = false
    private var needsFlush = false
    private var statementsSentOfHead = 0
    private var endsInARow = 0

    init(_ connection: PQConnection, now: ContinuousClock.Instant) {
        self.connection = connection
        self.openedAt = now
        self.headSince = now
        self.lastReceived = now
    }

    var lease: ConnectionLease? { if case .leased(let lease) = self.use { lease } else { nil } }

    /// Whether bytes that are due may have been read from the socket already, which therefore does not show them.
    ///
    /// libpq reads less than a record of TLS can have, and does not say what is left.
    var mayHideInput: Bool { self.connection.usesTLS && !self.entries.isEmpty }

    /// Sends a call, behind those that are under way.
    func send(_ entry: Entry, now: ContinuousClock.Instant) {
        self.entries.append(entry)
        if self.entries.count == 1 { self.headChanged(now) }
        guard self.connection.isPipelined else {
            if self.entries.count == 1 { self.sendNextOfHead() }
            return
        }
        let isTaken = entry.statements.allSatisfy { self.connection.send($0) } && self.connection.sync()
        self.needsFlush = true
        if !isTaken { self.lose(self.connection.errorSentence) }
    }

    /// Gives the socket what has been sent.
    func flush() {
        guard self.needsFlush || self.connection.hasUnsentOutput, self.end == nil else { return }
        self.needsFlush = false
        if !self.connection.flush() { self.lose(self.connection.errorSentence) }
    }

    /// Takes what the server has said.
    ///
    /// - Returns: The calls that have all their replies.
    func receive(now: ContinuousClock.Instant) -> [Entry] {
        var finished: [Entry] = []
        self.lastReceived = now
        let isAlive = self.connection.consume()
        while self.end == nil, let head = self.entries.first, let reply = self.connection.nextReply() {
            if case .endOfStatement = reply { self.endsInARow += 1 } else { self.endsInARow = 0 }
            switch reply {
            case .result(let result): head.results.append(result)
            case .error(let error): head.error = head.error ?? error
            case .skipped: break
            case .lost(let sentence): self.lose(sentence)
            case .endOfStatement: if self.statementEnded() { finished.append(self.finishHead(now)) }
            case .sync: finished.append(self.finishHead(now))
            }
        }
        if !isAlive { self.lose(self.connection.errorSentence) }
        return finished
    }

    /// Asks the server to cancel the first call, once.
    func requestCancel() {
        guard !self.hasAskedToCancel else { return }
        self.hasAskedToCancel = true
        self.connection.requestCancel()
    }

    /// Gives up the connection.
    func lose(_ sentence: String) {
        if self.end == nil { self.end = sentence }
    }

    /// What is to be done about a first call that nobody waits for any more.
    enum Overdue {
        case nothing
        case cancel
        case close
    }

    /// Whether the server takes too long with a call that nobody waits for any more, and keeps those behind it from their
    /// turn.
    func overdue(now: ContinuousClock.Instant, grace: Duration) -> Overdue {
        guard let head = self.entries.first, head.isAbandoned else { return .nothing }
        let due = max(head.deadline, self.headSince) + grace
        if now >= due + grace { return .close }
        return now >= due && !self.hasAskedToCancel && !head.commits ? .cancel : .nothing
    }

    /// When to look at it again.
    func nextDeadline(grace: Duration) -> ContinuousClock.Instant? {
        let waiting = self.entries.lazy.filter { !$0.isAbandoned }.map(\.deadline).min()
        guard let head = self.entries.first, head.isAbandoned else { return waiting }
        let due = max(head.deadline, self.headSince) + grace
        let next = self.hasAskedToCancel || head.commits ? due + grace : due
        return waiting.map { min($0, next) } ?? next
    }

    private func headChanged(_ now: ContinuousClock.Instant) {
        self.headSince = now
        self.hasAskedToCancel = false
        self.statementsSentOfHead = 0
    }

    private func finishHead(_ now: ContinuousClock.Instant) -> Entry {
        let head = self.entries.removeFirst()
        head.leavesIdle = self.connection.isIdle
        self.headChanged(now)
        // A session keeps the settings that it began with: a new one may be allowed to write.
        if head.role == .alone, head.error?.sqlState == Self.readOnlyState, now - self.openedAt >= Self.settlingTime {
            self.isOutdated = true
        }
        if self.isOutdated, self.entries.isEmpty {
            self.lose("The session was read-only.")
            return head
        }
        if !self.connection.isPipelined { self.sendNextOfHead() }
        return head
    }

    private func sendNextOfHead() {
        guard let head = self.entries.first else { return }
        let statement = head.statements[self.statementsSentOfHead]
        self.statementsSentOfHead += 1
        self.needsFlush = true
        if !self.connection.send(statement) { self.lose(self.connection.errorSentence) }
    }

    /// - Returns: Whether the first call has all its replies.
    private func statementEnded() -> Bool {
        if self.connection.isPipelined {
            // Behind the end of a statement comes another reply, or libpq counts differently than this client.
            if self.endsInARow > 1 { self.lose("There is a reply less than was expected.") }
            return false
        }
        guard let head = self.entries.first else { return false }
        if head.error != nil || self.statementsSentOfHead == head.statements.count { return true }
        self.sendNextOfHead()
        return false
    }
}
