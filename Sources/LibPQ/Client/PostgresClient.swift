/// A PostgreSQL service, through libpq.
///
/// Connections are made as they are needed, shared by all callers, and made again after a loss; a service that was away is
/// used again without a restart. While it is away, statements fail within their deadline, and after some failed attempts
/// to connect, at once.
///
/// ```swift
/// let client = try PostgresClient(PostgresConfiguration("postgres://localhost/orders"))
/// let result = try await client.query("SELECT total FROM orders WHERE id = $1", [7])
/// let total = try result.first?.integer(0)
/// await client.close()
/// ```
///
/// Statements leave no state in a session, so that a pooler such as PgBouncer may be in between in transaction mode; only
/// ``listen(_:)`` needs a session.
package final class PostgresClient: Sendable {
    /// How many bytes PostgreSQL keeps of a name.
    private static let maximumChannelLength = 63

    /// How it behaves.
    package let configuration: PostgresConfiguration
    private let inbox: Inbox

    /// Creates a client, which does not connect before it is used.
    ///
    /// - Throws: ``PostgresError/libraryMissing(_:)``; ``PostgresError/misconfigured(_:)`` if the connection string is
    ///   malformed.
    package init(_ configuration: PostgresConfiguration) throws(PostgresError) {
        let pq = try PQLibrary.load(configuration.libraryPaths)
        let settings = try ConnectionSettings(configuration, pq)
        let connector = Connector(pq: pq, settings: settings, usesPipelines: configuration.usesPipelines)
        self.configuration = configuration
        self.inbox = try Inbox()
        Loop.start(self.inbox, configuration, connector)
    }

    deinit {
        _ = self.inbox.post(.abandon)
    }

    /// Runs one statement, which is committed when this returns.
    ///
    /// The statements of concurrent callers share connections, without sharing their errors. Nothing is sent twice.
    ///
    /// Cancelling the task ends the wait at once. A statement that was sent by then goes on at the server.
    ///
    /// - Parameters:
    ///   - sql: One statement, with `$1`, `$2`, … for parameters. It neither begins nor ends a transaction.
    ///   - parameters: Their values.
    ///   - timeout: How long to wait; ``PostgresConfiguration/statementTimeout`` if `nil`.
    ///   - goesFirst: Whether it goes ahead of others that wait for a connection.
    /// - Returns: The rows, once the server has committed.
    /// - Throws: ``PostgresError``, whose ``PostgresError/mayHaveHappened`` says what is known about the statement.
    @discardableResult
    package func query(
        _ sql: String, _ parameters: [PostgresParameter] = [], timeout: Duration? = nil, goesFirst: Bool = false
    ) async throws(PostgresError) -> PostgresResult {
        try await self.run(EncodedStatement(sql, parameters), .alone, timeout: timeout, goesFirst: goesFirst)
    }

    /// Runs a transaction on a connection of its own: commits when `body` returns, rolls back when it throws.
    ///
    /// The connection is taken, and the transaction begun, together with its first statement. Errors of statements
    /// inside never leave a doubt about what they did, since nothing happened before the commit; only what this function
    /// itself throws may have ``PostgresError/mayHaveHappened``: when the reply to the commit was lost, and when `body`
    /// has committed by a statement of its own.
    ///
    /// A `body` that returns although a statement of it failed at the server is rolled back, and its error is thrown.
    ///
    /// - Parameters:
    ///   - isolation: What the transaction sees of others.
    ///   - timeout: How long each of its statements, the commit among them, may take;
    ///     ``PostgresConfiguration/statementTimeout`` if `nil`.
    ///   - body: Runs the statements of the transaction, and none of them after it has returned.
    /// - Returns: What `body` returns, once the server has committed.
    /// - Throws: What `body` throws; ``PostgresError`` if the transaction could not be committed.
    @discardableResult
    package func withTransaction<Value>(
        isolation: PostgresIsolation = .serverDefault, timeout: Duration? = nil,
        _ body: (PostgresTransaction) async throws -> Value
    ) async throws -> Value {
        let transaction = PostgresTransaction(self, isolation, timeout: timeout ?? self.configuration.statementTimeout)
        do {
            let value = try await body(transaction)
            try await transaction.commit()
            return value
        } catch {
            transaction.rollBack()
            // What was written is there, whatever `body` says.
            if transaction.isCommittedEarly { throw PostgresError.transactionEnded(committed: true) }
            throw error
        }
    }

    /// Listens to a channel, on a connection that all channels share and that is made again after a loss.
    ///
    /// The stream ends when the client is closed, and dropping it ends the listening. A server that does not let the
    /// client listen is asked again and again.
    ///
    /// - Parameter channel: The name of the channel, without quotes; upper and lower case differ. It has at most 63 bytes;
    ///   nobody can send to a longer one, and the stream of it ends at once.
    /// - Returns: A stream for one consumer.
    package func listen(_ channel: String) -> AsyncStream<PostgresEvent> {
        AsyncStream(bufferingPolicy: .bufferingOldest(self.configuration.maximumPendingEvents)) { continuation in
            let id = Listener.ID()
            continuation.onTermination = { [inbox = self.inbox] _ in _ = inbox.post(.unlisten(id)) }
            let isHopeless =
                channel.isEmpty || channel.utf8.count > Self.maximumChannelLength || channel.utf8.contains(0)
            let listener = Listener(id: id, channel: channel, continuation: continuation)
            if isHopeless || !self.inbox.post(.listen(listener)) { continuation.finish() }
        }
    }

    /// Refuses further statements, waits for those under way until their deadlines, and closes all connections.
    package func close() async {
        await withCheckedContinuation { closer in
            if !self.inbox.post(.close(closer)) { closer.resume() }
        }
    }

    /// Gives up a transaction.
    func release(_ lease: ConnectionLease) {
        _ = self.inbox.post(.release(lease))
    }

    /// Runs a statement and waits for its replies.
    func run(
        _ statement: EncodedStatement, _ role: Entry.Role, lease: ConnectionLease? = nil, timeout: Duration?,
        goesFirst: Bool = false
    ) async throws(PostgresError) -> PostgresResult {
        let deadline = ContinuousClock.now + (timeout ?? self.configuration.statementTimeout)
        let ticket = Ticket()
        let outcome: Entry.Outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let submission = Submission(
                    statements: [statement], role: role, deadline: deadline, goesFirst: goesFirst, ticket: ticket,
                    lease: lease, continuation: continuation)
                if !self.inbox.post(.submit(submission)) { continuation.resume(returning: .failure(.closed)) }
            }
        } onCancel: {
            // In this order: if the loop does not know the call yet, it will see that it is cancelled.
            ticket.cancel()
            _ = self.inbox.post(.cancel(ticket))
        }
        guard let result = try outcome.get().last else { throw .unexpectedResult("There is no result.") }
        return result
    }
}

/// What a transaction sees of others.
package enum PostgresIsolation: Sendable {
    /// What the server, the database or the role says; `READ COMMITTED` unless it was changed.
    case serverDefault
    /// What was committed before each statement.
    case readCommitted
    /// What was committed before the first statement.
    case repeatableRead
    /// As if transactions ran one after the other; some of them fail for it, with `40001`.
    case serializable
}

/// What a listener learns.
package enum PostgresEvent: Sendable, Hashable {
    /// From now on, nothing is missed; what was sent before may have been.
    ///
    /// It comes first, and again after each gap: a consumer that reads the state after it misses nothing.
    case listening
    /// The connection was lost. Notifications are missed until ``listening`` comes again.
    case interrupted
    /// What somebody sent to the channel; empty if it was nothing but a signal.
    case notification(payload: String)
}
