import Synchronization

/// A call on its way through the loop: statements that are sent and committed together.
final class Entry {
    /// What the statements mean, which decides what is known when their replies are lost.
    enum Role {
        /// They are committed at their end.
        case alone
        /// They belong to a transaction that is still open after them.
        case inTransaction
        /// They commit a transaction.
        case commit
        /// They roll a transaction back.
        case rollback
    }

    typealias Outcome = Result<[PostgresResult], PostgresError>

    let statements: [EncodedStatement]
    let role: Role
    let deadline: ContinuousClock.Instant
    /// Whether it goes ahead of others that wait for a connection.
    let goesFirst: Bool
    let ticket: Ticket?
    let lease: ConnectionLease?
    /// How many statements at the start are not the caller's.
    let prefix: Int
    var results: [PostgresResult] = []
    var error: PostgresServerError?
    /// Whether no transaction was open at the end; set with the last reply.
    var leavesIdle = false
    private var completion: ((Outcome) -> Void)?

    init(
        _ statements: [EncodedStatement], role: Role, deadline: ContinuousClock.Instant, goesFirst: Bool = false,
        ticket: Ticket? = nil, lease: ConnectionLease? = nil, prefix: Int = 0, completion: @escaping (Outcome) -> Void
    ) {
        self.statements = statements
        self.role = role
        self.deadline = deadline
        self.goesFirst = goesFirst
        self.ticket = ticket
        self.lease = lease
        self.prefix = prefix
        self.completion = completion
    }

    convenience init(_ submission: Submission) {
        self.init(
            submission.statements, role: submission.role, deadline: submission.deadline,
            goesFirst: submission.goesFirst, ticket: submission.ticket, lease: submission.lease,
            completion: { submission.continuation.resume(returning: $0) })
    }

    /// How much memory it takes, roughly.
    var size: Int { self.statements.reduce(256) { $0 + $1.size } }

    /// Whether nobody waits any more; its replies are still to come if it was sent.
    var isAbandoned: Bool { self.completion == nil }

    /// Whether it ends with a commit, which may wait for a standby: cancelling that wait would only make it visible early.
    var commits: Bool { self.role == .alone || self.role == .commit }

    /// The same call with a statement before its own.
    func preceded(by statement: EncodedStatement) -> Entry {
        let completion = self.completion
        self.completion = nil
        return Entry(
            [statement] + self.statements, role: self.role, deadline: self.deadline, goesFirst: self.goesFirst,
            ticket: self.ticket, lease: self.lease, prefix: self.prefix + 1, completion: completion ?? { _ in })
    }

    /// Tells the caller, who waits for it no more.
    func conclude(_ outcome: Outcome) {
        let completion = self.completion
        self.completion = nil
        completion?(outcome)
    }

    /// Tells the caller that it failed.
    func fail(_ error: PostgresError) {
        self.conclude(.failure(error))
    }

    /// Tells the caller what the server has replied.
    func concludeWithReplies() {
        if let error = self.error { return self.fail(.server(error)) }
        self.conclude(.success(Array(self.results.dropFirst(self.prefix))))
    }

    /// Whether the statements can have happened, once they were sent.
    var mayHaveHappened: Bool { self.role != .inTransaction }

    /// Tells the caller that the connection was lost after it was sent.
    func lose(_ sentence: String) {
        if self.mayHaveHappened { return self.fail(.replyLost(sentence)) }
        self.fail(.unavailable("The connection was lost, and the transaction with it: \(sentence)"))
    }
}

/// A caller, who may leave before the loop knows of the call.
final class Ticket: Sendable {
    private let flag = Atomic(false)

    var isCancelled: Bool { self.flag.load(ordering: .acquiring) }

    func cancel() {
        self.flag.store(true, ordering: .releasing)
    }
}

/// A transaction's claim to a connection, from its first statement on.
final class ConnectionLease: Sendable {
    /// What its first statement is preceded by.
    let begin: EncodedStatement

    init(begin: EncodedStatement) {
        self.begin = begin
    }
}

/// A call, before it is on the loop's thread.
struct Submission: Sendable {
    let statements: [EncodedStatement]
    let role: Entry.Role
    let deadline: ContinuousClock.Instant
    let goesFirst: Bool
    let ticket: Ticket
    let lease: ConnectionLease?
    let continuation: CheckedContinuation<Entry.Outcome, Never>
}
